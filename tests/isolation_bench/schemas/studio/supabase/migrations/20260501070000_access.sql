-- The four questions every policy asks. Definers: their tables' own policies ask them too.
create function app.workspace_ids(p_admin boolean default false)
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select m.workspace_id
    from public.workspace_members as m
    join public.workspaces as w on w.id = m.workspace_id and not w.archived
    where m.user_id = auth.uid()
        and m.left_at is null
        and (m.role = 'admin' or not p_admin)
$$;

create function app.team_ids()
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select t.team_id
    from public.team_members as t
    where t.user_id = auth.uid()
        and t.workspace_id in (select app.workspace_ids())
$$;

-- Projects one works in: those of one's teams, and all of a workspace for its administrators.
create function app.working_project_ids()
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select p.id
    from public.projects as p
    where p.team_id in (select app.team_ids())
        or p.workspace_id in (select app.workspace_ids(true))
$$;

-- Projects one sees: those, the open ones of one's workspaces, and where one is a guest.
create function app.visible_project_ids()
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select app.working_project_ids()
    union
    select p.id
    from public.projects as p
    where p.visibility = 'workspace' and p.workspace_id in (select app.workspace_ids())
    union
    select g.project_id
    from public.project_guests as g
    join public.projects as p on p.id = g.project_id
    join public.workspaces as w on w.id = p.workspace_id and not w.archived
    where g.user_id = auth.uid() and g.until > now()
$$;

grant execute on function
    app.workspace_ids(boolean),
    app.team_ids(),
    app.working_project_ids(),
    app.visible_project_ids()
to authenticated;

alter table public.workspaces enable row level security;
alter table public.workspace_members enable row level security;
alter table public.teams enable row level security;
alter table public.team_members enable row level security;
alter table public.projects enable row level security;
alter table public.project_guests enable row level security;
alter table public.tasks enable row level security;
alter table public.task_links enable row level security;
alter table public.comments enable row level security;
alter table public.time_entries enable row level security;
alter table public.workspace_invites enable row level security;
alter table public.events enable row level security;

grant select, update (name) on public.workspaces to authenticated;
grant select on public.workspace_members to authenticated;
grant select, insert, update (name), delete on public.teams to authenticated;
grant select, insert, delete on public.team_members to authenticated;
grant select, insert, update (name, visibility), delete on public.projects to authenticated;
grant select on public.project_guests to authenticated;
grant select, insert, update (parent_id, title, state, estimate, due), delete
on public.tasks to authenticated;
grant select, insert, delete on public.task_links to authenticated;
grant select, insert (task_id, body), update (body), delete on public.comments to authenticated;
grant select, insert (task_id, minutes, worked_on), update (minutes, worked_on), delete
on public.time_entries to authenticated;
grant select (id, workspace_id, email, valid_until, redeemed_at)
on public.workspace_invites to authenticated;
grant insert (workspace_id, email), delete on public.workspace_invites to authenticated;
grant select on public.events to authenticated;

create policy read on public.workspaces for select to authenticated
using (id in (select app.workspace_ids()));
create policy rename on public.workspaces for update to authenticated
using (id in (select app.workspace_ids(true)));

create policy read on public.workspace_members for select to authenticated
using (workspace_id in (select app.workspace_ids()));

create policy read on public.teams for select to authenticated
using (workspace_id in (select app.workspace_ids()));
create policy add on public.teams for insert to authenticated
with check (workspace_id in (select app.workspace_ids(true)));
create policy rename on public.teams for update to authenticated
using (workspace_id in (select app.workspace_ids(true)));
create policy remove on public.teams for delete to authenticated
using (workspace_id in (select app.workspace_ids(true)));

create policy read on public.team_members for select to authenticated
using (workspace_id in (select app.workspace_ids()));
create policy add on public.team_members for insert to authenticated
with check (workspace_id in (select app.workspace_ids(true)));
create policy remove on public.team_members for delete to authenticated
using (workspace_id in (select app.workspace_ids(true)));

create policy read on public.projects for select to authenticated
using (id in (select app.visible_project_ids()));
create policy add on public.projects for insert to authenticated
with check (workspace_id in (select app.workspace_ids(true)));
create policy change on public.projects for update to authenticated
using (id in (select app.working_project_ids()));
create policy remove on public.projects for delete to authenticated
using (workspace_id in (select app.workspace_ids(true)));

create policy read on public.project_guests for select to authenticated
using (
    user_id = (select auth.uid()) or project_id in (select app.working_project_ids())
);

create policy read on public.tasks for select to authenticated
using (project_id in (select app.visible_project_ids()));
create policy add on public.tasks for insert to authenticated
with check (project_id in (select app.working_project_ids()));
create policy change on public.tasks for update to authenticated
using (project_id in (select app.working_project_ids()))
with check (project_id in (select app.working_project_ids()));
create policy remove on public.tasks for delete to authenticated
using (project_id in (select app.working_project_ids()));

create policy read on public.task_links for select to authenticated
using (project_id in (select app.visible_project_ids()));
create policy add on public.task_links for insert to authenticated
with check (project_id in (select app.working_project_ids()));
create policy remove on public.task_links for delete to authenticated
using (project_id in (select app.working_project_ids()));

-- A comment is as visible as its task, by the task's own policy.
create policy read on public.comments for select to authenticated
using (task_id in (select t.id from public.tasks as t));
create policy add on public.comments for insert to authenticated
with check (
    author_id = (select auth.uid()) and task_id in (select t.id from public.tasks as t)
);
create policy change on public.comments for update to authenticated
using (author_id = (select auth.uid()) and task_id in (select t.id from public.tasks as t));
create policy remove on public.comments for delete to authenticated
using (author_id = (select auth.uid()) and task_id in (select t.id from public.tasks as t));

create policy read on public.time_entries for select to authenticated
using (
    task_id in (
        select t.id
        from public.tasks as t
        where t.project_id in (select app.working_project_ids())
    )
);
create policy add on public.time_entries for insert to authenticated
with check (
    user_id = (select auth.uid())
    and task_id in (
        select t.id
        from public.tasks as t
        where t.project_id in (select app.working_project_ids())
    )
);
create policy change on public.time_entries for update to authenticated
using (
    user_id = (select auth.uid())
    and task_id in (
        select t.id
        from public.tasks as t
        where t.project_id in (select app.working_project_ids())
    )
);
create policy remove on public.time_entries for delete to authenticated
using (
    user_id = (select auth.uid())
    and task_id in (
        select t.id
        from public.tasks as t
        where t.project_id in (select app.working_project_ids())
    )
);

create policy read on public.workspace_invites for select to authenticated
using (workspace_id in (select app.workspace_ids(true)));
create policy add on public.workspace_invites for insert to authenticated
with check (workspace_id in (select app.workspace_ids(true)));
create policy remove on public.workspace_invites for delete to authenticated
using (workspace_id in (select app.workspace_ids(true)));

create policy read on public.events for select to authenticated
using (workspace_id in (select app.workspace_ids(true)));
