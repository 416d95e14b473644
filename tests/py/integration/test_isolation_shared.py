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
