-- channel: policy rewrite
-- object: public.companies
-- says: `in (select ...)` becomes a correlated exists.
drop policy "members read" on public.companies;
create policy "members read" on public.companies for select to authenticated
using (
    exists (
        select
        from public.memberships as m
        where m.account_id = companies.account_id
            and m.user_id = (select auth.uid())
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    )
);
-- request as vera
select from public.companies where account_id = :org_a;
-- works when rows
