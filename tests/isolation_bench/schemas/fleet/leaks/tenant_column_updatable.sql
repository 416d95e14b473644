-- channel: move
-- object: public.devices
-- says: The tenant column became updatable under a policy whose check is only about the role.
grant update on public.devices to authenticated;
drop policy devices_change on public.devices;
create policy devices_change on public.devices for update to authenticated
using (
    tenant_id = ((select auth.jwt()) -> 'app_metadata' ->> 'tenant_id')::uuid
    and (select internal.app_role()) in ('manager', 'operator')
)
with check ((select internal.app_role()) in ('manager', 'operator'));
-- exploit as alice
insert into public.devices (tenant_id, serial) values (:org_a, 'AA0002');
delete from public.devices where serial = 'AA0001';
update public.devices set tenant_id = :org_b, site_id = null;
-- leaks when exists (select from public.devices where serial = 'AA0002' and tenant_id = :org_b)
