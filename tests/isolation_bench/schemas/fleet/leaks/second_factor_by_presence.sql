-- channel: claims
-- object: public.device_credentials
-- says: The policy asks whether there is an assurance level, not which.
drop policy credentials_second_factor on public.device_credentials;
create policy credentials_second_factor on public.device_credentials as restrictive for all
to authenticated
using ((select auth.jwt()) ->> 'aal' is not null)
with check ((select auth.jwt()) ->> 'aal' is not null);
-- exploit as amy
select username from public.device_credentials where tenant_id = :org_a;
-- leaks when rows
