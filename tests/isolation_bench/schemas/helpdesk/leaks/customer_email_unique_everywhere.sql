-- channel: unique oracle
-- object: public.customers
-- says: The address is unique over all organizations, so a refusal reveals foreign customers.
alter table public.customers drop constraint customers_org_id_email_key;
alter table public.customers add unique (email);
-- exploit as adam
insert into public.customers (org_id, name, email) values (:org_a, 'Probe', 'nobody@customer.test');
insert into public.customers (org_id, name, email) values (:org_a, 'Probe', 'bea@customer.test');
-- leaks when differs
