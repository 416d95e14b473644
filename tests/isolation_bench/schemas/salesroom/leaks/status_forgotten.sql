-- channel: lifecycle
-- object: public.products
-- says: The read policy looks for any membership row: suspended and left members still read.
drop policy "members read" on public.products;
create policy "members read" on public.products for select to authenticated
using (
    account_id in (
        select m.account_id
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and (m.valid_until is null or m.valid_until > now())
    )
);
-- exploit as sam
select from public.products where account_id = :org_a;
-- leaks when rows
