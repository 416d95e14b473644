select
    o.id,
    o.name,
    o.status,
    c.purge_after,
    case
        when exists (
            select 1
            from private.legal_holds as h
            where h.organization_id = o.id and h.released_at is null
        ) then 'legal hold'
        when c.purge_after > pg_catalog.clock_timestamp() then 'export window'
        when private.is_exporting(o.id) then 'export running'
    end as blocked
from private.closures as c
inner join public.organizations as o on c.organization_id = o.id
where c.purged_at is null and o.status in ('closing', 'closed')
order by c.purge_after, o.id
