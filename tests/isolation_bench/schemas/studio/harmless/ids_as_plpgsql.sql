-- channel: helper rewrite
-- object: app.team_ids
-- says: The helper in plpgsql, returning rows one by one.
create or replace function app.team_ids()
returns setof uuid
language plpgsql stable security definer
set search_path = ''
as $$
declare
    found_team uuid;
begin
    for found_team in
        select t.team_id
        from public.team_members as t
        join public.workspace_members as m
            on m.workspace_id = t.workspace_id and m.user_id = t.user_id and m.left_at is null
        join public.workspaces as w on w.id = t.workspace_id and w.archived is false
        where t.user_id = auth.uid()
    loop
        return next found_team;
    end loop;
end
$$;
-- request as adam
insert into public.tasks (project_id, title)
values ('a8000000-0000-4000-8000-000000000001', 'Frame it') returning id;
-- works when rows
