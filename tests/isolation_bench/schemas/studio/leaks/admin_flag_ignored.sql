-- channel: helper body
-- object: app.workspace_ids
-- says: `or` where `and` belongs: every member counts as administrator.
create or replace function app.workspace_ids(p_admin boolean default false)
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select m.workspace_id
    from public.workspace_members as m
    join public.workspaces as w on w.id = m.workspace_id and not w.archived
    where m.user_id = auth.uid() and m.left_at is null and (m.role = 'admin' or p_admin is not null)
$$;
-- exploit as adam
insert into public.team_members (workspace_id, team_id, user_id)
values (:org_a, 'a7000000-0000-4000-8000-000000000002', :adam);
-- leaks when exists (
--     select from public.team_members
--     where team_id = 'a7000000-0000-4000-8000-000000000002' and user_id = :adam
-- )
