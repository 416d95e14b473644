-- channel: column privilege
-- object: public.device_credentials
-- says: A table-wide grant hands the device secrets to the browser.
grant select on public.device_credentials to authenticated;
-- exploit as alice
select secret from public.device_credentials where tenant_id = :org_a;
-- leaks when rows
