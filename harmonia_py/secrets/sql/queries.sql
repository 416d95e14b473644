-- name: open
select
    pg_catalog.set_config('role', 'harmonia_vault', true),
    pg_catalog.set_config('harmonia.organization_id', %(organization_id)s, true),
    pg_catalog.set_config('search_path', '', true),
    pg_catalog.set_config(
        'statement_timeout',
        coalesce(%(patience)s, pg_catalog.current_setting('statement_timeout')),
        true
    );

-- name: authorize
select private.vault_authorize(%(organization_id)s, %(permission)s, %(claims)s);

-- name: log
insert into private.secret_access (
    organization_id, secret_id, name, version, action, actor, user_id, purpose, outcome, request_id
)
values (
    %(organization_id)s, %(secret_id)s, %(name)s, %(version)s, %(action)s, %(actor)s, %(user_id)s,
    %(purpose)s, %(outcome)s, %(request_id)s
);

-- name: access_log
select occurred_at, name, version, action, actor, user_id, purpose, outcome, request_id
from private.secret_access
where
    organization_id = %(organization_id)s
    and (%(name)s::text is null or name = %(name)s)
order by occurred_at desc, id desc
limit %(limit)s;

-- name: master_keys
select id, provider, state, check_value, created_at, retired_at
from private.master_keys
order by created_at, id;

-- name: add_master_key
insert into private.master_keys (id, provider, check_value)
values (%(id)s, %(provider)s, %(check_value)s);

-- name: set_master_key_state
update private.master_keys
set state = %(state)s, retired_at = null
where id = %(id)s;

-- name: retire_master_key
select private.retire_master_key(%(master_key_id)s);

-- name: organizations_under
select private.vault_organizations_under(%(master_key_id)s) as organization_id;

-- name: keys_under
select id, organization_id, generation, state, master_key_id, wrapped
from private.organization_keys
where
    organization_id = %(organization_id)s
    and master_key_id = %(master_key_id)s
    and wrapped is not null
order by id
for update skip locked;

-- name: rewrap_key
update private.organization_keys
set wrapped = %(wrapped)s, master_key_id = %(master_key_id)s
where
    organization_id = %(organization_id)s
    and id = %(id)s
    and master_key_id = %(old_master_key_id)s
    and wrapped is not null;

-- name: organization_keys
select
    k.id, k.generation, k.state, k.master_key_id, coalesce(n.seals, 0), k.created_at, k.retired_at,
    (
        select count(*)
        from private.secret_versions as v
        where v.organization_id = k.organization_id and v.key_id = k.id
    ) as versions
from private.organization_keys as k
left join private.key_seals as n on k.organization_id = n.organization_id and k.id = n.key_id
where k.organization_id = %(organization_id)s
order by k.generation;

-- name: active_key
select id, organization_id, generation, state, master_key_id, wrapped
from private.organization_keys
where organization_id = %(organization_id)s and state = 'active';

-- name: any_key
select id
from private.organization_keys
where organization_id = %(organization_id)s
limit 1;

-- name: usable_keys
select id, organization_id, generation, state, master_key_id, wrapped
from private.organization_keys
where organization_id = %(organization_id)s and state in ('active', 'retiring')
order by generation;

-- name: lock_keys
select private.lock_keys(%(organization_id)s);

-- name: add_key
insert into private.organization_keys (
    id, organization_id, generation, master_key_id, wrapped, commitment
)
values (
    %(id)s, %(organization_id)s, %(generation)s, %(master_key_id)s, %(wrapped)s, %(commitment)s
);

-- name: retire_key
update private.organization_keys as k
set state = 'retired', wrapped = null, retired_at = now()
where
    k.organization_id = %(organization_id)s
    and k.id = %(id)s
    and k.state = 'retiring'
    and not exists (
        select 1
        from private.secret_versions as v
        where v.organization_id = k.organization_id and v.key_id = k.id
    )
returning k.id;

