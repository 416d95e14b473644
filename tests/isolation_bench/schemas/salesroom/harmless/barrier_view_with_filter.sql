-- channel: view rewrite
-- object: public.contact_cards
-- says: A definer view that filters by membership itself and is a security barrier.
drop view public.contact_cards;
create view public.contact_cards
with (security_barrier = true) as
select c.id, c.account_id, c.full_name, c.email, o.name as company
from public.contacts as c
left join public.companies as o on o.account_id = c.account_id and o.id = c.company_id
where c.account_id in (
    select m.account_id
    from public.memberships as m
    where m.user_id = auth.uid()
        and m.status = 'active'
        and (m.valid_until is null or m.valid_until > now())
);
grant select on public.contact_cards to authenticated;
-- request as adam
select from public.contact_cards where account_id = :org_a;
-- works when rows
