-- channel: error text
-- object: public.move_task
-- says: The refusal quotes the title and the workspace of the foreign task.
create or replace function public.move_task(p_task uuid, p_project uuid)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
    task record;
begin
    select t.title, t.project_id, p.workspace_id into task
    from public.tasks as t
    join public.projects as p on p.id = t.project_id
    where t.id = p_task;
    if not exists (select where task.project_id in (select app.working_project_ids()))
        or not exists (select where p_project in (select app.working_project_ids()))
    then
        raise exception 'cannot move task'
            using errcode = 'PT403', detail = task.title || ' is in ' || task.workspace_id;
    end if;
    delete from public.task_links as l where p_task in (l.task_id, l.blocks_id);
    update public.tasks set parent_id = null where parent_id = p_task;
    update public.tasks set project_id = p_project, parent_id = null where id = p_task;
end
$$;
-- exploit as mallory
select public.move_task(
    'b9000000-0000-4000-8000-000000000001', 'b8000000-0000-4000-8000-000000000001'
);
-- leaks when error Cut the film is in {org_b}
