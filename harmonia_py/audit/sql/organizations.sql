-- Every organization that the record speaks of, found by skipping through the indexes.
with recursive linked as (
    (select l.organization_id from audit.links as l order by l.organization_id limit 1)
    union all
    select
        (
            select l.organization_id
            from audit.links as l
            where l.organization_id > o.organization_id
            order by l.organization_id
            limit 1
        )
    from linked as o
    where o.organization_id is not null
)

select o.organization_id
from linked as o
where o.organization_id is not null
union
select e.organization_id
from audit.events as e
union
select s.organization_id
from audit.sealed_heads as s
order by 1
