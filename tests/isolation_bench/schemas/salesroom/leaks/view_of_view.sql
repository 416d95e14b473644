-- channel: view
-- object: public.contact_cards
-- says: The inner view runs as its owner; that the outer one runs as the caller does not help.
create view public.contacts_clean as
select c.id, c.account_id, c.full_name, c.email, c.company_id
from public.contacts as c;
create or replace view public.contact_cards
with (security_invoker = on) as
select c.id, c.account_id, c.full_name, c.email, null::text as company
from public.contacts_clean as c;
grant select on public.contacts_clean to authenticated;
-- exploit as adam
select from public.contact_cards where account_id = :org_b;
-- leaks when rows
