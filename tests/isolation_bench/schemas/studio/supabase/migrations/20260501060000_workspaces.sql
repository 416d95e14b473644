-- Studio: workspaces hold teams, teams hold projects, projects hold tasks, tasks hold comments.
-- Below the projects no row names its workspace; it is reached through foreign keys.
create schema app;
grant usage on schema app to authenticated;

alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke execute on functions from anon, authenticated;
alter default privileges revoke execute on functions from public;

create table public.workspaces (
    id uuid primary key default gen_random_uuid(),
    name text not null,
    slug text not null unique check (slug ~ '^[a-z0-9-]{2,40}$'),
    archived boolean not null default false
);

create table public.workspace_members (
    workspace_id uuid not null references public.workspaces (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    role text not null default 'member' check (role in ('admin', 'member')),
    left_at timestamptz,
    primary key (workspace_id, user_id)
);

create table public.teams (
    id uuid primary key default gen_random_uuid(),
    workspace_id uuid not null references public.workspaces (id) on delete cascade,
    name text not null,
    unique (workspace_id, id),
    unique (workspace_id, name)
);

create table public.team_members (
    workspace_id uuid not null,
    team_id uuid not null,
    user_id uuid not null,
    lead boolean not null default false,
    primary key (workspace_id, team_id, user_id),
    foreign key (workspace_id, team_id)
    references public.teams (workspace_id, id) on delete cascade,
    foreign key (workspace_id, user_id)
    references public.workspace_members (workspace_id, user_id) on delete cascade
);

create table public.projects (
    id uuid primary key default gen_random_uuid(),
    workspace_id uuid not null,
    team_id uuid not null,
    name text not null,
    visibility text not null default 'team' check (visibility in ('team', 'workspace')),
    foreign key (workspace_id, team_id)
    references public.teams (workspace_id, id) on delete cascade
);

-- People from outside who see one project for a while.
create table public.project_guests (
    project_id uuid not null references public.projects (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    until timestamptz not null default now() + interval '30 days',
    primary key (project_id, user_id)
);

create table public.tasks (
    id uuid primary key default gen_random_uuid(),
    project_id uuid not null references public.projects (id) on delete cascade,
    parent_id uuid,
    title text not null check (length(title) between 1 and 250),
    state text not null default 'todo' check (state in ('todo', 'doing', 'done')),
    estimate interval check (estimate >= interval '0'),
    due daterange,
    unique (project_id, id),
    check (parent_id <> id),
    foreign key (project_id, parent_id)
    references public.tasks (project_id, id) on delete set null (parent_id)
);

create table public.task_links (
    project_id uuid not null,
    task_id uuid not null,
    blocks_id uuid not null,
    primary key (project_id, task_id, blocks_id),
    check (task_id <> blocks_id),
    foreign key (project_id, task_id) references public.tasks (project_id, id) on delete cascade,
    foreign key (project_id, blocks_id) references public.tasks (project_id, id) on delete cascade
);

create table public.comments (
    id uuid primary key default gen_random_uuid(),
    task_id uuid not null references public.tasks (id) on delete cascade,
    author_id uuid not null default auth.uid(),
    body text not null check (btrim(body) <> ''),
    written_at timestamptz not null default now()
);

create table public.time_entries (
    id uuid primary key default gen_random_uuid(),
    task_id uuid not null references public.tasks (id) on delete cascade,
    user_id uuid not null default auth.uid(),
    minutes integer not null check (minutes between 1 and 1440),
    worked_on date not null default current_date
);

create table public.workspace_invites (
    id uuid primary key default gen_random_uuid(),
    workspace_id uuid not null references public.workspaces (id) on delete cascade,
    email text not null check (email = lower(email)),
    code text not null unique default md5(gen_random_uuid()::text),
    valid_until timestamptz not null default now() + interval '14 days',
    redeemed_by uuid,
    redeemed_at timestamptz,
    check ((redeemed_by is null) = (redeemed_at is null))
);

create table public.events (
    id bigint generated always as identity primary key,
    workspace_id uuid not null references public.workspaces (id) on delete cascade,
    who uuid,
    what text not null,
    at timestamptz not null default now()
);
