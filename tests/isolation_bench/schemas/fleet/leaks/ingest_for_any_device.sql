-- channel: function
-- object: public.ingest
-- says: The ingest function finds the tenant by the device, whoever calls.
create or replace function public.ingest(p_device uuid, p_metric text, p_value double precision)
returns void
language sql security definer
set search_path = ''
as $$
    insert into public.readings (tenant_id, device_id, taken_at, metric, value)
    select d.tenant_id, d.id, clock_timestamp(), p_metric, p_value
    from public.devices as d
    where d.id = p_device
$$;
-- exploit as adam
select public.ingest('d4000000-0000-4000-8000-00000000000b', 'voltage', -1);
-- leaks when exists (select from public.readings where tenant_id = :org_b and value = -1)
