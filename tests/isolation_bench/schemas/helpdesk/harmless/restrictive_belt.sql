-- channel: policy added
-- object: public.customers
-- says: A restrictive policy repeats what the permissive ones already say.
create policy customers_belt on public.customers as restrictive for all to authenticated
using (private.is_member(org_id))
with check (private.is_member(org_id));
-- request as adam
select from public.customers where org_id = :org_a;
-- works when rows
