select
    l.first_event + e.position - 1 as number,
    l.seq as link,
    l.hash as link_hash,
    e.*
from audit.links as l
inner join audit.events as e
    on
        l.organization_id = e.organization_id
        and l.at = e.at
        and l.statement = e.statement
where l.organization_id = %(organization_id)s
order by l.seq, e.position
