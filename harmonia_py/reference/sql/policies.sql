-- The permissions that the policies of each table ask of clients, by command.
with asked as (
    select
        p.tablename,
        p.cmd,
        pg_catalog.string_agg(pg_catalog.concat_ws(' ', p.qual, p.with_check), ' ') as conditions
    from pg_catalog.pg_policies as p
    where
        p.schemaname = 'public'
        -- Restrictions give nothing, and policies of other roles nothing to clients.
        and p.permissive = 'PERMISSIVE'
        and p.roles && array['authenticated', 'public']::name[]
    group by p.tablename, p.cmd
)

select
    a.tablename as table_name,
    pg_catalog.lower(a.cmd) as command,
    array(
        select m.found[1]
        from pg_catalog.regexp_matches(a.conditions, '''([a-z_]+\.[a-z_]+)''', 'g') as m (found)
        union
        -- A span is about a permission in all of its reaches, and names one.
        select m.found[1] || r.reach
        from
            pg_catalog.regexp_matches(
                a.conditions, 'my_span\(''([a-z_]+\.[a-z_]+)''', 'g'
            ) as m (found)
        cross join (values ('_own'), ('_team')) as r (reach)
        order by 1
    )::text[] as permissions
from asked as a
order by a.tablename, a.cmd
