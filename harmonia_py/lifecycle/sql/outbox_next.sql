select
    n.id,
    n.recipient,
    n.subject,
    n.body,
    pg_catalog.clock_timestamp() - n.created_at as age
from private.notifications as n
where n.status = 'pending' and n.next_attempt_at <= pg_catalog.clock_timestamp()
order by n.next_attempt_at, n.id
limit 1
for update skip locked
