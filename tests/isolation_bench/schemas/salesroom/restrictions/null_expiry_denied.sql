-- channel: read
-- object: public.deals
-- says: `valid_until > now()` without the null case locks out everybody who has no end date.
drop policy "members read" on public.deals;
create policy "members read" on public.deals for select to authenticated
using (
    account_id in (
        select m.account_id
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.status = 'active'
            and m.valid_until > now()
    )
);
-- request as alice
select from public.deals where account_id = :org_a;
-- works when rows
