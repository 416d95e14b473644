-- One row per finding: code, severity, what, remedy. Each branch is one question to the database.
select
    'role.missing' as code,
    'error' as severity,
    'there is no role ' || r.name as what,
    'run harmonia platform check; on hosted Supabase ask for the role' as remedy
from pg_catalog.unnest(
    array['anon', 'authenticated', 'service_role', 'authenticator']
) as r (name)
where not exists (select 1 from pg_catalog.pg_roles as p where p.rolname = r.name)
union all
select
    'role.bypasses_rls',
    'error',
    r.rolname || ' bypasses row level security',
    'alter role ' || r.rolname || ' nobypassrls nosuperuser'
from pg_catalog.pg_roles as r
where
    r.rolname in ('anon', 'authenticated', 'authenticator')
    and (r.rolbypassrls or r.rolsuper)
union all
select
    'rls.off',
    'error',
    'row level security is not enabled and forced on ' || c.oid::regclass::text,
    'call private.lock_down(''' || c.oid::regclass::text || ''') and apply its policies'
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where
    n.nspname in ('public', 'private', 'audit')
    and c.relkind in ('r', 'p')
    and not (c.relrowsecurity and c.relforcerowsecurity)
union all
select
    'grant.anon',
    'error',
    'anon may ' || pg_catalog.lower(a.privilege_type) || ' in ' || c.oid::regclass::text,
    'revoke ' || pg_catalog.lower(a.privilege_type) || ' on ' || c.oid::regclass::text
    || ' from anon'
from pg_catalog.pg_class as c
cross join lateral pg_catalog.aclexplode(c.relacl) as a
inner join pg_catalog.pg_roles as r on a.grantee = r.oid
where
    c.relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'audit'::regnamespace)
    and r.rolname = 'anon'
    and c.oid <> 'public.subprocessors'::regclass
union all
select
    'grant.private',
    'error',
    r.rolname || ' has privileges on ' || c.oid::regclass::text,
    'revoke all on ' || c.oid::regclass::text || ' from ' || r.rolname
from pg_catalog.pg_class as c
cross join lateral pg_catalog.aclexplode(c.relacl) as a
inner join pg_catalog.pg_roles as r on a.grantee = r.oid
where
    c.relnamespace = 'private'::regnamespace
    and c.relkind in ('r', 'p')
    and r.rolname in ('authenticated', 'service_role')
union all
select
    'function.search_path',
    'error',
    'the definer function ' || p.oid::regprocedure::text || ' finds types of its caller first',
    'alter function ' || p.oid::regprocedure::text || ' set search_path = pg_catalog, pg_temp'
from pg_catalog.pg_proc as p
where
    p.prosecdef
    and p.pronamespace in (
        'public'::regnamespace, 'private'::regnamespace, 'audit'::regnamespace
    )
    and not exists (
        select 1
        from pg_catalog.unnest(p.proconfig) as s (setting)
        -- Where pg_temp is not named, it is searched first: for types and relations, not functions.
        where s.setting like 'search_path=%, pg\_temp'
    )
union all
select
    'index.foreign_key',
    'warning',
    'the foreign key ' || f.conname || ' of ' || f.conrelid::regclass::text || ' has no index',
    'create index on ' || f.conrelid::regclass::text || ' over the columns of ' || f.conname
from pg_catalog.pg_constraint as f
inner join pg_catalog.pg_class as c on f.conrelid = c.oid
where
    f.contype = 'f'
    and c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
    and c.reltuples > 10000
    and not exists (
        select 1
        from pg_catalog.pg_index as i
        where
            i.indrelid = f.conrelid
            and i.indisvalid
            -- The key's columns in any order, first in the index.
            and (i.indkey::smallint[])[0:pg_catalog.cardinality(f.conkey) - 1] @> f.conkey
    )
union all
select
    'index.invalid',
    'error',
    'the index ' || i.indexrelid::regclass::text || ' is invalid',
    'reindex index concurrently ' || i.indexrelid::regclass::text
from pg_catalog.pg_index as i
where not i.indisvalid
union all
select
    'statistics.stale',
    'warning',
    'the statistics of ' || s.relid::regclass::text || ' are stale ('
    || s.n_mod_since_analyze::text || ' rows changed)',
    'analyze ' || s.relid::regclass::text
from pg_catalog.pg_stat_user_tables as s
where
    s.schemaname in ('public', 'private', 'audit')
    and s.n_mod_since_analyze > 10000 + s.n_live_tup / 5
union all
select
    'tenant.unguarded',
    'error',
    'holds and closing do not guard ' || t.relation::text,
    'call private.guard_tenant_tables()'
from private.tenant_tables() as t
inner join pg_catalog.pg_class as c on t.relation = c.oid
where
    (
        t.exported
        and c.relname not in ('export_jobs', 'support_requests')
        and not exists (
            select 1
            from pg_catalog.pg_trigger as g
            where
                g.tgrelid = t.relation
                and g.tgname = 'tg_' || c.relname || '__closing_insert'
                and g.tgenabled in ('O', 'A')
        )
    )
    -- There, but switched off.
    or exists (
        select 1
        from pg_catalog.pg_trigger as g
        where
            g.tgrelid = t.relation
            and (
                (g.tgname = 'tg_' || c.relname || '__keep_held' and g.tgenabled <> 'A')
                or (g.tgname like 'tg\_' || c.relname || '\_\_closing\_%' and g.tgenabled = 'D')
            )
    )
union all
select
    'audit.disabled',
    'error',
    'the trigger ' || g.tgname || ' on ' || g.tgrelid::regclass::text || ' is not always on',
    'alter table ' || g.tgrelid::regclass::text || ' enable always trigger ' || g.tgname
from pg_catalog.pg_trigger as g
inner join pg_catalog.pg_proc as p on g.tgfoid = p.oid
where p.pronamespace = 'audit'::regnamespace and g.tgenabled <> 'A' and not g.tgisinternal
union all
select
    'audit.partitions',
    'warning',
    'there is no audit partition for next month',
    'call audit.ensure_partitions(); harmonia audit seal does it as well'
where
    pg_catalog.to_regclass(
        'audit.events_'
        || pg_catalog.to_char(
            (pg_catalog.now() at time zone 'UTC') + interval '1 month', 'YYYYMM'
        )
    ) is null
union all
select
    'audit.unsealed',
    'warning',
    'audit events have not been sealed since '
    || pg_catalog.to_char(e.oldest at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
    'harmonia audit seal (from a schedule, once an hour)'
from (
    -- Per chain what comes after its last seal; never a look at every link there is.
    select pg_catalog.min(n.at) as oldest
    from (
        select h.organization_id, pg_catalog.max(h.seq) as seq
        from audit.sealed_heads as h
        group by h.organization_id
        union all
        select o.id, 0
        from public.organizations as o
        where not exists (
            select 1
            from audit.sealed_heads as h
            where h.organization_id = o.id
        )
        union all
        select '00000000-0000-0000-0000-000000000000', 0
        where not exists (
            select 1
            from audit.sealed_heads as h
            where h.organization_id = '00000000-0000-0000-0000-000000000000'
        )
    ) as s
    cross join lateral (
        select l.at
        from audit.links as l
        where l.organization_id = s.organization_id and l.seq > s.seq
        order by l.seq
        limit 1
    ) as n
) as e
where e.oldest < pg_catalog.now() - interval '1 day'
union all
select
    'retention.overdue',
    'error',
    'organization ' || c.organization_id::text || ' should have been purged on '
    || pg_catalog.to_char(c.purge_after at time zone 'UTC', 'YYYY-MM-DD'),
    'harmonia retention run'
from private.closures as c
where
    c.purged_at is null
    and c.purge_after < pg_catalog.now() - interval '1 day'
    and not exists (
        select 1
        from private.legal_holds as h
        where h.organization_id = c.organization_id and h.released_at is null
    )
union all
select
    'retention.uncertified',
    'warning',
    'organization ' || c.organization_id::text || ' is purged and has no certificate',
    'harmonia retention run --organization ' || c.organization_id::text
from private.closures as c
where
    c.purged_at is not null
    and not exists (
        select 1
        from private.deletion_certificates as d
        where d.organization_id = c.organization_id
    )
union all
select
    'api_key.expired',
    'info',
    pg_catalog.count(*)::text || ' API keys have expired and are not revoked',
    'revoke them; they are refused in any case'
from public.api_keys as k
where k.expires_at < pg_catalog.now() and k.revoked_at is null
having pg_catalog.count(*) > 0
union all
select
    'notifications.failed',
    'warning',
    pg_catalog.count(*)::text || ' messages could not be delivered',
    'harmonia outbox list says why; then harmonia outbox retry ID, if need be with --to ADDRESS'
from private.notifications as n
where n.status = 'failed'
having pg_catalog.count(*) > 0
union all
select
    'notifications.waiting',
    'warning',
    pg_catalog.count(*)::text || ' messages have been waiting for more than an hour',
    'harmonia outbox send (from a schedule, every few minutes)'
from private.notifications as n
where n.status = 'pending' and n.created_at < pg_catalog.now() - interval '1 hour'
having pg_catalog.count(*) > 0
union all
select
    'subprocessors.unannounced',
    'warning',
    'the change of ' || s.key || ' on ' || s.effective_from::text || ' is not announced',
    case
        when s.effective_from > current_date then 'harmonia subprocessors announce'
        else 'it has taken effect: tell the subscribers yourself, then set announced_at'
    end
from public.subprocessors as s
where
    s.announced_at is null
    and s.effective_from > s.created_at::date
    and exists (select 1 from public.subprocessor_subscriptions as n)
union all
select
    'seats.stale',
    'error',
    'what ' || s.user_id::text || ' may do in ' || s.organization_id::text || ' is not up to date',
    'find out what changed it with triggers off; then select private.rate_all_seats()'
from private.stale_seats() as s
union all
select
    'seats.unkept',
    'error',
    'the trigger ' || k.name || ' on ' || k.place || ' is missing or off',
    'create or enable it as the migration *_seats.sql does; then select private.rate_all_seats()'
from (
    values
    -- Those on our own tables are compared with the migrations.
    ('auth.users', 'tg_users__rate_seats'),
    ('auth.mfa_factors', 'tg_mfa_factors__rate_seats'),
    ('auth.mfa_factors', 'tg_mfa_factors__rate_changed_seats'),
    ('auth.mfa_factors', 'tg_mfa_factors__rate_seats_without')
) as k (place, name)
where not exists (
    select 1
    from pg_catalog.pg_trigger as t
    where
        t.tgrelid = pg_catalog.to_regclass(k.place)
        and t.tgname = k.name
        and t.tgenabled in ('O', 'A')
)
union all
select
    'api.not_listening',
    'warning',
    'PostgREST is connected and does not listen for changes of the schema',
    'set db-channel-enabled = true, or restart it after every migration'
where
    exists (
        select 1
        from pg_catalog.pg_stat_activity as a
        where
            a.datname = pg_catalog.current_database()
            and a.usename = 'authenticator'
            and a.application_name like 'PostgREST%'
    )
    and not exists (
        select 1
        from pg_catalog.pg_stat_activity as a
        where
            a.datname = pg_catalog.current_database()
            and a.usename = 'authenticator'
            and a.query ilike 'listen%pgrst%'
    )
order by 2, 1, 3
