"""Projects that name the caller or the tenant by a setting of their own."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

TABLES = """
create table public.orgs (id uuid primary key default gen_random_uuid(), name text not null);
create table public.tasks (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.orgs (id) on delete cascade, title text not null
);
create table public.files (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.orgs (id) on delete cascade, path text not null
);
alter table public.orgs enable row level security;
alter table public.tasks enable row level security;
alter table public.files enable row level security;
"""
SEATS = """
create table public.seats (
    org_id uuid not null references public.orgs (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    role text not null check (role in ('admin', 'member')), primary key (org_id, user_id)
);
alter table public.seats enable row level security;
"""
TENANT = "current_setting('app.tenant_id'{})::uuid"
USER = "nullif(current_setting('app.user_id', true), '')::uuid"


def by_tenant(missing: str) -> str:
    mine = TENANT.format(missing)
    return f"""{TABLES}
create policy p on public.orgs for select to authenticated using (id = {mine});
create policy p on public.tasks to authenticated using (org_id = {mine});
create policy p on public.files to authenticated using (org_id = {mine});
"""


BY_USER = f"""{TABLES}{SEATS}
create policy p on public.seats for select to authenticated using (user_id = {USER});
create policy p on public.orgs for select to authenticated using (
    id in (select s.org_id from public.seats s where s.user_id = {USER}));
create policy p on public.tasks to authenticated using (
    org_id in (select s.org_id from public.seats s where s.user_id = {USER}));
create policy p on public.files to authenticated using (
    org_id in (select s.org_id from public.seats s where s.user_id = {USER}));
"""
OWN = f"""
create table public.notes (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references auth.users (id) on delete cascade, said text not null
);
alter table public.notes enable row level security;
create policy p on public.notes to authenticated using (user_id = {USER});
"""
ME = f"""create function public.me() returns uuid language sql stable set search_path = ''
as $$ select {USER} $$;"""
SHAPES = {
    "the caller, by a function": ME + BY_USER.replace(USER, "(select public.me())"),
    "the tenant": by_tenant(", true"),
    "the tenant, and an error without": by_tenant(""),
    "the caller": BY_USER,
    "the caller of one's own rows": OWN,
}


SETTER = """
create schema if not exists private;
grant usage on schema private to anon, authenticated;
create function private.pre_request() returns void language plpgsql set search_path = '' as $$
begin
    perform set_config('app.{}', coalesce({}, ''), true);
end
$$;
"""
TOKEN = {
    "app.tenant_id": "auth.jwt() -> 'app_metadata' ->> 'tenant_id'",
    "app.user_id": "auth.jwt() ->> 'sub'",
}
HEADER = "current_setting('request.headers', true)::json ->> 'x-tenant-id'"
PROFILE = "auth.jwt() -> 'user_metadata' ->> 'tenant_id'"


def named(shape: str) -> str:
    return "app.tenant_id" if "tenant" in shape else "app.user_id"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_setting_that_nothing_sets_is_no_proof(judge: Judge, shape: str) -> None:
    report = judge("empty", SHAPES[shape], proven=True)
    assert [(f.rule, f.kind) for f in report.findings] == [("settings.caller", "breach")]
    (found,) = report.findings
    assert named(shape) in found.title and "Nothing in the project sets it" in found.why
    assert {c.status for c in report.coverage} == {"tested"}
    assert (report.errors, report.not_judged) == ((), ())
    assert {*found.members} == {c.table for c in report.coverage}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_function_sets_before_a_request_is_assumed_and_said(
    judge: Judge, shape: str
) -> None:
    name = named(shape)
    change = SHAPES[shape] + SETTER.format(name.removeprefix("app."), TOKEN[name])
    report = judge("empty", change, proven=True)
    assert (report.findings, report.errors) == ((), ())
    assert [n.object for n in report.not_judged] == [f"setting {name}"]
    assert "private.pre_request() sets it" in report.not_judged[0].reason
    assert {c.status for c in report.coverage} == {"proven"}
    assert (report.exit_code(), report.exit_code(strict=True)) == (0, 3)


@pytest.mark.parametrize("sent", [HEADER, PROFILE])
def test_a_function_that_sets_what_its_caller_sends(judge: Judge, sent: str) -> None:
    report = judge("empty", by_tenant(", true") + SETTER.format("tenant_id", sent), proven=True)
    assert [(f.rule, f.kind, f.object) for f in report.findings] == [
        ("settings.caller", "breach", "private.pre_request()")
    ]


def test_a_tenant_that_is_chosen_among_ones_own_is_no_finding(judge: Judge) -> None:
    change = BY_USER.replace(USER, "auth.uid()")
    for table in ("tasks", "files"):
        change += f"""
create policy chosen on public.{table} as restrictive to authenticated
using (org_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
"""
    report = judge("empty", change, proven=True)
    assert (report.findings, report.errors, report.not_judged) == ((), (), ())


def test_a_function_that_takes_the_tenant_is_named_as_what_sets_it(judge: Judge) -> None:
    told = """create function public.enter(tenant uuid) returns text language sql
    set search_path = '' as $$ select set_config('app.tenant_id', tenant::text, true) $$;"""
    report = judge("empty", by_tenant(", true") + told)
    found = {f.rule: f for f in report.findings}
    assert {"settings.caller", "rpc.setting"} <= {*found}
    assert "public.enter(uuid)" in found["settings.caller"].why
