-- channel: realtime
-- object: realtime.messages
-- says: The topic is checked against the projects that exist, by a definer, not those one sees.
create function app.is_project_topic(p_topic text)
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (select from public.projects as p where 'project:' || p.id::text = p_topic)
$$;
grant execute on function app.is_project_topic(text) to authenticated;
drop policy project_channel on realtime.messages;
create policy project_channel on realtime.messages for select to authenticated
using (app.is_project_topic((select realtime.topic())));
-- exploit as mallory with {"topic": "project:b8000000-0000-4000-8000-000000000001"}
select from realtime.messages where topic = 'project:b8000000-0000-4000-8000-000000000001';
-- leaks when rows
