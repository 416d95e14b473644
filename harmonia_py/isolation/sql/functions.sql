-- One row per function or procedure outside the system catalogs and extensions.
-- %(roles)s: the API roles that exist.
select
    p.oid::bigint as oid,
    n.nspname as schema,
    p.proname as name,
    p.prokind::text as kind,
    pg_catalog.format_type(p.prorettype, null) as returns,
    p.proretset as returns_set,
    l.lanname as language,
    p.provolatile::text as volatility,
    p.prosecdef as definer,
    p.proisstrict as strict,
    exists (
        select 1
        from pg_catalog.pg_proc as other
        where other.proname = p.proname and other.pronamespace = 'pg_catalog'::regnamespace
    ) as namesake,
    pg_catalog.pg_get_userbyid(p.proowner) as owner,
    coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) as source,
    coalesce(p.proconfig, '{}') as config,
    p.prorettype in ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype)
        as is_trigger,
    case
        when l.lanname in ('sql', 'plpgsql') then pg_catalog.pg_get_functiondef(p.oid)
    end as definition,
    (
        select coalesce(jsonb_agg(role.name), '[]')
        from unnest(%(roles)s::text []) as role (name)
        where pg_catalog.has_function_privilege(role.name, p.oid, 'EXECUTE')
    ) as executors,
    (
        select coalesce(jsonb_agg(role.name), '[]')
        from unnest(%(roles)s::text []) as role (name)
        where pg_catalog.has_schema_privilege(role.name, n.nspname, 'USAGE')
    ) as usage,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'name', coalesce(p.proargnames[a.n], ''),
            'type', pg_catalog.format_type(a.type, null),
            'category', coalesce(bt.typcategory, t.typcategory),
            'has_default', a.n > p.pronargs - p.pronargdefaults,
            -- Counts the parameters that only return something too.
            'default', pg_catalog.pg_get_function_arg_default(p.oid, a.place::integer),
            'labels', (
                select jsonb_agg(e.enumlabel order by e.enumsortorder)
                from pg_catalog.pg_enum as e where e.enumtypid = t.oid
            )
        ) order by a.n), '[]')
        from (
            select
                i.type,
                i.n,
                coalesce(
                    (
                        select m.n
                        from unnest(p.proargmodes) with ordinality as m (mode, n)
                        where m.mode in ('i', 'b', 'v')
                        order by m.n
                        offset i.n - 1
                        limit 1
                    ),
                    i.n
                ) as place
            from unnest(p.proargtypes::oid []) with ordinality as i (type, n)
        ) as a
        inner join pg_catalog.pg_type as t on t.oid = a.type
        left join pg_catalog.pg_type as bt on t.typtype = 'd' and bt.oid = t.typbasetype
    ) as arguments,
    coalesce(
        (
            select jsonb_agg(p.proargnames[m.n] order by m.n)
            from unnest(p.proargmodes) with ordinality as m (mode, n)
            where m.mode in ('i', 'b', 'v')
        ),
        to_jsonb(p.proargnames)
    ) as names,
    (
        select coalesce(jsonb_agg(coalesce(p.proargnames[m.n], '') order by m.n), '[]')
        from unnest(p.proargmodes) with ordinality as m (mode, n)
        where m.mode in ('o', 'b', 't')
    ) as outputs,
    (
        select coalesce(
            jsonb_agg(pg_catalog.format_type(p.proallargtypes[m.n], null) order by m.n), '[]'
        )
        from unnest(p.proargmodes) with ordinality as m (mode, n)
        where m.mode in ('o', 'b', 't')
    ) as output_types
from pg_catalog.pg_proc as p
inner join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
inner join pg_catalog.pg_language as l on l.oid = p.prolang
where
    n.nspname not in ('pg_catalog', 'information_schema')
    and n.nspname not like 'pg\_%%'
    and p.prokind in ('f', 'p')
    and not exists (
        select from pg_catalog.pg_depend as d
        where
            d.classid = 'pg_catalog.pg_proc'::regclass
            and d.objid = p.oid
            and d.deptype = 'e'
    )
order by n.nspname, p.proname, p.oid
