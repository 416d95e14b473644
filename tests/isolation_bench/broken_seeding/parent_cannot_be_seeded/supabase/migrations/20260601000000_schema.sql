-- The parent allows no row, so neither can the child have one.
create table public.teams (
    id uuid primary key default gen_random_uuid(),
    name text not null
);
create table public.team_users (
    team_id uuid not null references public.teams (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    primary key (team_id, user_id)
);
create table public.notes (
    id uuid primary key default gen_random_uuid(),
    team_id uuid not null references public.teams (id) on delete cascade,
    body text not null
);
alter table public.teams enable row level security;
alter table public.team_users enable row level security;
alter table public.notes enable row level security;
grant select on public.teams, public.team_users, public.notes to authenticated;
create policy own on public.team_users for select to authenticated
using (user_id = (select auth.uid()));
create policy mine on public.teams for select to authenticated
using (id in (select u.team_id from public.team_users as u where u.user_id = (select auth.uid())));
create policy mine on public.notes for select to authenticated
using (
    team_id in (select u.team_id from public.team_users as u where u.user_id = (select auth.uid()))
);

create table public.safes (
    id uuid primary key default gen_random_uuid(),
    team_id uuid not null references public.teams (id) on delete cascade,
    weight integer not null check (weight > 10),
    volume integer not null check (volume < 5),
    check (weight < volume)
);
alter table public.safes enable row level security;
grant select on public.safes to authenticated;
create table public.vault (
    id uuid primary key default gen_random_uuid(),
    team_id uuid not null references public.teams (id) on delete cascade,
    safe_id uuid not null references public.safes (id) on delete cascade
);
alter table public.vault enable row level security;
grant select on public.vault to authenticated;
create policy everybody on public.vault for select to authenticated using (true);
