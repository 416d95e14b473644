-- Functions of the exposed schema that clients may call, with the permissions that their bodies
-- name, or those of the private functions they call.
with recursive calls (root, body) as (
    select p.oid, p.prosrc
    from pg_catalog.pg_proc as p
    where p.pronamespace = 'public'::regnamespace
    union
    select c.root, q.prosrc
    from calls as c
    inner join pg_catalog.pg_proc as q
        on
            q.pronamespace = 'private'::regnamespace
            and pg_catalog.strpos(c.body, 'private.' || q.proname || '(') > 0
)

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
    p.pronargs as inputs,
    array(
        select k.key
        from public.permissions as k
        where exists (
            select 1
            from calls as c
            where
                c.root = p.oid
                and pg_catalog.strpos(c.body, pg_catalog.quote_literal(k.key)) > 0
        )
        order by k.key
    ) as permissions
from pg_catalog.pg_proc as p
where
    p.pronamespace = 'public'::regnamespace
    and p.prokind = 'f'
    and pg_catalog.has_function_privilege('authenticated', p.oid, 'execute')
order by p.proname
