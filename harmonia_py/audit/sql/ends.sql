-- The end of every chain that moved since it was last sealed.
with recursive organizations as (
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
    from organizations as o
    where o.organization_id is not null
)

select
    o.organization_id,
    e.seq,
    e.events,
    e.hash,
    coalesce(s.seq, 0) as sealed_seq
from organizations as o
cross join lateral (
    select
        l.seq,
        l.first_event + l.events - 1 as events,
        l.hash
    from audit.links as l
    where l.organization_id = o.organization_id
    order by l.seq desc
    limit 1
) as e
left join lateral (
    select h.seq
    from audit.sealed_heads as h
    where h.organization_id = o.organization_id
    order by h.seal desc
    limit 1
) as s on true
where e.seq > coalesce(s.seq, 0)
order by o.organization_id
