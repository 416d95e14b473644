-- The end of every chain that is not where it was last sealed: moved on, or cut back, or gone.
-- Beside it the end that was sealed, and what stands in its place now.
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
),

sealed as (
    (select s.organization_id from audit.sealed_heads as s order by s.organization_id limit 1)
    union all
    select
        (
            select s.organization_id
            from audit.sealed_heads as s
            where s.organization_id > o.organization_id
            order by s.organization_id
            limit 1
        )
    from sealed as o
    where o.organization_id is not null
),

organizations as (
    select l.organization_id from linked as l
    union
    select s.organization_id from sealed as s
)

select
    o.organization_id,
    coalesce(e.seq, 0) as seq,
    coalesce(e.events, 0) as events,
    e.hash,
    coalesce(s.seq, 0) as sealed_seq,
    coalesce(s.events, 0) as sealed_events,
    s.hash as sealed_hash,
    k.hash as kept_hash
from organizations as o
left join lateral (
    select
        l.seq,
        l.first_event + l.events - 1 as events,
        l.hash
    from audit.links as l
    where l.organization_id = o.organization_id
    order by l.seq desc
    limit 1
) as e on true
left join lateral (
    select
        h.seq,
        h.events,
        h.hash
    from audit.sealed_heads as h
    where h.organization_id = o.organization_id
    order by h.seal desc
    limit 1
) as s on true
left join audit.links as k on o.organization_id = k.organization_id and s.seq = k.seq
where
    o.organization_id is not null
    and (e.seq is distinct from s.seq or e.hash is distinct from s.hash)
order by o.organization_id
