-- Events that no link of their organization claims.
select
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
from audit.events as e
where
    e.organization_id = %(organization_id)s
    and not exists (
        select 1
        from audit.links as l
        where
            l.organization_id = e.organization_id
            and l.at = e.at
            and l.statement = e.statement
            and e.position <= pg_catalog.octet_length(l.digests) / 32
    )
order by e.at, e.statement, e.position
