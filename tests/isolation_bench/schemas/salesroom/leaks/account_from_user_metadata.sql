-- channel: claims
-- object: public.companies
-- says: A second policy trusts the account named in user_metadata, which users write themselves.
create policy "current account" on public.companies for select to authenticated
using (account_id = ((select auth.jwt()) -> 'user_metadata' ->> 'account_id')::uuid);
-- exploit as mallory with {"user_metadata": {"account_id": "{org_b}"}}
select from public.companies where account_id = :org_b;
-- leaks when rows
