-- channel: blind write
-- object: public.customers
-- says: The insert policy checks that somebody is signed in, not where.
drop policy customers_insert on public.customers;
create policy customers_insert on public.customers for insert to authenticated
with check ((select auth.uid()) is not null);
-- exploit as mallory
insert into public.customers (org_id, name) values (:org_b, 'Planted by a stranger');
-- leaks when exists (
--     select from public.customers where org_id = :org_b and name = 'Planted by a stranger'
-- )
