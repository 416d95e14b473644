-- channel: read
-- object: public.devices
-- says: The claim is read under a key that is never set, so the policy is always null.
drop policy devices_read on public.devices;
create policy devices_read on public.devices for select to authenticated
using (tenant_id = ((select auth.jwt()) -> 'app_metadata' ->> 'tenantId')::uuid);
-- request as adam
select from public.devices where tenant_id = :org_a;
-- works when rows
