-- channel: escalation
-- object: public.organization_members
-- says: Members may edit their own membership row, its role included.
grant update on public.organization_members to authenticated;
create policy members_update on public.organization_members for update to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));
-- exploit as adam
update public.organization_members set role = 'owner' where org_id = :org_a;
-- leaks when exists (
--     select from public.organization_members
--     where org_id = :org_a and user_id = :adam and role = 'owner'
-- )
