-- The foreign keys of one table: columns here, table and columns there.
select
    f.conname,
    n.nspname,
    c.relname,
    (
        select pg_catalog.array_agg(a.attname::text order by k.place)
        from pg_catalog.unnest(f.conkey) with ordinality as k (attnum, place)
        inner join pg_catalog.pg_attribute as a
            on a.attrelid = f.conrelid and k.attnum = a.attnum
    ) as here,
    (
        select pg_catalog.array_agg(a.attname::text order by k.place)
        from pg_catalog.unnest(f.confkey) with ordinality as k (attnum, place)
        inner join pg_catalog.pg_attribute as a
            on a.attrelid = f.confrelid and k.attnum = a.attnum
    ) as there
from pg_catalog.pg_constraint as f
inner join pg_catalog.pg_class as c on f.confrelid = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where f.contype = 'f' and f.conparentid = 0 and f.conrelid = %(relation)s::regclass
