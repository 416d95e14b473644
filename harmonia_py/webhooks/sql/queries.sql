-- name: endpoint
select
    e.id, e.name, e.scheme, e.options, e.tolerance_seconds, e.status, s.name,
    case when e.previous_until > now() then e.previous_version end
from public.webhook_endpoints as e
left join public.secrets as s
    on e.organization_id = s.organization_id and e.secret_id = s.id
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
insert into private.webhook_receipts (organization_id, endpoint_id, dedupe_key)
values (%(organization_id)s, %(endpoint_id)s, %(dedupe_key)s)
on conflict (organization_id, endpoint_id, dedupe_key) do nothing
returning received_at;

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
