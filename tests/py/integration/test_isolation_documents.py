"""Tokens that keep the caller's roles as an object keyed by the tenant."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

from harmonia_py.isolation.infer.claims import claims_in

TABLES = """
create table public.orgs (id uuid primary key default gen_random_uuid(), name text not null);
create table public.projects (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.orgs (id) on delete cascade, name text not null
);
create table public.tasks (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.orgs (id) on delete cascade, title text not null
);
alter table public.orgs enable row level security;
alter table public.projects enable row level security;
alter table public.tasks enable row level security;
"""
ROLE = "(auth.jwt() -> 'app_metadata' -> 'orgs' ->> {}::text)"
INNER = "(auth.jwt() -> 'app_metadata' -> 'orgs' -> {}::text ->> 'role')"
HELPERS = """
create function public.role_in(org uuid) returns text language sql stable set search_path = ''
as $$ select auth.jwt() -> 'app_metadata' -> 'orgs' ->> org::text $$;
create function public.has_role(org uuid, roles text[]) returns boolean
language sql stable set search_path = ''
as $$ select (auth.jwt() -> 'app_metadata' -> 'orgs' ->> org::text) = any (roles) $$;
"""
SHAPES = {
    "a role for each tenant": (f"{ROLE} in ('admin', 'member')", f"{ROLE} = 'admin'"),
    "an object for each tenant": (f"{INNER} in ('admin', 'member')", f"{INNER} = 'admin'"),
    "its keys": (
        "(auth.jwt() -> 'app_metadata' -> 'roles') ? {}::text",
        "(auth.jwt() -> 'app_metadata' -> 'roles' ->> {}::text) = 'admin'",
    ),
    "nothing but keys": ("(auth.jwt() -> 'app_metadata' -> 'roles') ? {}::text",) * 2,
    "a list for each tenant": (
        "(auth.jwt() -> 'app_metadata' -> 'orgs' -> {}::text) ?| array['admin', 'member']",
        "(auth.jwt() -> 'app_metadata' -> 'orgs' -> {}::text) ? 'admin'",
    ),
    "keys in a set": (
        "{}::text in (select jsonb_object_keys(auth.jwt() -> 'app_metadata' -> 'orgs'))",
        f"{ROLE} = 'admin'",
    ),
    "helpers": ("public.role_in({}) in ('admin', 'member')", "public.has_role({}, '{{admin}}')"),
    "a helper with a list": (
        "public.has_role({}, array['admin', 'member'])",
        "public.has_role({}, array['admin'])",
    ),
}
LEAKS = {
    "the object exists": "(auth.jwt() -> 'app_metadata' -> 'orgs') is not null",
    "the key exists": "auth.jwt() -> 'app_metadata' ? 'orgs'",
    "what users write": (
        "(auth.jwt() -> 'user_metadata' -> 'orgs' ->> org_id::text) in ('admin', 'member')"
    ),
    "an object that users write": (
        "(auth.jwt() -> 'user_metadata' -> 'orgs' -> org_id::text ->> 'role')"
        " in ('admin', 'member')"
    ),
}


def project(read: str, write: str) -> str:
    out = HELPERS + TABLES
    ours = read.format("id")
    out += f"create policy r on public.orgs for select to authenticated using ({ours});"
    for table in ("projects", "tasks"):
        mine, theirs = read.format("org_id"), write.format("org_id")
        out += f"""
create policy r on public.{table} for select to authenticated using ({mine});
create policy i on public.{table} for insert to authenticated with check ({theirs});
create policy u on public.{table} for update to authenticated using ({theirs});
create policy d on public.{table} for delete to authenticated using ({theirs});
"""
    return out


@pytest.mark.parametrize("shape", SHAPES)
def test_a_token_that_holds_an_object_of_tenants_lets_members_in(judge: Judge, shape: str) -> None:
    report = judge("empty", project(*SHAPES[shape]), proven=True)
    assert (report.findings, report.errors, report.not_judged) == ((), (), ())
    judged = next(c for c in report.coverage if c.table == "public.tasks")
    assert judged.status == "proven"
    assert {"select", "insert", "update", "delete"} <= {*judged.controls}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_policy_that_only_looks_whether_there_is_one_leaks(judge: Judge, leak: str) -> None:
    change = "; drop policy r on public.tasks; create policy r on public.tasks for select"
    change += f" to authenticated using ({LEAKS[leak]})"
    report = judge("empty", project(*SHAPES["a role for each tenant"]) + change, proven=True)
    assert [(f.kind, f.members) for f in report.findings] == [("breach", ("public.tasks",))]


SEATS = """
create table public.seats (
    org_id uuid not null references public.orgs (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    role text not null check (role in ('admin', 'member')), primary key (org_id, user_id)
);
alter table public.seats enable row level security;
create policy r on public.seats for select to authenticated using (user_id = auth.uid());
"""


def test_seats_that_the_token_repeats_are_believed_by_either(judge: Judge) -> None:
    read, write = SHAPES["a role for each tenant"]
    change = project(read, write) + SEATS
    report = judge("empty", change, proven=True)
    assert (report.findings, report.errors, report.not_judged) == ((), (), ())
    looser = f"coalesce({ROLE.format('org_id')}, 'none') <> 'banned'"
    change += f"; drop policy d on public.tasks; create policy d on public.tasks using ({looser})"
    report = judge("empty", change, proven=True)
    assert [(f.kind, f.members) for f in report.findings] == [("breach", ("public.tasks",))]


def test_a_name_of_a_right_is_no_tenant() -> None:
    right = "select auth.jwt() -> 'app_metadata' -> 'rights' ? p_right"
    assert claims_in(right) == {"app_metadata.rights": "tenants"}
    named = "select auth.jwt() -> 'app_metadata' -> 'orgs' -> cast(p_org as text) ->> 'role'"
    assert claims_in(named) == {"app_metadata.orgs.*.role": "role"}
    assert claims_in("select auth.jwt() -> 'app_metadata' -> claim") == {}
