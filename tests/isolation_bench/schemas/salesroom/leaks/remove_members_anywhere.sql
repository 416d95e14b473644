-- channel: escalation
-- object: public.memberships
-- says: Managers may remove members, but the policy does not say of which account.
grant delete on public.memberships to authenticated;
create function public.is_manager_somewhere()
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (
        select
        from public.memberships as m
        where m.user_id = auth.uid() and m.role in ('owner', 'manager') and m.status = 'active'
    )
$$;
grant execute on function public.is_manager_somewhere() to authenticated;
create policy "managers remove members" on public.memberships for delete to authenticated
using (public.is_manager_somewhere());
-- exploit as amy
delete from public.memberships;
-- leaks when not exists (select from public.memberships where account_id = :org_b)
