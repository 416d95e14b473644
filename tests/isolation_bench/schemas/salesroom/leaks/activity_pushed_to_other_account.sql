-- channel: move
-- object: public.activities
-- says: With the trigger gone and a check that only asks for some account, activities can be pushed away.
drop trigger keep_account on public.activities;
drop policy "sellers update" on public.activities;
create policy "sellers update" on public.activities for update to authenticated
using (
    account_id in (
        select m.account_id
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.role <> 'reader'
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    )
)
with check (account_id is not null);
alter policy "closed is read-only: update" on public.activities with check (true);
-- exploit as adam
update public.activities set account_id = :org_b, deal_id = null;
-- leaks when exists (
--     select from public.activities where account_id = :org_b and summary = 'Call of Atlas'
-- )
