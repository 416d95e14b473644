select x.organization_id
from private.incident_organizations as x
inner join public.organizations as o on x.organization_id = o.id
where
    x.incident_id = %(incident)s
    and o.status <> 'purged'
    and not exists (
        select 1
        from private.notifications as n
        where
            n.organization_id = x.organization_id
            and n.dedupe_key = 'incident ' || x.incident_id::text || ' for ' || x.organization_id::text
            and n.status <> 'failed'
    )
order by x.organization_id
