-- One row per event that a link claims, in chain order; the event's columns are null where the
-- event is missing. Nothing here calls a function of the database under judgement. A moment that
-- is infinite, which none is that was recorded, has no number and so no digest that fits.
select
    l.seq,
    case
        when pg_catalog.isfinite(l.at) then (extract(epoch from l.at) * 1000000)::bigint
    end as link_at_us,
    l.statement as link_statement,
    l.first_event,
    l.events as link_events,
    l.prev_hash,
    l.hash,
    pg_catalog.octet_length(l.digests) as digests_length,
    g.place,
    pg_catalog.substring(l.digests, (g.place - 1) * 32 + 1, 32) as expected,
    e.organization_id,
    case
        when pg_catalog.isfinite(e.at) then (extract(epoch from e.at) * 1000000)::bigint
    end as at_us,
    e.statement,
    e.position,
    e.total,
    e.actor_id,
    e.actor_kind,
    e.db_user,
    e.session_id,
    e.aal,
    e.support_grant_id,
    e.api_key_id,
    e.request_id,
    e.action,
    e.table_name,
    e.record_key,
    e.salt,
    e.payload::text as payload,
    e.payload_digest
from audit.links as l
cross join
    lateral pg_catalog.generate_series(
        1, greatest(pg_catalog.octet_length(l.digests) / 32, 1)
    ) as g (place)
left join audit.events as e
    on
        l.organization_id = e.organization_id
        and l.at = e.at
        and l.statement = e.statement
        and g.place = e.position
where l.organization_id = %(organization_id)s and l.seq > %(after)s
order by l.seq, g.place
