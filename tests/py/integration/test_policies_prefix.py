"""Stopped after any statement, a policy file shows nobody more than before or after it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fix_database import Connection, acting

from harmonia_py.migrations import split
from harmonia_py.policies import PolicyFile, read_sources

ROOT = Path(__file__).resolve().parents[3]
SOURCES = read_sources(ROOT / "supabase" / "policies")
TABLE = re.compile(r"\bpublic\.([a-z_]+)")
# What one may read, and (FOR UPDATE applies the update policies too) what one may change.
PROBES = (
    "select array_agg(ctid::text) from public.{}",
    "select array_agg(t.place) from (select ctid::text as place from public.{} for update) as t",
)

Seen = frozenset[str]


@dataclass
class Watch:
    """Looks at tables through the eyes of several principals, and remembers the first look."""

    connection: Connection
    principals: dict[str, tuple[str, dict[str, Any]]]
    allowed: dict[tuple[str, str, str], Seen] = field(default_factory=dict)

    @property
    def tables(self) -> set[str]:
        return {table for _, table, _ in self.allowed}

    def look(self, table: str) -> Iterator[tuple[tuple[str, str, str], Seen]]:
        for name, (role, claims) in self.principals.items():
            for probe in PROBES:
                try:
                    with acting(self.connection, role, claims):
                        row = self.connection.execute(probe.format(table).encode()).fetchone()
                    seen = frozenset(row[0] or ()) if row else frozenset()
                except psycopg.errors.InsufficientPrivilege:
                    seen = frozenset()
                yield (name, table, probe), seen

    def allow(self, table: str) -> None:
        for key, seen in self.look(table):
            self.allowed[key] = self.allowed.get(key, frozenset()) | seen

    def breaches(self, table: str) -> list[str]:
        return [f"{key[0]}: {key[1]}" for key, seen in self.look(table) if seen - self.allowed[key]]


@pytest.fixture
def watch(admin: Connection, conn: Connection) -> Watch:
    """An owner and the lowest member of each seeded organization, a stranger, a visitor."""
    people = conn.execute(
        "select user_id, min(organization_id::text) from public.memberships group by user_id"
    ).fetchall()
    ids = sorted(str(row[0]) for row in people)
    users = [ids[0], ids[len(ids) // 2], ids[-1], "00000000-0000-4000-8000-00000000dead"]
    principals: dict[str, tuple[str, dict[str, Any]]] = {
        user: ("authenticated", {"sub": user, "role": "authenticated", "aal": "aal2"})
        for user in users
    }
    principals["anon"] = ("anon", {"role": "anon"})
    return Watch(conn, principals)


def tables_of(statements: list[str]) -> list[str]:
    return sorted({name for statement in statements for name in TABLE.findall(statement)})


def run_watched(watch: Watch, statements: list[str]) -> list[str]:
    """Run the statements one by one; report every look that shows more than is allowed."""
    found = []
    for number, statement in enumerate(statements, 1):
        watch.connection.execute(statement.encode())
        for table in sorted(set(TABLE.findall(statement)) & watch.tables):
            found += [f"after statement {number}, {text}" for text in watch.breaches(table)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_prefix_is_closed(watch: Watch, source: PolicyFile) -> None:
    statements = split(source.text)
    tables = tables_of([text for text in statements if "lock_down" in text])
    for table in tables:
        watch.allow(table)
    before = dict(watch.allowed)
    assert run_watched(watch, statements) == []
    for table in tables:
        assert dict(watch.look(table)).items() <= before.items(), table


def test_members_see_rows_so_the_watch_can_fail(watch: Watch) -> None:
    watch.allow("contacts")
    assert any(watch.allowed.values()) and not all(watch.allowed.values())


@pytest.mark.parametrize(
    "statements",
    [
        ["create policy open on public.contacts for select to authenticated using (true)"],
        ["alter table public.contacts no force row level security, disable row level security"],
        [
            "grant select on table public.contacts to anon",
            "create policy open on public.contacts for select to anon using (true)",
            "call private.lock_down('public.contacts')",
        ],
    ],
    ids=["permissive", "disabled", "opened and closed again"],
)
def test_the_watch_sees_an_open_prefix(watch: Watch, statements: list[str]) -> None:
    watch.allow("contacts")
    assert run_watched(watch, statements)


def test_what_a_dashboard_opened_is_closed_and_what_is_declared_comes_back(watch: Watch) -> None:
    source = next(item for item in SOURCES if "'public.contacts'" in item.text)
    statements = split(source.text)
    section = [text for text in statements if "public.contacts" in text]
    watch.allow("contacts")
    declared = dict(watch.allowed)
    watch.connection.execute(
        "create policy open on public.contacts for select to anon, authenticated using (true)"
    )
    watch.connection.execute("grant select on table public.contacts to anon")
    assert watch.breaches("contacts")
    assert "lock_down" in section[0]
    assert [text for text in run_watched(watch, section) if text.endswith("contacts")] == []
    assert dict(watch.look("contacts")) == declared
