-- channel: read
-- object: public.device_credentials
-- says: Without `as restrictive` a second factor is enough, in any tenant.
drop policy credentials_second_factor on public.device_credentials;
create policy credentials_second_factor on public.device_credentials for all to authenticated
using ((select auth.jwt()) ->> 'aal' = 'aal2')
with check ((select auth.jwt()) ->> 'aal' = 'aal2');
-- exploit as alice
select username from public.device_credentials where tenant_id = :org_b;
-- leaks when rows
