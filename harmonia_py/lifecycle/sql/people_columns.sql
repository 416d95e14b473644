-- Columns of exported tables that hold the id of a user, by their foreign keys.
select
    n.nspname,
    c.relname,
    a.attname
from pg_catalog.pg_constraint as f
inner join pg_catalog.pg_class as c on f.conrelid = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
inner join pg_catalog.pg_attribute as a on f.conrelid = a.attrelid and a.attnum = f.conkey[1]
where f.contype = 'f' and f.confrelid = 'auth.users'::regclass
