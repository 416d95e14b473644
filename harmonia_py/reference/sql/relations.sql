-- Foreign keys between exposed tables: their names are embedding hints.
select
    c.relname as table_name,
    k.conname as name,
    array(
        select a.attname
        from pg_catalog.unnest(k.conkey) with ordinality as x (num, ord)
        inner join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = x.num
        order by x.ord
    )::text[] as columns,
    f.relname as referenced,
    array(
        select a.attname
        from pg_catalog.unnest(k.confkey) with ordinality as x (num, ord)
        inner join pg_catalog.pg_attribute as a on a.attrelid = k.confrelid and a.attnum = x.num
        order by x.ord
    )::text[] as referenced_columns
from pg_catalog.pg_constraint as k
inner join pg_catalog.pg_class as c on k.conrelid = c.oid
inner join pg_catalog.pg_class as f on k.confrelid = f.oid
where
    k.contype = 'f'
    and c.relnamespace = 'public'::regnamespace
    and f.relnamespace = 'public'::regnamespace
order by c.relname, k.conname
