-- channel: escalation
-- object: public.team_members
-- says: Members may put themselves on teams, and so see what only the board should see.
create policy join_team on public.team_members for insert to authenticated
with check (
    user_id = (select auth.uid()) and workspace_id in (select app.workspace_ids())
);
-- exploit as adam
insert into public.team_members (workspace_id, team_id, user_id)
values (:org_a, 'a7000000-0000-4000-8000-000000000002', :adam);
select from public.tasks where title = 'Write the list';
-- leaks when rows
