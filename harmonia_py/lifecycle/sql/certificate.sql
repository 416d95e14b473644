select
    pg_catalog.jsonb_build_object(
        'closing_at', c.closing_at,
        'closed_at', c.closed_at,
        'purge_started_at', c.purge_started_at,
        'purged_at', c.purged_at,
        'tables', coalesce(
            (
                select
                    pg_catalog.jsonb_object_agg(
                        p.table_name,
                        pg_catalog.jsonb_build_object(
                            'rows', p.rows, 'digest', pg_catalog.encode(p.digest, 'hex')
                        )
                    )
                from private.purge_progress as p
                where p.organization_id = c.organization_id
            ),
            '{}'
        ),
        'keys_shredded', not exists (
            select 1
            from private.organization_keys as k
            where k.organization_id = c.organization_id
        ),
        'audit_events', coalesce(
            (
                select l.first_event + l.events - 1
                from audit.links as l
                where l.organization_id = c.organization_id
                order by l.seq desc
                limit 1
            ),
            0
        ),
        'audit_head', (
            select pg_catalog.encode(l.hash, 'hex')
            from audit.links as l
            where l.organization_id = c.organization_id
            order by l.seq desc
            limit 1
        )
    ) as content
from private.closures as c
inner join public.organizations as o on c.organization_id = o.id
where c.organization_id = %(organization)s and c.purged_at is not null and o.status = 'purged'
