-- channel: lifecycle
-- object: app.visible_project_ids
-- says: A guest's end date is no longer compared.
create or replace function app.visible_project_ids()
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select app.working_project_ids()
    union
    select p.id
    from public.projects as p
    where p.visibility = 'workspace' and p.workspace_id in (select app.workspace_ids())
    union
    select g.project_id
    from public.project_guests as g
    join public.projects as p on p.id = g.project_id
    join public.workspaces as w on w.id = p.workspace_id and not w.archived
    where g.user_id = auth.uid()
$$;
-- exploit as xena
select from public.tasks where title = 'Draw the poster';
-- leaks when rows
