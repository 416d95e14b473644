"""Tenants that were closed: what some policies ask for, and others forget."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

BASE = """
create schema if not exists private;
grant usage on schema private to anon, authenticated;
create table public.orgs (
    id uuid primary key default gen_random_uuid(), name text not null, {state}
);
create table public.seats (
    org_id uuid not null references public.orgs (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    role text not null check (role in ('admin', 'member')), primary key (org_id, user_id)
);
{more}
create table public.tasks (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.orgs (id) on delete cascade, title text not null
);
create table public.files (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.orgs (id) on delete cascade, path text not null
);
create table public.bills (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.orgs (id) on delete cascade, total text not null
);
create function private.seated(org uuid) returns boolean language sql stable security definer
set search_path = '' as $$ select exists (
    select 1 from public.seats s where s.org_id = org and s.user_id = auth.uid()) $$;
create function private.open_to(org uuid) returns boolean language sql stable security definer
set search_path = '' as $$ select private.seated(org) and exists (
    select 1 from {where}) $$;
alter table public.orgs enable row level security;
alter table public.seats enable row level security;
alter table public.tasks enable row level security;
alter table public.files enable row level security;
alter table public.bills enable row level security;
create policy r on public.orgs for select to authenticated using (private.seated(id));
create policy r on public.seats for select to authenticated using (user_id = auth.uid());
"""
PAID = """
create table public.subscriptions (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null unique references public.orgs (id) on delete cascade,
    status text not null default 'active' check (status in ('active', 'past_due', 'canceled'))
);
alter table public.subscriptions enable row level security;
"""
OPEN = "public.orgs o where o.id = org and "
STATES = {
    "a word": (
        "status text not null default 'active' check (status in ('active', 'closed'))",
        OPEN + "o.status = 'active'",
        "",
    ),
    "a word of no list": (
        "status text not null default 'active'",
        OPEN + "o.status <> 'closed'",
        "",
    ),
    "closed_at": ("closed_at timestamptz", OPEN + "o.closed_at is null", ""),
    "deleted_at": ("deleted_at timestamptz", OPEN + "o.deleted_at is null", ""),
    "suspended_at": ("suspended_at timestamptz", OPEN + "o.suspended_at is null", ""),
    "a second mark": (
        "plan_status text default 'trial' check (plan_status in ('trial', 'active', 'expired')),"
        " archived_at timestamptz",
        OPEN + "o.archived_at is null",
        "",
    ),
    "is_active": ("is_active boolean not null default true", OPEN + "o.is_active", ""),
    "is_suspended": (
        "is_suspended boolean not null default false",
        OPEN + "not o.is_suspended",
        "",
    ),
    "a subscription": (
        "slug text",
        "public.subscriptions b where b.org_id = org and b.status = 'active'",
        PAID,
    ),
}


def project(state: str, asked: str, forgetful: str = "") -> str:
    column, where, more = STATES[state]
    out = BASE.format(state=column, where=where, more=more)
    for table in ("tasks", "files", "bills"):
        helper = "private.seated" if table in forgetful else asked
        for command in ("select", "insert", "update", "delete"):
            clause = "with check" if command == "insert" else "using"
            called = "private.seated" if asked == "reads" and command == "select" else helper
            called = called if called != "reads" else "private.open_to"
            out += f"""
create policy {command}_p on public.{table} for {command} to authenticated
{clause} ({called}(org_id));"""
    return out


@pytest.mark.parametrize("state", STATES)
def test_what_forgets_the_state_is_reported(judge: Judge, state: str) -> None:
    report = judge("empty", project(state, "private.open_to", "bills"))
    found = [(f.rule, f.members) for f in report.findings]
    assert found == [("lifecycle.closed", ("public.bills",))]
    assert not report.errors


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("asked", ["private.open_to", "reads"])
def test_what_asks_alike_is_not(judge: Judge, state: str, asked: str) -> None:
    report = judge("empty", project(state, asked))
    assert [f.rule for f in report.findings] == []
    assert not report.errors


ONE_ASKS = project("closed_at", "private.open_to", "files and bills")
READS_STAY = f"""{project("closed_at", "reads")}
drop policy select_p on public.files;
create policy select_p on public.files for select to authenticated
using (private.open_to(org_id));
"""


def test_one_table_that_closes_says_that_closing_matters(judge: Judge) -> None:
    report = judge("empty", ONE_ASKS)
    assert {f.rule for f in report.findings} == {"lifecycle.closed"}
    assert {m for f in report.findings for m in f.members} == {"public.bills", "public.files"}


def test_reads_that_stay_open_on_purpose_are_no_finding(judge: Judge) -> None:
    assert judge("empty", READS_STAY).findings == ()


def test_what_only_one_table_asks_to_be_paid_is_no_closing(judge: Judge) -> None:
    paid = project("a subscription", "private.open_to", "files and bills")
    assert judge("empty", paid).findings == ()