-- name: retiring_key
update private.organization_keys
set state = 'retiring'
where organization_id = %(organization_id)s and id = %(id)s and state = 'active';

-- name: count_under_key
select count(*)
from private.secret_versions
where
    organization_id = %(organization_id)s
    and key_id = %(key_id)s
    and not secret_id = any(%(parked)s::uuid[]);

-- name: lock_versions
select v.secret_id, v.version, v.kind, v.audience, v.envelope, s.name
from private.secret_versions as v
inner join public.secrets as s
    on v.organization_id = s.organization_id and v.secret_id = s.id
where
    v.organization_id = %(organization_id)s
    and v.key_id = %(key_id)s
    and not v.secret_id = any(%(parked)s::uuid[])
order by v.secret_id, v.version
limit %(batch)s
for update of v skip locked;

-- name: reseal_versions
update private.secret_versions as v
set key_id = %(new_key_id)s, envelope = u.envelope
from unnest(
    %(secret_ids)s::uuid[], %(versions)s::bigint[], %(envelopes)s::bytea[]
) as u (secret_id, version, envelope)
where
    v.organization_id = %(organization_id)s
    and v.secret_id = u.secret_id
    and v.version = u.version
    and v.key_id = %(key_id)s;

-- name: all_versions
select
    v.secret_id, v.version, v.kind, v.audience, v.envelope, s.name,
    k.id, k.organization_id, k.generation, k.state, k.master_key_id, k.wrapped
from private.secret_versions as v
inner join public.secrets as s
    on v.organization_id = s.organization_id and v.secret_id = s.id
inner join private.organization_keys as k
    on v.organization_id = k.organization_id and v.key_id = k.id
where
    v.organization_id = %(organization_id)s
    and (v.secret_id, v.version) > (%(after_secret_id)s::uuid, %(after_version)s::bigint)
order by v.secret_id, v.version
limit %(batch)s;

-- name: shred
select private.shred_organization_keys(%(organization_id)s);

-- name: lock_secret
insert into public.secrets (organization_id, name, kind, created_by)
values (%(organization_id)s, %(name)s, %(kind)s, %(user_id)s)
on conflict (organization_id, name) do update set updated_at = now()
returning id, greatest(
    current_version,
    (
        select coalesce(max(v.version), 0)
        from private.secret_versions as v
        where
            v.organization_id = secrets.organization_id and v.secret_id = secrets.id
    )
) as newest, status;

-- name: store_version
with stored as (
    insert into private.secret_versions (
        organization_id, secret_id, version, key_id, kind, audience, envelope
    )
    values (
        %(organization_id)s, %(secret_id)s, %(version)s, %(key_id)s, %(kind)s, %(audience)s,
        %(envelope)s
    )
),

shown as (
    update public.secrets
    set
        current_version = %(version)s,
        kind = %(kind)s,
        audience = %(audience)s,
        provider = coalesce(%(provider)s, provider),
        integration_id = coalesce(%(integration_id)s, integration_id),
        hint = %(hint)s,
        fingerprint = %(fingerprint)s,
        status = 'active',
        expires_at = %(expires_at)s,
        last_rotated_at = now()
    where organization_id = %(organization_id)s and id = %(secret_id)s
),

-- Ten versions are kept to go back to.
pruned as (
    delete from private.secret_versions
    where
        organization_id = %(organization_id)s
        and secret_id = %(secret_id)s
        and version <= %(version)s - 10
)

insert into private.secret_access (
    organization_id, secret_id, name, version, action, actor, user_id, purpose, outcome, request_id
)
values (
    %(organization_id)s, %(secret_id)s, %(name)s, %(version)s, %(action)s, %(actor)s, %(user_id)s,
    %(purpose)s, 'done', %(request_id)s
);

-- name: store_candidate
insert into private.secret_versions (
    organization_id, secret_id, version, key_id, kind, audience, envelope, state
)
values (
    %(organization_id)s, %(secret_id)s, %(version)s, %(key_id)s, %(kind)s, %(audience)s,
    %(envelope)s, 'candidate'
);

