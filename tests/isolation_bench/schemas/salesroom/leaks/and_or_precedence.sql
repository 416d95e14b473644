-- channel: lifecycle
-- object: public.deals
-- says: An `or` without parentheses undoes the membership test for row owners.
drop policy "members read" on public.deals;
create policy "members read" on public.deals for select to authenticated
using (
    deleted_at is null
    and account_id in (
        select m.account_id
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    )
    or owner_id = (select auth.uid()) and stage <> 'lost'
);
-- exploit as dora
select from public.deals where account_id = :org_a;
-- leaks when rows
