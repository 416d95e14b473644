-- channel: policy rewrite
-- object: public.contacts
-- says: The sub-query moves into a definer function that returns the ids, wrapped as an array.
create schema private;
grant usage on schema private to authenticated;
create function private.account_ids()
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select m.account_id
    from public.memberships as m
    where m.user_id = auth.uid()
        and m.status = 'active'
        and (m.valid_until is null or m.valid_until > now())
$$;
grant execute on function private.account_ids() to authenticated;
drop policy "members read" on public.contacts;
create policy "members read" on public.contacts for select to authenticated
using (account_id = any (array(select private.account_ids())));
-- request as adam
select from public.contacts where account_id = :org_a;
-- works when rows
