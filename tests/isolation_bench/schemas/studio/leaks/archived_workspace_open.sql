-- channel: lifecycle
-- object: app.workspace_ids
-- says: An archived workspace opens again, because the helper stopped asking.
create or replace function app.workspace_ids(p_admin boolean default false)
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select m.workspace_id
    from public.workspace_members as m
    where m.user_id = auth.uid() and m.left_at is null and (m.role = 'admin' or not p_admin)
$$;
-- exploit as carl
insert into public.tasks (project_id, title)
values ('c8000000-0000-4000-8000-000000000001', 'After the fire');
-- leaks when exists (select from public.tasks where title = 'After the fire')
