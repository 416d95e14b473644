-- What the role authenticated can reach of the exposed schema, column by column.
select
    c.relname as table_name,
    pg_catalog.obj_description(c.oid, 'pg_class') as table_comment,
    pg_catalog.has_table_privilege('authenticated', c.oid, 'delete') as deletes,
    a.attname as column_name,
    pg_catalog.format_type(a.atttypid, null) as type,
    a.attnotnull as required,
    a.atthasdef or a.attidentity <> '' as has_default,
    a.attgenerated <> '' as generated,
    pg_catalog.col_description(c.oid, a.attnum) as column_comment,
    pg_catalog.has_column_privilege('authenticated', c.oid, a.attnum, 'insert') as inserts,
    pg_catalog.has_column_privilege('authenticated', c.oid, a.attnum, 'update') as updates,
    (
        select pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), ' ' order by k.conname)
        from pg_catalog.pg_constraint as k
        where k.conrelid = c.oid and k.contype = 'c' and a.attnum = any(k.conkey)
    ) as checks
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
inner join pg_catalog.pg_attribute as a on c.oid = a.attrelid
where
    n.nspname = 'public'
    and c.relkind in ('r', 'p', 'v')
    and a.attnum > 0
    and not a.attisdropped
    and pg_catalog.has_column_privilege('authenticated', c.oid, a.attnum, 'select')
order by c.relname, a.attnum
