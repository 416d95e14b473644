-- Take over the open request, or one whose exporter died; else open one. Nothing while one runs.
with locked as (
    select o.id
    from public.organizations as o
    where o.id = %(organization)s
    for no key update
),

busy as (
    select 1
    from public.organization_exports as e, locked as l
    where
        e.organization_id = l.id
        and e.status = 'running'
        and e.heartbeat_at > pg_catalog.clock_timestamp() - interval '10 minutes'
),

open_request as (
    select e.id
    from public.organization_exports as e, locked as l
    where e.organization_id = l.id and e.status in ('requested', 'running')
    order by e.requested_at desc
    limit 1
),

taken as (
    update public.organization_exports as e
    set
        status = 'running',
        started_at = pg_catalog.now(),
        heartbeat_at = pg_catalog.clock_timestamp()
    from open_request as r
    where
        e.organization_id = %(organization)s
        and e.id = r.id
        and not exists (select 1 from busy)
    returning e.id
),

opened as (
    insert into public.organization_exports (
        organization_id, status, started_at, heartbeat_at
    )
    select l.id, 'running', pg_catalog.now(), pg_catalog.clock_timestamp()
    from locked as l
    where not exists (select 1 from busy) and not exists (select 1 from open_request)
    returning id
)

select t.id from taken as t
union all
select o.id from opened as o
