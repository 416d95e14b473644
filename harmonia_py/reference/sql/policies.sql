-- The permissions that the policies of each table ask of clients, by command.
select
    p.tablename as table_name,
    pg_catalog.lower(p.cmd) as command,
    array(
        select distinct m.found[1]
        from
            pg_catalog.regexp_matches(
                pg_catalog.string_agg(pg_catalog.concat_ws(' ', p.qual, p.with_check), ' '),
                '''([a-z_]+\.[a-z_]+)''',
                'g'
            ) as m (found)
        order by 1
    )::text[] as permissions
from pg_catalog.pg_policies as p
where
    p.schemaname = 'public'
    -- Restrictions give nothing, and policies of other roles nothing to clients.
    and p.permissive = 'PERMISSIVE'
    and p.roles && array['authenticated', 'public']::name[]
group by p.tablename, p.cmd
order by p.tablename, p.cmd
