-- channel: lifecycle
-- object: public.products
-- says: A temporary seller whose time is over can still change prices, without a filter.
drop policy "sellers update" on public.products;
create policy "sellers update" on public.products for update to authenticated
using (
    account_id in (
        select m.account_id
        from public.memberships as m
        where m.user_id = (select auth.uid()) and m.role <> 'reader' and m.status = 'active'
    )
);
drop policy "closed is read-only: update" on public.products;
-- exploit as xena
update public.products set price_minor = 1;
-- leaks when exists (select from public.products where account_id = :org_a and price_minor = 1)
