-- channel: lifecycle
-- object: public.contacts
-- says: Whoever is named as owner reads the contact, also after she left the account.
create policy "owners read their contacts" on public.contacts for select to authenticated
using (owner_id = (select auth.uid()));
-- exploit as dora
select from public.contacts where account_id = :org_a;
-- leaks when rows
