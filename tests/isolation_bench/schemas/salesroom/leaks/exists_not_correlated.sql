-- channel: read
-- object: public.companies
-- says: The sub-query asks whether I belong anywhere, not whether I belong here.
drop policy "members read" on public.companies;
create policy "members read" on public.companies for select to authenticated
using (
    exists (
        select
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    )
);
-- exploit as adam
select from public.companies where account_id = :org_b;
-- leaks when rows
