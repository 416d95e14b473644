-- channel: function privilege
-- object: app.working_project_ids
-- says: Execute on the helper was revoked, so every policy that asks it fails.
revoke execute on function app.working_project_ids() from authenticated;
-- request as adam
insert into public.tasks (project_id, title)
values ('a8000000-0000-4000-8000-000000000001', 'Frame it') returning id;
-- works when rows
