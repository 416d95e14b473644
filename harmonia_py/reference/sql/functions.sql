-- Functions of the exposed schema that clients may call.
select
    p.proname as name,
    pg_catalog.pg_get_function_arguments(p.oid) as arguments,
    pg_catalog.pg_get_function_result(p.oid) as result,
    p.provolatile <> 'v' as reads,
    p.proretset as returns_set,
    pg_catalog.has_function_privilege('anon', p.oid, 'execute') as for_anon,
    pg_catalog.obj_description(p.oid, 'pg_proc') as comment,
    coalesce(p.proargnames, '{}')::text[] as names,
    array(
        select pg_catalog.format_type(t.oid, null)
        from
            pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]))
            with ordinality as x (type_oid, ord)
        inner join pg_catalog.pg_type as t on x.type_oid = t.oid
        order by x.ord
    )::text[] as types,
    coalesce(p.proargmodes, '{}')::text[] as modes,
    p.pronargdefaults as defaults,
    p.pronargs as inputs
from pg_catalog.pg_proc as p
where
    p.pronamespace = 'public'::regnamespace
    and p.prokind = 'f'
    and pg_catalog.has_function_privilege('authenticated', p.oid, 'execute')
order by p.proname
