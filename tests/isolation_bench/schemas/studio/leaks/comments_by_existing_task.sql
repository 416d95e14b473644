-- channel: read
-- object: public.comments
-- says: A definer helper says that the task exists, which says nothing about who may see it.
create function app.task_exists(p_task uuid)
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (select from public.tasks as t where t.id = p_task)
$$;
grant execute on function app.task_exists(uuid) to authenticated;
drop policy read on public.comments;
create policy read on public.comments for select to authenticated
using (app.task_exists(task_id));
-- exploit as mallory
select from public.comments where body = 'Comment of Borealis';
-- leaks when rows
