select
    s.number,
    case
        when pg_catalog.isfinite(s.sealed_at) then (extract(epoch from s.sealed_at) * 1000000)::bigint
    end as sealed_us,
    s.key_id,
    s.heads,
    s.heads_digest,
    s.prev_digest,
    s.digest,
    s.signature
from audit.seals as s
order by s.number