-- name: promote_candidate
with fenced as (
    update private.secret_leases
    set token = null, held_until = null, failures = 0, retry_at = null
    where
        organization_id = %(organization_id)s
        and secret_id = %(secret_id)s
        and token = %(token)s
    returning secret_id
),

stored as (
    update private.secret_versions as v
    set state = 'stored'
    from fenced as f
    where
        v.organization_id = %(organization_id)s
        and v.secret_id = f.secret_id
        and v.version = %(version)s
)

update public.secrets as s
set
    current_version = %(version)s,
    fingerprint = %(fingerprint)s,
    status = 'active',
    last_rotated_at = now()
from fenced as f
where
    s.organization_id = %(organization_id)s
    and s.id = f.secret_id
    and s.current_version < %(version)s
returning s.id;

-- name: candidates
select v.version, v.kind, v.audience, v.envelope,
    k.id, k.organization_id, k.generation, k.state, k.master_key_id, k.wrapped
from private.secret_versions as v
inner join private.organization_keys as k
    on v.organization_id = k.organization_id and v.key_id = k.id
where
    v.organization_id = %(organization_id)s
    and v.secret_id = %(secret_id)s
    and v.state = 'candidate'
    and v.version > %(current_version)s
order by v.version desc
limit 1;

-- name: use_secret
with found as (
    select
        s.id, s.name, s.status, s.expires_at, v.version, v.kind, v.audience, v.envelope,
        k.id as key_id, k.generation, k.state as key_state, k.master_key_id, k.wrapped,
        case
            when s.status in ('disabled', 'needs_reauth', 'shredded') then s.status
            when s.expires_at <= now() then 'expired'
            when v.audience <> coalesce(%(audience)s, v.audience) then 'audience_mismatch'
            when k.wrapped is null then 'shredded'
            else 'granted'
        end as outcome
    from public.secrets as s
    inner join private.secret_versions as v
        on
            s.organization_id = v.organization_id
            and s.id = v.secret_id
            and v.version = coalesce(%(version)s, s.current_version)
    inner join private.organization_keys as k
        on v.organization_id = k.organization_id and v.key_id = k.id
    where s.organization_id = %(organization_id)s and s.name = %(name)s
),

logged as (
    insert into private.secret_access (
        organization_id, secret_id, name, version, action, actor, user_id, purpose, outcome,
        request_id
    )
    select
        %(organization_id)s, f.id, f.name, f.version, %(action)s, %(actor)s, %(user_id)s,
        %(purpose)s, f.outcome, %(request_id)s
    from found as f
),

used as (
    update public.secrets as s
    set last_used_at = now()
    from found as f
    where
        s.organization_id = %(organization_id)s
        and s.id = f.id
        and f.outcome = 'granted'
        -- Once a minute: a busy secret must not become a hot row.
        and (s.last_used_at is null or s.last_used_at < now() - interval '1 minute')
)

select
    f.id, f.status, f.expires_at, f.version, f.kind, f.audience, f.envelope, f.key_id,
    f.generation, f.key_state, f.master_key_id, f.wrapped, f.outcome
from found as f;

-- name: secrets
select
    id, name, provider, kind, audience, current_version, hint, encode(fingerprint, 'hex'),
    case when status = 'active' and expires_at <= now() then 'expired' else status end,
    expires_at, last_rotated_at, last_used_at, created_at
from public.secrets
where
    organization_id = %(organization_id)s
    and (%(name)s::text is null or name = %(name)s)
order by name;

-- name: history
select v.version, v.state, v.kind, v.audience, k.generation, v.created_at
from private.secret_versions as v
inner join public.secrets as s
    on v.organization_id = s.organization_id and v.secret_id = s.id
inner join private.organization_keys as k
    on v.organization_id = k.organization_id and v.key_id = k.id
where v.organization_id = %(organization_id)s and s.name = %(name)s
order by v.version desc;

