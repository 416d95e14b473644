-- Nested: organizations hold teams, people are in both, records belong to a team.
create table public.orgs (id uuid primary key default gen_random_uuid(), name text not null);
create table public.people (
    id uuid primary key references auth.users (id) on delete cascade,
    org_id uuid not null references public.orgs (id),
    is_manager boolean not null default false,
    nickname text
);
create table public.teams (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.orgs (id) on delete cascade,
    parent_id uuid references public.teams (id),
    name text not null
);
create table public.team_people (
    team_id uuid not null references public.teams (id) on delete cascade,
    person_id uuid not null references public.people (id) on delete cascade,
    primary key (team_id, person_id)
);
create table public.docs (
    id uuid primary key default gen_random_uuid(),
    team_id uuid not null references public.teams (id) on delete cascade,
    title text not null,
    search tsvector generated always as (to_tsvector('simple', title)) stored
);
create function public.my_org() returns uuid language sql stable security definer
set search_path = '' as $$ select p.org_id from public.people p where p.id = auth.uid() $$;
create function public.my_teams() returns setof uuid language sql stable security definer
set search_path = '' as $$
    with recursive t as (
        select tp.team_id as id from public.team_people tp where tp.person_id = auth.uid()
        union
        select c.id from public.teams c join t on c.parent_id = t.id)
    select id from t
$$;
alter table public.orgs enable row level security;
alter table public.people enable row level security;
alter table public.teams enable row level security;
alter table public.team_people enable row level security;
alter table public.docs enable row level security;
revoke update on public.people from authenticated, anon;
grant update (nickname) on public.people to authenticated;
create policy s on public.orgs for select to authenticated using (id = (select public.my_org()));
create policy s on public.people for select to authenticated
using (org_id = (select public.my_org()));
create policy u on public.people for update to authenticated
using (id = (select auth.uid())) with check (id = (select auth.uid()));
create policy s on public.teams for select to authenticated using (org_id = (select public.my_org()));
create policy s on public.team_people for select to authenticated
using (team_id in (select public.my_teams()));
create policy a on public.docs for all to authenticated
using (team_id = any (array(select public.my_teams())))
with check (team_id = any (array(select public.my_teams())));
