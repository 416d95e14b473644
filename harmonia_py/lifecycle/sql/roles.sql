-- The roles that a dump speaks of: who owns, who may. A dump does not hold them.
with named as (
    select c.relowner as role, c.relacl as acl from pg_catalog.pg_class as c
    union all
    select p.proowner, p.proacl from pg_catalog.pg_proc as p
    union all
    select n.nspowner, n.nspacl from pg_catalog.pg_namespace as n
)

select distinct r.rolname
from (
    select n.role from named as n
    union all
    select a.grantee
    from named as n
    cross join lateral pg_catalog.aclexplode(n.acl) as a
) as x
inner join pg_catalog.pg_roles as r on x.role = r.oid
where r.rolname not like 'pg\_%'
order by r.rolname
