-- Rights that a trigger on the seats keeps ready: policies read nothing but them.
create schema private;
grant usage on schema private to authenticated;
create table public.organizations (id uuid primary key default gen_random_uuid(), name text not null);
create table public.memberships (
    organization_id uuid not null references public.organizations (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    role text not null default 'member' check (role in ('owner', 'member', 'viewer')),
    status text not null default 'active' check (status in ('active', 'suspended')),
    primary key (organization_id, user_id)
);
create table private.rights (
    organization_id uuid not null,
    user_id uuid not null,
    may_write boolean not null,
    primary key (user_id, organization_id)
);
create function private.keep_rights() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op <> 'INSERT' then
        delete from private.rights r
        where r.organization_id = old.organization_id and r.user_id = old.user_id;
    end if;
    if tg_op <> 'DELETE' then
        if new.status = 'active' then
            insert into private.rights
            values (new.organization_id, new.user_id, new.role in ('owner', 'member'));
        end if;
    end if;
    return null;
end $$;
create trigger keep_rights after insert or update or delete on public.memberships
for each row execute function private.keep_rights();
create function private.reads() returns setof uuid
language sql stable security definer set search_path = '' as $$
    select r.organization_id from private.rights r where r.user_id = auth.uid()
$$;
create function private.writes() returns setof uuid
language sql stable security definer set search_path = '' as $$
    select r.organization_id from private.rights r where r.user_id = auth.uid() and r.may_write
$$;
create table public.contacts (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    name text not null
);
alter table public.organizations enable row level security;
alter table public.memberships enable row level security;
alter table public.contacts enable row level security;
create policy r on public.organizations for select to authenticated
using (id in (select private.reads()));
create policy r on public.memberships for select to authenticated
using (organization_id in (select private.reads()));
create policy r on public.contacts for select to authenticated
using (organization_id in (select private.reads()));
create policy w on public.contacts for insert to authenticated
with check (organization_id in (select private.writes()));
create policy u on public.contacts for update to authenticated
using (organization_id in (select private.writes()));
create policy d on public.contacts for delete to authenticated
using (organization_id in (select private.writes()));
