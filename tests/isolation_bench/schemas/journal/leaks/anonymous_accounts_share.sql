-- channel: claims
-- object: public.shares
-- says: The policy against anonymous sign-ins lets them pass: it tests for the word, not its value.
drop policy shares_registered on public.shares;
create policy shares_registered on public.shares as restrictive for insert to authenticated
with check ((select auth.jwt()) ? 'is_anonymous');
-- exploit as ghost
insert into public.journals (id, title) values ('95000000-0000-4000-8000-000000000001', 'Spam');
insert into public.shares (journal_id, shared_with)
values ('95000000-0000-4000-8000-000000000001', :bob);
-- leaks when exists (select from public.shares where owner_id = :ghost)
