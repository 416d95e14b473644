-- Take over the open request or what a dead exporter left; else open one. Under the export lock.
with open_request as (
    select e.id
    from public.organization_exports as e
    where e.organization_id = %(organization)s and e.status in ('requested', 'running')
    order by e.requested_at desc
    limit 1
),

taken as (
    update public.organization_exports as e
    set status = 'running', started_at = pg_catalog.now()
    from open_request as r
    where e.organization_id = %(organization)s and e.id = r.id
    returning e.id
),

opened as (
    insert into public.organization_exports (organization_id, status, started_at)
    select o.id, 'running', pg_catalog.now()
    from public.organizations as o
    where o.id = %(organization)s and not exists (select 1 from open_request)
    returning id
)

select t.id from taken as t
union all
select o.id from opened as o
