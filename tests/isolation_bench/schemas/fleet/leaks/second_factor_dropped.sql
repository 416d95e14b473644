-- channel: claims
-- object: public.device_credentials
-- says: The restrictive second-factor policy covers only inserts now.
drop policy credentials_second_factor on public.device_credentials;
create policy credentials_second_factor on public.device_credentials as restrictive for insert
to authenticated
with check ((select auth.jwt()) ->> 'aal' = 'aal2');
-- exploit as amy
update public.device_credentials set secret = 'set without second factor';
-- leaks when exists (
--     select from public.device_credentials where secret = 'set without second factor'
-- )
