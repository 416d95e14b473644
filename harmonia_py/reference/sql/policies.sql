-- The permissions that the policies of each table ask for, by command.
select
    p.tablename as table_name,
    pg_catalog.lower(p.cmd) as command,
    array(
        select distinct m.found[1]
        from
            pg_catalog.regexp_matches(
                pg_catalog.concat_ws(' ', p.qual, p.with_check), '''([a-z_]+\.[a-z_]+)''', 'g'
            ) as m (found)
        order by 1
    )::text[] as permissions
from pg_catalog.pg_policies as p
where p.schemaname = 'public'
order by p.tablename, p.cmd, p.policyname
