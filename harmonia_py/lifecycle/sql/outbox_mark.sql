update private.notifications
set
    status = %(status)s,
    attempts = attempts + 1,
    sent_at = case when %(status)s = 'sent' then pg_catalog.clock_timestamp() end,
    last_error = %(error)s,
    next_attempt_at = pg_catalog.clock_timestamp()
    + least(interval '1 minute' * (2 ^ attempts), interval '4 hours')
where id = %(id)s
