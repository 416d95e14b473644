-- channel: helper body
-- object: app.working_project_ids
-- says: The administrator branch lost its link to the project: one workspace's admin works in all.
create or replace function app.working_project_ids()
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select p.id
    from public.projects as p
    where p.team_id in (select app.team_ids())
        or exists (select app.workspace_ids(true))
$$;
-- exploit as alice
select from public.tasks where title = 'Cut the film';
-- leaks when rows
