-- channel: move
-- object: public.tasks
-- says: A task can be written into any project: the column is granted and the check is gone.
grant update (project_id) on public.tasks to authenticated;
drop policy change on public.tasks;
create policy change on public.tasks for update to authenticated
using (project_id in (select app.working_project_ids()))
with check (project_id is not null);
-- exploit as amy
update public.tasks set project_id = 'b8000000-0000-4000-8000-000000000001';
-- leaks when exists (
--     select from public.tasks
--     where id = 'a9000000-0000-4000-8000-000000000002'
--         and project_id = 'b8000000-0000-4000-8000-000000000001'
-- )
