-- Everything that decides who can do what, one row per object: kind, name, definition.
-- Read with an empty search_path, so that every name in a definition is qualified.
with schemas as (
    select n.oid, n.nspname
    from pg_catalog.pg_namespace as n
    where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'supabase_migrations')
),

relations as (
    -- Partitions come and go by the month: what they allow is compared, not how many there are.
    select
        c.*,
        s.nspname || '.' || c.relname as own_name,
        coalesce(
            (
                select h.inhparent::regclass::text || ' [partition]'
                from pg_catalog.pg_inherits as h
                where c.relispartition and h.inhrelid = c.oid
            ),
            s.nspname || '.' || c.relname
        ) as name
    from pg_catalog.pg_class as c
    inner join schemas as s on c.relnamespace = s.oid
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
),

routines as (
    select
        p.*,
        s.nspname || '.' || p.proname || '('
        || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')' as name
    from pg_catalog.pg_proc as p
    inner join schemas as s on p.pronamespace = s.oid
    where p.prokind in ('f', 'p', 'w')
),

acls as (
    select 'schema' as kind, n.nspname::text as name, n.nspacl as acl
    from pg_catalog.pg_namespace as n
    inner join schemas as s on n.oid = s.oid
    union all
    select 'relation', r.name, r.relacl
    from relations as r
    union all
    select 'column', r.name || '.' || a.attname, a.attacl
    from pg_catalog.pg_attribute as a
    inner join relations as r on a.attrelid = r.oid
    where a.attacl is not null
    union all
    select 'routine', r.name, r.proacl
    from routines as r
    union all
    select
        'default ' || d.defaclobjtype::text,
        d.defaclrole::regrole::text || ' in ' || coalesce(n.nspname, '*'),
        d.defaclacl
    from pg_catalog.pg_default_acl as d
    left join pg_catalog.pg_namespace as n on d.defaclnamespace = n.oid
),

found as (
    select
        'privileges of ' || a.kind as kind, a.name, coalesce(
            (
                select pg_catalog.string_agg(item::text, ' ' order by item::text)
                from pg_catalog.unnest(a.acl) as item
            ), 'default'
        ) as definition
    from acls as a
    union all
    select
        'row level security', r.name,
        pg_catalog.format('enabled %s, forced %s', r.relrowsecurity, r.relforcerowsecurity)
    from relations as r
    where r.relkind in ('r', 'p')
    union all
    select
        'policy', r.name || ': ' || p.polname,
        pg_catalog.format(
            '%s for %s to %s using (%s) with check (%s) -- %s',
            case when p.polpermissive then 'permissive' else 'restrictive' end,
            p.polcmd,
            (
                select
                    pg_catalog.string_agg(
                        case when role_oid = 0 then 'public' else role_oid::regrole::text end, ', '
                        order by role_oid::regrole::text
                    )
                from pg_catalog.unnest(p.polroles) as role_oid
            ),
            pg_catalog.pg_get_expr(p.polqual, p.polrelid),
            pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid),
            pg_catalog.obj_description(p.oid, 'pg_policy')
        )
    from pg_catalog.pg_policy as p
    inner join relations as r on p.polrelid = r.oid
    union all
    select 'routine', r.name, pg_catalog.pg_get_functiondef(r.oid)
    from routines as r
    union all
    select 'view', r.name, pg_catalog.pg_get_viewdef(r.oid) || coalesce(r.reloptions::text, '')
    from relations as r
    where r.relkind in ('v', 'm')
    union all
    select
        'trigger', r.name || ': ' || t.tgname,
        pg_catalog.replace(pg_catalog.pg_get_triggerdef(t.oid), r.own_name, r.name)
        || ' -- fires: ' || t.tgenabled::text
    from pg_catalog.pg_trigger as t
    inner join relations as r on t.tgrelid = r.oid
    where not t.tgisinternal
    union all
    select 'comment', r.name, pg_catalog.obj_description(r.oid, 'pg_class')
    from relations as r
    where pg_catalog.obj_description(r.oid, 'pg_class') is not null
)

select distinct
    f.kind,
    f.name
    || case when f.name like '% [partition]%' then ' = ' || f.definition else '' end as name,
    f.definition
from found as f
order by f.kind, name;