-- name: change_status
update public.secrets
set
    status = coalesce(%(status)s, status),
    expires_at = case when %(set_expiry)s then %(expires_at)s else expires_at end
where organization_id = %(organization_id)s and name = %(name)s and status <> 'shredded'
returning id, current_version, integration_id;

-- name: mark_integration
update public.integrations
set status = %(status)s
where organization_id = %(organization_id)s and id = %(id)s;

-- name: delete_secret
delete from public.secrets
where organization_id = %(organization_id)s and name = %(name)s
returning id, current_version;

-- name: pointers
select id, name, current_version
from public.secrets
where organization_id = %(organization_id)s
order by id;

-- name: take_lease
insert into private.secret_leases as l (organization_id, secret_id, token, held_until)
values (
    %(organization_id)s, %(secret_id)s, %(token)s, now() + make_interval(secs => %(seconds)s)
)
on conflict (organization_id, secret_id) do update
set token = excluded.token, held_until = excluded.held_until
where
    (l.held_until is null or l.held_until < now())
    and (l.retry_at is null or l.retry_at < now())
returning token;

-- name: lease
select l.held_until, l.retry_at
from private.secret_leases as l
inner join public.secrets as s
    on l.organization_id = s.organization_id and l.secret_id = s.id
where l.organization_id = %(organization_id)s and s.name = %(name)s;

-- name: fail_lease
update private.secret_leases
set
    token = null,
    held_until = null,
    failures = failures + 1,
    -- 30 s, 1 min, 2 min ... 1 h.
    retry_at = now() + make_interval(secs => least(3600, 30 * 2 ^ least(failures, 10)))
where
    organization_id = %(organization_id)s
    and secret_id = %(secret_id)s
    and token = %(token)s;

-- name: end_lease
update private.secret_leases
set token = null, held_until = null
where
    organization_id = %(organization_id)s
    and secret_id = %(secret_id)s
    and token = %(token)s;

-- name: lock_many
insert into public.secrets (organization_id, name, kind, created_by)
select %(organization_id)s, u.name, u.kind, %(user_id)s
from unnest(%(names)s::text[], %(kinds)s::text[]) as u (name, kind)
-- One order for all writers, so that two of them cannot wait for each other.
order by u.name
on conflict (organization_id, name) do update set updated_at = now()
returning id, name, greatest(
    current_version,
    (
        select coalesce(max(v.version), 0)
        from private.secret_versions as v
        where
            v.organization_id = secrets.organization_id and v.secret_id = secrets.id
    )
) as newest, status;

-- name: store_many
with given as (
    select u.*
    from unnest(
        %(secret_ids)s::uuid[], %(names)s::text[], %(versions)s::bigint[], %(kinds)s::text[],
        %(audiences)s::text[], %(providers)s::text[], %(hints)s::text[], %(fingerprints)s::bytea[],
        %(envelopes)s::bytea[]
    ) as u (
        secret_id, name, version, kind, audience, provider, hint, fingerprint, envelope
    )
),

stored as (
    insert into private.secret_versions (
        organization_id, secret_id, version, key_id, kind, audience, envelope
    )
    select
        %(organization_id)s, g.secret_id, g.version, %(key_id)s, g.kind, g.audience, g.envelope
    from given as g
),

shown as (
    update public.secrets as s
    set
        current_version = g.version,
        kind = g.kind,
        audience = g.audience,
        provider = coalesce(g.provider, s.provider),
        hint = g.hint,
        fingerprint = g.fingerprint,
        status = 'active',
        expires_at = null,
        last_rotated_at = now()
    from given as g
    where s.organization_id = %(organization_id)s and s.id = g.secret_id
)

insert into private.secret_access (
    organization_id, secret_id, name, version, action, actor, user_id, outcome, request_id
)
select
    %(organization_id)s, g.secret_id, g.name, g.version, 'set', %(actor)s, %(user_id)s, 'done',
    %(request_id)s
from given as g;
