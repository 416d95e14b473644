"""Rows that belong to nobody: accounts that a project keeps itself, and what all may read."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

PEOPLE = """
create table public.people (
    id uuid primary key default gen_random_uuid(), nick text, {column} text not null
);
alter table public.people enable row level security;
revoke insert, update, delete on public.people from anon, authenticated;
create policy look on public.people for select using ({look});
"""


@pytest.mark.parametrize(
    ("column", "look", "rules"),
    [
        ("password_hash", "true", ["column.credential"]),
        ("password_hash", "false", []),
        ("colour", "true", []),
    ],
)
def test_nobodys_rows_hold_credentials_too(
    judge: Judge, column: str, look: str, rules: list[str]
) -> None:
    report = judge("helper", PEOPLE.format(column=column, look=look))
    assert [f.rule for f in report.findings if f.object == "public.people"] == rules


TEAM = """
create table public.firms (
    id uuid primary key default gen_random_uuid(), name text,
    made_by uuid not null references auth.users (id)
);
create table public.calls (
    id uuid primary key default gen_random_uuid(), said text,
    firm_id uuid references public.firms (id),
    made_by uuid not null references auth.users (id)
);
alter table public.firms enable row level security;
alter table public.calls enable row level security;
create policy look on public.firms for select to authenticated using ({look});
create policy own on public.firms for insert to authenticated with check (made_by = auth.uid());
create policy own on public.calls to authenticated using (made_by = auth.uid());
"""


@pytest.mark.parametrize(("look", "told"), [("true", False), ("made_by = auth.uid()", True)])
def test_what_all_may_read_all_may_refer_to(judge: Judge, look: str, *, told: bool) -> None:
    """A reference tells that a row is there: no news of a row that everybody reads."""
    rules = {f.rule for f in judge("empty", TEAM.format(look=look)).findings}
    assert ("key.reference" in rules) is told


LOOSE = """
create table public.notes (id uuid primary key default gen_random_uuid(), user_id uuid not null,
    said text);
alter table public.notes enable row level security;
create policy look on public.notes for select to authenticated using ({look});
"""


@pytest.mark.parametrize(
    ("look", "rules"), [("true", ["user_rows.public"]), ("user_id = auth.uid()", [])]
)
def test_a_user_without_a_reference_is_a_user(judge: Judge, look: str, rules: list[str]) -> None:
    """Nothing but the column's name says whose the rows are, where the policy asks nobody."""
    assert [f.rule for f in judge("empty", LOOSE.format(look=look)).findings] == rules


TOKEN = """
create table public.clubs (id uuid primary key default gen_random_uuid(), name text);
create table public.games (id uuid primary key default gen_random_uuid(), said text,
    club_id uuid not null references public.clubs (id));
create table public.bets (id uuid primary key default gen_random_uuid(), said text,
    club_id uuid not null references public.clubs (id));
create function public.club() returns uuid language sql stable set search_path = '' as $$
    select nullif(nullif(current_setting('request.jwt.claims', true), '')::json ->> 'club_id',
        '')::uuid
$$;
alter table public.clubs enable row level security;
alter table public.games enable row level security;
alter table public.bets enable row level security;
create policy own on public.clubs for select using (id = public.club());
create policy own on public.games using (club_id = public.club());
create policy own on public.bets using ({bets});
"""


@pytest.mark.parametrize(
    ("bets", "found"),
    [
        ("club_id = (current_setting('request.jwt.claims', true)::jsonb ->> 'club_id')::uuid", []),
        ("public.club() is not null", ["public.bets"]),
    ],
)
def test_the_token_is_read_from_its_setting_too(judge: Judge, bets: str, found: list[str]) -> None:
    report = judge("empty", TOKEN.format(bets=bets))
    assert [f.object for f in report.findings] == found
    assert report.model["tenant_table"] == "public.clubs"


def test_without_row_level_security_one_finding_says_it_all(judge: Judge) -> None:
    """Rows of nobody in such a table are written by anybody, like all the others."""
    log = "create table public.log (id uuid primary key default gen_random_uuid(), club_id uuid);"
    found = judge("empty", TOKEN.format(bets="club_id = public.club()") + log).findings
    assert [f.rule for f in found] == ["rls_off"]


NOBODYS = """
create table public.notes (id uuid primary key default gen_random_uuid(),
    user_id uuid references auth.users (id), said text);
alter table public.notes enable row level security;
create policy look on public.notes for select to authenticated
    using (user_id = auth.uid() or user_id is null);
create policy change on public.notes for update to authenticated using ({change});
"""


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ("true", {"cross_tenant"}),
        ("user_id = auth.uid() or user_id is null", {"shared.rows"}),
        ("user_id = auth.uid()", set()),
    ],
)
def test_rows_of_nobody_are_told_where_others_rows_are_not(
    judge: Judge, change: str, rules: set[str]
) -> None:
    """Who changes the rows of everybody changes those of nobody as well: one finding is enough."""
    assert {f.rule for f in judge("empty", NOBODYS.format(change=change)).findings} == rules
