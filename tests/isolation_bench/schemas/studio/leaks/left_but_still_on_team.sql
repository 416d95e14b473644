-- channel: lifecycle
-- object: app.team_ids
-- says: Team membership is asked alone; who left the workspace is still on its teams.
create or replace function app.team_ids()
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select t.team_id from public.team_members as t where t.user_id = auth.uid()
$$;
-- exploit as dora
select from public.tasks where title = 'Draw the poster';
-- leaks when rows
