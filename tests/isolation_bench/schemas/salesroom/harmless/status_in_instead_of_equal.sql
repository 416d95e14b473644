-- channel: policy rewrite
-- object: public.products
-- says: The status is compared by `not in` the two other values, which a check constraint allows.
drop policy "members read" on public.products;
create policy "members read" on public.products for select to authenticated
using (
    account_id in (
        select m.account_id
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.status not in ('suspended', 'left')
            and coalesce(m.valid_until, 'infinity') > now()
    )
);
-- request as tess
select from public.products where account_id = :org_a;
-- works when rows
