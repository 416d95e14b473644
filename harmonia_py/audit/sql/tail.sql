select
    l.first_event + e.position - 1 as number,
    e.at,
    e.actor_kind,
    e.actor_id,
    e.db_user,
    e.action,
    e.table_name,
    e.record_key,
    e.support_grant_id,
    e.request_id,
    e.payload
from audit.links as l
inner join audit.events as e
    on
        l.organization_id = e.organization_id
        and l.at = e.at
        and l.statement = e.statement
where l.organization_id = %(organization_id)s
order by l.seq desc, e.position desc
limit %(limit)s
