"""Policy idioms on one small schema: which are sound, which leak, which nobody can tell."""

from __future__ import annotations

from typing import Any

import psycopg

from harmonia_py.isolation.infer import infer
from harmonia_py.isolation.introspect import introspect
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.proof import Proof, prove_table

BASE = """
create schema app;
grant usage on schema app to authenticated;
create table public.orgs (id uuid primary key);
create table public.members (
    org_id uuid not null references public.orgs (id),
    user_id uuid not null references auth.users (id),
    role text not null check (role in ('admin', 'member')),
    status text not null default 'active' check (status in ('active', 'suspended')),
    primary key (org_id, user_id)
);
create table public.boards (
    id uuid primary key,
    org_id uuid not null references public.orgs (id)
);
create table public.notes (
    id uuid primary key,
    org_id uuid not null references public.orgs (id),
    board_id uuid references public.boards (id),
    owner_id uuid,
    is_public boolean not null default false
);
create table public.cards (
    id uuid primary key,
    board_id uuid not null references public.boards (id)
);
create function app.is_member(o uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.members m
        where m.org_id = o and m.user_id = auth.uid() and m.status = 'active'
    )
$$;
create function app.is_member_forgetting_status(o uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select 1 from public.members m where m.org_id = o and m.user_id = auth.uid())
$$;
create function app.is_member_of_anything(o uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select 1 from public.members m where m.user_id = auth.uid())
$$;
create function app.role_in(o uuid) returns text
language plpgsql stable security definer set search_path = '' as $$
declare
    v_role text;
begin
    if auth.uid() is null then
        return null;
    end if;
    select m.role into v_role from public.members m
    where m.org_id = o and m.user_id = auth.uid() and m.status = 'active';
    if not found then
        return 'none';
    end if;
    return v_role;
end
$$;
create function app.my_orgs() returns setof uuid
language sql stable security definer set search_path = '' as $$
    select m.org_id from public.members m
    where m.user_id = auth.uid() and m.status = 'active'
$$;
create function app.my_org_array() returns uuid[]
language sql stable security definer set search_path = '' as $$
    select coalesce(array_agg(m.org_id), '{}') from public.members m
    where m.user_id = auth.uid() and m.status = 'active'
$$;
create function app.performed(o uuid) returns boolean
language plpgsql stable security definer set search_path = '' as $$
begin
    perform 1 from public.members m
    where m.org_id = o and m.user_id = auth.uid() and m.status = 'active';
    return found;
end
$$;
create function app.performed_of_anything(o uuid) returns boolean
language plpgsql stable security definer set search_path = '' as $$
begin
    perform 1 from public.members m where m.user_id = auth.uid();
    return found;
end
$$;
create function app.dynamic(o uuid) returns boolean
language plpgsql stable security definer set search_path = '' as $$
declare
    v_found boolean;
begin
    execute format('select exists (select 1 from public.members where org_id = %L)', o)
    into v_found;
    return v_found;
end
$$;
create function app.may(o uuid, p_any boolean default false) returns boolean
language plpgsql stable security definer set search_path = '' as $$
begin
    return p_any or app.is_member(o);
end
$$;
create function app.may_unless_told(o uuid, p_any boolean default true) returns boolean
language plpgsql stable security definer set search_path = '' as $$
begin
    return p_any or app.is_member(o);
end
$$;
create function app.second(a uuid, b uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select app.is_member(b) or (a is null and b is null)
$$;
create function app.all_orgs() returns uuid[]
language sql stable security definer set search_path = '' as $$
    select array_agg(o.id) from public.orgs o
$$;
create function app.left_joined(o uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.orgs g
        left join public.members m on m.org_id = g.id and m.user_id = auth.uid()
        where g.id = o and coalesce(m.status, 'active') = 'active'
    )
$$;
create function app.unbanned(o uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.orgs g
        left join public.members m
            on m.org_id = g.id and m.user_id = auth.uid() and m.status = 'suspended'
        where g.id = o and m.user_id is null
    )
$$;
create function app.right_joined(o uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.members m
        right join public.orgs g on m.org_id = g.id and m.user_id = auth.uid()
        where g.id = o
    )
$$;
create table app.members (org_id uuid not null, user_id uuid not null, status text not null);
create function app.listed(o uuid) returns boolean
language sql stable security definer set search_path = app, public as $$
    select exists (select 1 from members m where m.org_id = o or m.user_id = auth.uid())
$$;
create function app.inner_joined(o uuid) returns boolean
language sql stable security definer set search_path = public, app as $$
    select exists (
        select 1 from orgs g left join members m on m.org_id = g.id
        where g.id = o and m.user_id = auth.uid() and m.status = 'active'
    )
$$;
create function app.banned(o uuid) returns integer
language plpgsql stable security definer set search_path = '' as $$
declare
    v_count integer;
begin
    select count(*) into v_count from public.members m
    where m.org_id = o and m.user_id = auth.uid() and m.status = 'suspended';
    return v_count;
end
$$;
create function app.not_told(o uuid) returns boolean
language plpgsql stable security definer set search_path = '' as $$
begin
    return app.is_member(o);
exception when others then
    return true;
end
$$;
create function app.looped(o uuid) returns boolean
language plpgsql stable security definer set search_path = '' as $$
declare
    m record;
begin
    for m in select * from public.members x where x.user_id = auth.uid() loop
        if m.org_id <> o then
            return true;
        end if;
    end loop;
    return false;
end
$$;
create function app.has_role(o uuid, p_roles text[]) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.members m
        where m.org_id = o and m.user_id = auth.uid() and m.status = 'active'
        and m.role = any (p_roles)
    )
$$;
create function app.has_role_anywhere(p_roles text[]) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.members m
        where m.user_id = auth.uid() and m.status = 'active' and m.role = any (p_roles)
    )
$$;
create function app.sees(o uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select app.is_member(o)
$$;
create function app.sees(o text) returns boolean
language sql stable security definer set search_path = '' as $$
    select app.is_member(o::uuid)
$$;
create function app.uid() returns uuid
language sql stable set search_path = '' as $$
    select (current_setting('request.headers', true)::json ->> 'x-user')::uuid
$$;
create function app.is_called(o uuid) returns boolean
language sql stable security definer set search_path = app as $$
    select exists (select 1 from public.members m where m.org_id = o and m.user_id = uid())
$$;
alter table public.orgs enable row level security;
alter table public.members enable row level security;
alter table public.boards enable row level security;
alter table public.notes enable row level security;
alter table public.cards enable row level security;
grant select, insert, update, delete on public.notes, public.cards to authenticated;
grant select on public.orgs, public.members, public.boards to authenticated;
create policy p on public.members for select to authenticated
using (org_id in (select app.my_orgs()));
create policy p on public.orgs for select to authenticated using (id in (select app.my_orgs()));
create policy p on public.boards for select to authenticated
using (org_id in (select app.my_orgs()));
"""

