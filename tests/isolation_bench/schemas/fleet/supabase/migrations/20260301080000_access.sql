alter table public.tenants enable row level security;
alter table public.sites enable row level security;
alter table public.devices enable row level security;
alter table public.readings enable row level security;
alter table public.readings_0 enable row level security;
alter table public.readings_1 enable row level security;
alter table public.alert_rules enable row level security;
alter table public.alerts enable row level security;
alter table public.device_credentials enable row level security;
alter table public.maintenance_windows enable row level security;
alter table public.activity_log enable row level security;

grant select on public.tenants to authenticated;
grant select, insert, update, delete on public.sites to authenticated;
grant select, insert, delete on public.devices to authenticated;
grant update (site_id, state, tags, installed_on, retired_on) on public.devices to authenticated;
grant select on public.readings to authenticated;
grant select, insert, update, delete on public.alert_rules to authenticated;
grant select on public.alerts to authenticated;
grant update (acknowledged_by, acknowledged_at) on public.alerts to authenticated;
grant select (tenant_id, device_id, username, rotated_at) on public.device_credentials
to authenticated;
grant insert, update (username, secret, rotated_at) on public.device_credentials to authenticated;
grant select, insert, update, delete on public.maintenance_windows to authenticated;
grant select on public.activity_log to authenticated;

create policy own_tenant on public.tenants for select to authenticated
using (id = (select internal.tenant_id()));

create policy sites_read on public.sites for select to authenticated
using (tenant_id = (select internal.tenant_id()));
create policy sites_write on public.sites for all to authenticated
using (
    tenant_id = (select internal.tenant_id())
    and (select internal.app_role()) = 'manager'
)
with check (
    tenant_id = (select internal.tenant_id())
    and (select internal.app_role()) = 'manager'
);

create policy devices_read on public.devices for select to authenticated
using (tenant_id = ((select auth.jwt()) -> 'app_metadata' ->> 'tenant_id')::uuid);
create policy devices_add on public.devices for insert to authenticated
with check (
    tenant_id = ((select auth.jwt()) -> 'app_metadata' ->> 'tenant_id')::uuid
    and (select internal.app_role()) in ('manager', 'operator')
);
create policy devices_change on public.devices for update to authenticated
using (
    tenant_id = ((select auth.jwt()) -> 'app_metadata' ->> 'tenant_id')::uuid
    and (select internal.app_role()) in ('manager', 'operator')
);
create policy devices_remove on public.devices for delete to authenticated
using (
    tenant_id = ((select auth.jwt()) -> 'app_metadata' ->> 'tenant_id')::uuid
    and (select internal.app_role()) = 'manager'
);

create policy readings_read on public.readings for select to authenticated
using (tenant_id = (select internal.tenant_id()));

create policy rules_read on public.alert_rules for select to authenticated
using (tenant_id is null or tenant_id = (select internal.tenant_id()));
create policy rules_add on public.alert_rules for insert to authenticated
with check (
    tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager'
);
create policy rules_change on public.alert_rules for update to authenticated
using (tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager')
with check (
    tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager'
);
create policy rules_remove on public.alert_rules for delete to authenticated
using (tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager');

create policy alerts_read on public.alerts for select to authenticated
using (tenant_id = (select internal.tenant_id()));
create policy alerts_acknowledge on public.alerts for update to authenticated
using (
    tenant_id = (select internal.tenant_id())
    and (select internal.app_role()) in ('manager', 'operator')
)
with check (
    tenant_id = (select internal.tenant_id())
    and acknowledged_by = (select auth.uid())
);

-- Credentials need a second factor on top of everything else.
create policy credentials_read on public.device_credentials for select to authenticated
using (tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager');
create policy credentials_add on public.device_credentials for insert to authenticated
with check (
    tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager'
);
create policy credentials_change on public.device_credentials for update to authenticated
using (tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager')
with check (
    tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager'
);
create policy credentials_second_factor on public.device_credentials as restrictive for all
to authenticated
using ((select auth.jwt()) ->> 'aal' = 'aal2')
with check ((select auth.jwt()) ->> 'aal' = 'aal2');

create policy windows_read on public.maintenance_windows for select to authenticated
using (tenant_id = (select internal.tenant_id()));
create policy windows_write on public.maintenance_windows for all to authenticated
using (
    tenant_id = (select internal.tenant_id())
    and (select internal.app_role()) in ('manager', 'operator')
)
with check (
    tenant_id = (select internal.tenant_id())
    and (select internal.app_role()) in ('manager', 'operator')
);

create policy log_read on public.activity_log for select to authenticated
using (tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager');

create function internal.log_change()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    touched jsonb := to_jsonb(coalesce(new, old));
begin
    insert into public.activity_log (tenant_id, actor, verb, thing)
    values ((touched ->> 'tenant_id')::uuid, auth.uid(), lower(tg_op), tg_table_name);
    return coalesce(new, old);
end
$$;
create trigger log_change after insert or update or delete on public.devices
for each row execute function internal.log_change();
create trigger log_change after insert or update on public.device_credentials
for each row execute function internal.log_change();
