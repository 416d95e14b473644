-- channel: read
-- object: public.tasks
-- says: Tasks are shown to the whole workspace, also those of projects only one team may see.
create function app.in_workspace_of(p_project uuid)
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (
        select
        from public.projects as p
        where p.id = p_project and p.workspace_id in (select app.workspace_ids())
    )
$$;
grant execute on function app.in_workspace_of(uuid) to authenticated;
create policy read_workspace on public.tasks for select to authenticated
using (app.in_workspace_of(project_id));
-- exploit as vera
select from public.tasks where title = 'Write the list';
-- leaks when rows
