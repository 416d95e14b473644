create materialized view internal.daily_readings as
select r.tenant_id, r.metric, date_trunc('day', r.taken_at) as day, avg(r.value) as mean
from public.readings as r
group by r.tenant_id, r.metric, date_trunc('day', r.taken_at);

create function public.daily_report()
returns table (metric text, day timestamptz, mean double precision)
language sql stable security definer
set search_path = ''
as $$
    select d.metric, d.day, d.mean
    from internal.daily_readings as d
    where d.tenant_id = internal.tenant_id()
$$;

create view public.device_list
with (security_invoker = true) as
select d.id, d.tenant_id, d.serial, d.state, s.name as site
from public.devices as d
left join public.sites as s on s.tenant_id = d.tenant_id and s.id = d.site_id;
grant select on public.device_list to authenticated;

create function public.ingest(p_device uuid, p_metric text, p_value double precision)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
    tenant uuid;
begin
    select d.tenant_id into tenant
    from public.devices as d
    where d.id = p_device and d.tenant_id = internal.tenant_id() and d.state <> 'retired';
    if tenant is null then
        raise exception 'unknown device' using errcode = 'PT404';
    end if;
    insert into public.readings (tenant_id, device_id, taken_at, metric, value)
    values (tenant, p_device, clock_timestamp(), p_metric, p_value);
    insert into public.alerts (tenant_id, device_id, rule_id)
    select tenant, p_device, r.id
    from public.alert_rules as r
    where (r.tenant_id is null or r.tenant_id = tenant)
        and r.metric = p_metric
        and (p_value > r.above or p_value < r.below);
end
$$;

create function public.transfer_device(p_device uuid, p_site uuid)
returns boolean
language plpgsql security definer
set search_path = ''
as $$
begin
    if internal.app_role() is distinct from 'manager' then
        return false;
    end if;
    update public.devices as d
    set site_id = s.id
    from public.sites as s
    where d.id = p_device
        and s.id = p_site
        and d.tenant_id = internal.tenant_id()
        and s.tenant_id = internal.tenant_id();
    return found;
end
$$;

grant execute on function
    public.daily_report(),
    public.ingest(uuid, text, double precision),
    public.transfer_device(uuid, uuid)
to authenticated;

insert into storage.buckets (id, name, public) values ('firmware', 'firmware', false);

create policy firmware_read on storage.objects for select to authenticated
using (
    bucket_id = 'firmware'
    and (storage.foldername(name))[1] = (select internal.tenant_id())::text
);
create policy firmware_write on storage.objects for insert to authenticated
with check (
    bucket_id = 'firmware'
    and (storage.foldername(name))[1] = (select internal.tenant_id())::text
    and (select internal.app_role()) = 'manager'
);
create policy firmware_replace on storage.objects for update to authenticated
using (
    bucket_id = 'firmware'
    and (storage.foldername(name))[1] = (select internal.tenant_id())::text
    and (select internal.app_role()) = 'manager'
)
with check (
    bucket_id = 'firmware'
    and (storage.foldername(name))[1] = (select internal.tenant_id())::text
    and (select internal.app_role()) = 'manager'
);

-- Live readings go over the private channel fleet:<tenant>.
create policy fleet_listen on realtime.messages for select to authenticated
using ((select realtime.topic()) = 'fleet:' || (select internal.tenant_id())::text);
