-- channel: unique oracle
-- object: public.devices
-- says: Serial numbers are unique over all tenants: adding one tells whether somebody owns it.
create unique index devices_serial on public.devices (serial);
-- exploit as adam
insert into public.devices (tenant_id, serial) values (:org_a, 'ZZ9999');
insert into public.devices (tenant_id, serial) values (:org_a, 'BB0001');
-- leaks when differs
