select c.organization_id
from private.closures as c
where
    c.purged_at is not null
    and not exists (
        select 1
        from private.deletion_certificates as d
        where d.organization_id = c.organization_id
    )
order by c.purged_at, c.organization_id
