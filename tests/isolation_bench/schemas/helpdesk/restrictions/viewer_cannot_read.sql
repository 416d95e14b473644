-- channel: read
-- object: public.customers
-- says: The read policy asks for a writing role: viewers see no customers any more.
drop policy customers_select on public.customers;
create policy customers_select on public.customers for select to authenticated
using (private.has_role(org_id, '{owner,admin,agent}'));
-- request as vera
select from public.customers where org_id = :org_a;
-- works when rows
