select
    s.number,
    (extract(epoch from s.sealed_at) * 1000000)::bigint as sealed_us,
    s.key_id,
    s.heads,
    s.heads_digest,
    s.prev_digest,
    s.digest,
    s.signature
from audit.seals as s
order by s.number
