select
    n.id,
    n.organization_id,
    n.kind,
    n.recipient,
    n.status,
    n.attempts,
    n.created_at,
    n.next_attempt_at,
    n.last_error
from private.notifications as n
where n.status <> 'sent'
order by n.created_at, n.id
