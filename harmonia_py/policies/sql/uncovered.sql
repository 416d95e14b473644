-- Tables of the exposed schemas that are not closed: row level security must be on and forced.
select
    n.nspname || '.' || c.relname as name,
    c.relrowsecurity and c.relforcerowsecurity as closed
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where c.relkind in ('r', 'p') and n.nspname = any(%(schemas)s)
order by name;
