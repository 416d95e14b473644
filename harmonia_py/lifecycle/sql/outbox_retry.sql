-- Its age begins again: it was not the message's fault.
update private.notifications
set
    status = 'pending',
    recipient = coalesce(%(recipient)s, recipient),
    created_at = pg_catalog.now(),
    next_attempt_at = pg_catalog.now()
where id = %(id)s and status = 'failed'
