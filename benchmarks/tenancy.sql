-- The tenancy of a generated project: who belongs to which organization, and the one helper.
create table public.organizations (
    id uuid primary key default gen_random_uuid(),
    name text not null check (char_length(name) between 1 and 80),
    slug text not null unique check (slug ~ '^[a-z0-9-]{2,40}$'),
    created_at timestamptz not null default now()
);
create table public.memberships (
    organization_id uuid not null references public.organizations (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    role text not null check (role in ('owner', 'admin', 'member', 'viewer')),
    status text not null default 'active' check (status in ('active', 'suspended')),
    primary key (organization_id, user_id)
);
create table public.profiles (
    user_id uuid primary key references auth.users (id) on delete cascade,
    display_name text not null,
    locale text not null default 'en' check (char_length(locale) between 2 and 8)
);

create schema private;
grant usage on schema private to authenticated;
create function private.org_ids(p_roles text [])
returns setof uuid
language sql
stable
security definer
set search_path = ''
as $$
    select m.organization_id
    from public.memberships as m
    where m.user_id = auth.uid() and m.status = 'active' and m.role = any(p_roles)
$$;

alter table public.organizations enable row level security;
alter table public.memberships enable row level security;
alter table public.profiles enable row level security;
grant select, update on public.organizations to authenticated;
grant select on public.memberships to authenticated;
grant select, insert, update on public.profiles to authenticated;
create policy select_member on public.organizations for select to authenticated
using (id = any(array(select private.org_ids('{owner,admin,member,viewer}'))));
create policy update_owner on public.organizations for update to authenticated
using (id = any(array(select private.org_ids('{owner}'))))
with check (id = any(array(select private.org_ids('{owner}'))));
create policy select_member on public.memberships for select to authenticated
using (organization_id = any(array(select private.org_ids('{owner,admin,member,viewer}'))));
create policy select_self on public.profiles for select to authenticated
using (user_id = (select auth.uid()));
create policy insert_self on public.profiles for insert to authenticated
with check (user_id = (select auth.uid()));
create policy update_self on public.profiles for update to authenticated
using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
