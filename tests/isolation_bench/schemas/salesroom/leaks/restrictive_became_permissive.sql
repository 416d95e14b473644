-- channel: blind write
-- object: public.deal_notes
-- says: Recreated without `as restrictive`, the closed-account policy now allows instead of limits.
drop policy "closed is read-only: insert" on public.deal_notes;
create policy "closed is read-only: insert" on public.deal_notes for insert to authenticated
with check (account_id is not null and author_id = (select auth.uid()));
-- exploit as mallory
insert into public.deal_notes (account_id, deal_id, body)
values (:org_b, 'd2000000-0000-4000-8000-00000000000b', 'Planted');
-- leaks when exists (select from public.deal_notes where account_id = :org_b and body = 'Planted')
