-- name: endpoint
select
    e.scheme, e.options, e.tolerance_seconds,
    case
        when private.vault_organization_status() <> 'active' then 'organization_closed'
        when e.status <> 'active' then 'endpoint_disabled'
    end,
    s.name,
    case when e.previous_until > now() then e.previous_version end
from public.webhook_endpoints as e
-- No other kind: whoever may change endpoints could test guesses of a password here.
left join public.secrets as s
    on e.organization_id = s.organization_id and e.secret_id = s.id and s.kind = 'webhook'
where e.organization_id = %(organization_id)s and e.id = %(endpoint_id)s;

-- name: register
insert into public.webhook_endpoints (organization_id, name, scheme, options, secret_id, created_by)
select %(organization_id)s, %(name)s, %(scheme)s, %(options)s, s.id, null
from public.secrets as s
where s.organization_id = %(organization_id)s and s.name = %(secret)s and s.kind = 'webhook'
returning id;

-- name: overlap
update public.webhook_endpoints as e
set
    previous_version = s.current_version,
    previous_until = now() + make_interval(secs => %(seconds)s)
from public.secrets as s
where
    e.organization_id = %(organization_id)s
    and e.id = %(endpoint_id)s
    and s.organization_id = e.organization_id
    and s.id = e.secret_id
returning s.name;

-- name: receipt
-- Asked again in the transaction of the event: what is closed takes nothing from then on.
with known as (
    select
        case
            when private.vault_organization_status() <> 'active' then 'organization_closed'
            when e.status <> 'active' then 'endpoint_disabled'
        end as refusal
    from public.webhook_endpoints as e
    where e.organization_id = %(organization_id)s and e.id = %(endpoint_id)s
),

taken as (
    insert into private.webhook_receipts (organization_id, endpoint_id, dedupe_key)
    select %(organization_id)s, %(endpoint_id)s, %(dedupe_key)s
    from known as k
    where k.refusal is null
    on conflict (organization_id, endpoint_id, dedupe_key) do nothing
    returning received_at
)

select k.refusal, exists (select from taken)
from known as k;

-- name: valid_json
select %(text)s::jsonb is not null;

-- name: event
insert into public.webhook_events (
    organization_id, endpoint_id, event_id, content_type, body, payload
)
values (
    %(organization_id)s, %(endpoint_id)s, %(event_id)s, %(content_type)s, %(body)s,
    %(payload)s::jsonb
)
returning id;