EXISTS = (
    "exists (select 1 from public.members m where m.org_id = notes.org_id"
    " and m.user_id = auth.uid() and m.status = 'active')"
)
SOUND = {
    "a helper that looks for a row": "app.performed(org_id)",
    "helper per row": "app.is_member(org_id)",
    "plpgsql helper": "app.role_in(org_id) in ('admin', 'member')",
    "in a set": "org_id in (select app.my_orgs())",
    "any of an array sub-query": "org_id = any (array(select app.my_orgs()))",
    "any of an array function": "org_id = any ((select app.my_org_array())::uuid[])",
    "correlated exists": EXISTS,
    "in a sub-query": "org_id in (select m.org_id from public.members m"
    " where m.user_id = (select auth.uid()) and m.status = 'active')",
    "two axes": f"{EXISTS} and owner_id = auth.uid()",
    "case": "case when app.is_member(org_id) then true else false end",
    "coalesce": "coalesce(app.is_member(org_id), false)",
    "through a visible parent": "exists (select 1 from public.boards b"
    " where b.id = board_id and b.org_id = notes.org_id)",
    "a default": "app.may(org_id)",
    "arguments by name": "app.second(b => org_id, a => null::uuid)",
    "a list of roles": "app.has_role(org_id, '{admin,\"member\"}'::text[])",
    "a count": "(select count(*) from public.members m where m.org_id = notes.org_id"
    " and m.user_id = auth.uid() and m.status = 'active') > 0",
    "a count of at least one": "1 <= (select count(*) filter (where m.status = 'active')"
    " from public.members m where m.org_id = notes.org_id and m.user_id = auth.uid())",
    "the best role": "(select max(m.role) from public.members m where m.org_id = notes.org_id"
    " and m.user_id = auth.uid() and m.status = 'active') = 'admin'",
    "any that is active": "(select bool_or(m.status = 'active') from public.members m"
    " where m.org_id = notes.org_id and m.user_id = auth.uid())",
    "coalesced to nothing": "org_id = any (coalesce((select array_agg(m.org_id)"
    " from public.members m where m.user_id = auth.uid() and m.status = 'active'), '{}'))",
    "a partner in a left join": "app.inner_joined(org_id)",
    "never null": "app.is_member(org_id) is not false",
    "not not": f"not (not {EXISTS} or false)",
}
LEAKY = {
    "a helper that looks for any row": "app.performed_of_anything(org_id)",
    "always": "true",
    "signed in": "auth.uid() is not null",
    "or owner": f"{EXISTS} or owner_id = auth.uid()",
    "member of anything": "app.is_member_of_anything(org_id)",
    "uncorrelated exists": "exists (select 1 from public.members m where m.user_id = auth.uid())",
    "self comparison": "exists (select 1 from public.members m where m.org_id = m.org_id"
    " and m.user_id = auth.uid())",
    "status forgotten": "app.is_member_forgetting_status(org_id)",
    "wrong default": "app.role_in(org_id) <> 'admin'",
    "user metadata": "org_id = (auth.jwt() -> 'user_metadata' ->> 'org_id')::uuid",
    "wrapped user metadata": "org_id::text = ((select auth.jwt()) -> 'user_metadata') ->> 'org_id'",
    "lowered user metadata": "org_id::text = lower(auth.jwt() -> 'user_metadata' ->> 'org_id')",
    "header": "org_id::text = current_setting('request.headers', true)::json ->> 'x-org'",
    "an empty count": "(select count(*) from public.members m where m.org_id = notes.org_id"
    " and m.user_id = auth.uid() and m.status = 'suspended') = 0",
    "an empty count in a helper": "app.banned(org_id) = 0",
    "coalesced to everything": "org_id = any (coalesce((select array_agg(m.org_id)"
    " from public.members m where m.user_id = auth.uid()), app.all_orgs()))",
    "a cut id": "org_id::text::varchar(1) in (select m.org_id::text::varchar(1)"
    " from public.members m where m.user_id = auth.uid())",
    "not in": "auth.uid() not in (select m.user_id from public.members m"
    " where m.org_id = notes.org_id)",
    "a union": "org_id in (select app.my_orgs() union"
    " select o.id from unnest(app.all_orgs()) as o (id))",
    "a loop": "app.looped(org_id)",
    "a left join": "app.left_joined(org_id)",
    "no partner in a left join": "app.unbanned(org_id)",
    "no partner in a right join": "app.right_joined(org_id)",
    "another table of that name": "app.listed(org_id)",
    "a count that exists": "exists (select count(*) from public.members m"
    " where m.org_id = notes.org_id and m.user_id = auth.uid())",
    "no other": "(select bool_and(m.org_id <> notes.org_id) from public.members m"
    " where m.user_id = auth.uid())",
    "the last one": "(select max(m.status) from public.members m"
    " where m.user_id = auth.uid()) = 'active'",
    "a uid of one's own": "app.is_called(org_id)",
    "a default that opens": "app.may_unless_told(org_id)",
    "a list of roles anywhere": "app.has_role_anywhere('{admin,member}'::text[])",
    "null slips through": "(select m.role from public.members m where m.org_id = notes.org_id"
    " and m.user_id = auth.uid()) is distinct from 'banned'",
}
UNDECIDED = {
    "dynamic sql": "app.dynamic(org_id)",
    "several forms": "app.sees(org_id)",
    "an exception": "app.not_told(org_id)",
    "different from all": "org_id <> all (array(select app.my_orgs()))",
    "the greater": "greatest(org_id::text, '') = org_id::text",
    "a row of names": "(org_id, 'active') in"
    " (select o.id, 'active' from unnest(app.all_orgs()) as o (id))",
}


def build(conn: psycopg.Connection[Any], table: str, predicate: str) -> list[Proof]:
    for command, clause in (
        ("select", "using"), ("delete", "using"), ("insert", "with check"), ("update", "using"),
    ):  # fmt: skip
        conn.execute(
            f"create policy {command}_p on public.{table} for {command} to authenticated"
            f" {clause} ({predicate})".encode()
        )
    catalog = introspect(conn)
    return prove_table(catalog, model(conn), catalog.tables[f"public.{table}"])


def model(conn: psycopg.Connection[Any]) -> TenancyModel:
    return infer(introspect(conn))
