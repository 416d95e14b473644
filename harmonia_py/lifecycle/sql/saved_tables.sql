select
    n.nspname,
    c.relname
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where
    c.relkind in ('r', 'p')
    and not c.relispartition
    and n.nspname not in ('pg_catalog', 'information_schema')
    and n.nspname not like 'pg\_%'
    and pg_catalog.has_table_privilege(c.oid, 'select')
    -- Unlogged tables are not in a dump.
    and c.relpersistence = 'p'
order by 1, 2
