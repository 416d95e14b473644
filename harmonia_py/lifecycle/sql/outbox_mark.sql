-- Told to a purged organization, it keeps no trace of whom.
with gone as (
    select exists (
        select 1
        from private.notifications as n
        inner join public.organizations as o on n.organization_id = o.id
        where n.id = %(id)s and o.status = 'purged' and %(status)s <> 'pending'
    ) as erase
)

update private.notifications as n
set
    status = %(status)s,
    recipient = case when g.erase then 'erased-' || n.id::text else n.recipient end,
    subject = case when g.erase then 'erased' else n.subject end,
    body = case when g.erase then 'erased' else n.body end,
    attempts = n.attempts + 1,
    sent_at = case when %(status)s = 'sent' then pg_catalog.clock_timestamp() end,
    last_error = %(error)s,
    next_attempt_at = pg_catalog.clock_timestamp()
    + least(interval '1 minute' * (2 ^ least(n.attempts, 10)), interval '4 hours')
from gone as g
where n.id = %(id)s
