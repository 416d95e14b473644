-- Help desk: every policy asks a definer helper once per row, is_member(org_id).
create extension if not exists btree_gist with schema extensions;

create schema private;
grant usage on schema private to authenticated;

-- Nothing is handed out by default; every grant below is written down.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke execute on functions from anon, authenticated;
alter default privileges revoke execute on functions from public;

create type public.member_role as enum ('owner', 'admin', 'agent', 'viewer');
create domain public.email_address as text
    check (value ~ '^[^@[:space:]]+@[^@[:space:]]+$' and value = lower(value));

create table public.organizations (
    id uuid primary key default gen_random_uuid(),
    name text not null check (length(name) between 1 and 120),
    status text not null default 'active' check (status in ('active', 'frozen', 'closed')),
    created_at timestamptz not null default now()
);

create table public.organization_members (
    org_id uuid not null references public.organizations (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    role public.member_role not null default 'agent',
    suspended_at timestamptz,
    deleted_at timestamptz,
    joined_at timestamptz not null default now(),
    primary key (org_id, user_id)
);
create index on public.organization_members (user_id);

create table public.profiles (
    user_id uuid primary key references auth.users (id) on delete cascade,
    display_name text not null check (length(display_name) <= 80),
    locale text not null default 'en' check (locale ~ '^[a-z]{2}$')
);

create table public.invites (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.organizations (id) on delete cascade,
    email public.email_address not null,
    role public.member_role not null default 'agent' check (role <> 'owner'),
    token uuid not null default gen_random_uuid() unique,
    expires_at timestamptz not null default now() + interval '7 days',
    accepted_at timestamptz,
    unique (org_id, email)
);

create table public.audit_log (
    id bigint generated always as identity primary key,
    org_id uuid not null references public.organizations (id) on delete cascade,
    actor_id uuid,
    action text not null check (action in ('insert', 'update', 'delete', 'join', 'role')),
    entity text not null,
    entity_id uuid,
    at timestamptz not null default now()
);
create index on public.audit_log (org_id, at);

create function private.is_member(p_org uuid)
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (
        select
        from public.organization_members as m
        join public.organizations as o on o.id = m.org_id
        where m.org_id = p_org
            and m.user_id = (select auth.uid())
            and m.suspended_at is null
            and m.deleted_at is null
            and o.status = 'active'
    )
$$;

create function private.has_role(p_org uuid, p_roles public.member_role [])
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (
        select
        from public.organization_members as m
        join public.organizations as o on o.id = m.org_id
        where m.org_id = p_org
            and m.user_id = (select auth.uid())
            and m.role = any (p_roles)
            and m.suspended_at is null
            and m.deleted_at is null
            and o.status = 'active'
    )
$$;

create function private.shares_org(p_user uuid)
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (
        select
        from public.organization_members as theirs
        where theirs.user_id = p_user
            and theirs.deleted_at is null
            and private.is_member(theirs.org_id)
    )
$$;

create function private.to_uuid(p_text text)
returns uuid
language sql immutable
set search_path = ''
as $$
    select case
        when p_text ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then p_text::uuid
    end
$$;

grant execute on function
    private.is_member(uuid),
    private.has_role(uuid, public.member_role []),
    private.shares_org(uuid),
    private.to_uuid(text)
to authenticated;

alter table public.organizations enable row level security;
alter table public.organization_members enable row level security;
alter table public.profiles enable row level security;
alter table public.invites enable row level security;
alter table public.audit_log enable row level security;

grant select, update (name) on public.organizations to authenticated;
grant select on public.organization_members to authenticated;
grant select, insert, update on public.profiles to authenticated;
grant select (id, org_id, email, role, expires_at, accepted_at) on public.invites to authenticated;
grant insert (org_id, email, role) on public.invites to authenticated;
grant delete on public.invites to authenticated;
grant select on public.audit_log to authenticated;

create policy organizations_select on public.organizations for select to authenticated
using (private.is_member(id));
create policy organizations_update on public.organizations for update to authenticated
using (private.has_role(id, '{owner,admin}'))
with check (private.has_role(id, '{owner,admin}'));

create policy members_select on public.organization_members for select to authenticated
using (private.is_member(org_id));

create policy profiles_select on public.profiles for select to authenticated
using (user_id = (select auth.uid()) or private.shares_org(user_id));
create policy profiles_insert on public.profiles for insert to authenticated
with check (user_id = (select auth.uid()));
create policy profiles_update on public.profiles for update to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));

create policy invites_select on public.invites for select to authenticated
using (private.has_role(org_id, '{owner,admin}'));
create policy invites_insert on public.invites for insert to authenticated
with check (private.has_role(org_id, '{owner,admin}'));
create policy invites_delete on public.invites for delete to authenticated
using (private.has_role(org_id, '{owner,admin}'));

create policy audit_log_select on public.audit_log for select to authenticated
using (private.has_role(org_id, '{owner,admin}'));

-- An invitation is bound to an address, has an end, and works once.
create function public.accept_invite(p_token uuid)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
    invite public.invites;
begin
    update public.invites
    set accepted_at = now()
    where token = p_token
        and email = lower(auth.jwt() ->> 'email')
        and accepted_at is null
        and expires_at > now()
    returning * into invite;
    if invite.id is null or auth.uid() is null then
        raise exception 'this invitation cannot be used' using errcode = 'PT403';
    end if;
    insert into public.organization_members (org_id, user_id, role)
    values (invite.org_id, auth.uid(), invite.role)
    on conflict do nothing;
    insert into public.audit_log (org_id, actor_id, action, entity, entity_id)
    values (invite.org_id, auth.uid(), 'join', 'invites', invite.id);
    return invite.org_id;
end
$$;

create function public.change_role(p_org uuid, p_user uuid, p_role public.member_role)
returns void
language plpgsql security definer
set search_path = ''
as $$
begin
    if private.has_role(p_org, '{owner}') is not true or p_user = auth.uid() then
        raise exception 'only another owner may do this' using errcode = 'PT403';
    end if;
    update public.organization_members
    set role = p_role
    where org_id = p_org and user_id = p_user;
    insert into public.audit_log (org_id, actor_id, action, entity, entity_id)
    values (p_org, auth.uid(), 'role', 'organization_members', p_user);
end
$$;

grant execute on function
    public.accept_invite(uuid),
    public.change_role(uuid, uuid, public.member_role)
to authenticated;
