-- channel: read
-- object: app.visible_project_ids
-- says: The guest branch went missing: valid guests see nothing.
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
$$;
-- request as ivan
select from public.tasks where title = 'Draw the poster';
-- works when rows
