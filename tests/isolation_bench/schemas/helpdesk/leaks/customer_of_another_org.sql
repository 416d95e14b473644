-- channel: foreign key oracle
-- object: public.tickets
-- says: A single-column foreign key accepts, and so confirms, a customer of another organization.
alter table public.tickets drop constraint tickets_org_id_customer_id_fkey;
alter table public.tickets add foreign key (customer_id)
references public.customers (id) on delete set null;
-- exploit as adam
insert into public.tickets (org_id, number, subject, customer_id)
values (:org_a, 1, 'Does it exist?', 'c1000000-0000-4000-8000-0000000000ff');
insert into public.tickets (org_id, number, subject, customer_id)
values (:org_a, 1, 'Does it exist?', 'c1000000-0000-4000-8000-00000000000b');
-- leaks when differs
