"""The script of a finding shows it on an empty copy of the project, and nothing on a sound one."""

from __future__ import annotations

import psycopg
import pytest
from isolation_bench import variants
from isolation_bench.database import Bench

from harmonia_py.engines import Database, Engine
from harmonia_py.isolation import runner

#: One of each kind of script: reads, writes, moves, calls, sign-ups, shares, spies, storage.
SHOWN = (
    "fleet/leaks/shared_rules_writable",
    "fleet/leaks/rule_published_to_all",
    "fleet/leaks/second_factor_dropped",
    "fleet/leaks/tenant_column_updatable",
    "helpdesk/leaks/blind_delete",
    "helpdesk/leaks/select_policy_true",
    "helpdesk/leaks/search_dynamic_sql",
    "helpdesk/leaks/internal_notes_for_viewers",
    "helpdesk/leaks/promote_oneself",
    "journal/leaks/anonymous_accounts_share",
    "journal/leaks/staff_by_sign_up_form",
    "journal/leaks/upgrade_for_free",
    "journal/leaks/deleted_journal_still_shared",
    "journal/restrictions/returning_denied",
    "salesroom/leaks/closed_account_writable",
    "salesroom/leaks/filtering_view_without_barrier",
    "salesroom/leaks/status_forgotten",
    "studio/leaks/invite_redeemed_twice",
    "studio/leaks/guest_invites_guest",
    "studio/leaks/join_private_team",
    "studio/leaks/team_projects_for_workspace",
)
Answer = tuple[str, ...]


@pytest.fixture(scope="module")
def bench(engine: Engine) -> Bench:
    return Bench(engine)


def answers(database: Database, script: str) -> Answer:
    """Run a script as psql does, as a superuser; return what each statement answered."""
    with database.connect_admin(autocommit=True) as conn:
        said: list[str] = []
        try:
            # No parameters: the server gets the text as it is, and answers each statement.
            cursor = conn.execute(script.encode())
        except psycopg.Error as error:
            conn.execute("rollback")
            return (f"error {error.sqlstate}",)
        while True:
            found = cursor.fetchall() if cursor.description else []
            said.append(f"{cursor.statusmessage} {[told(cell) for row in found for cell in row]}")
            if not cursor.nextset():
                return tuple(said)


def told(cell: object) -> str:
    """Return what a cell tells: how many, which counts; not ids and times made anew each time."""
    if isinstance(cell, list):
        return f"list of {len(cell)}"
    return str(cell) if isinstance(cell, dict | bool | int) else "value"


def rows(database: Database) -> list[str]:
    """Return everything in the tables of the project and the people, to see what stayed."""
    with database.connect_admin() as conn:
        tables = conn.execute(
            "select c.oid::regclass::text from pg_class as c"
            " join pg_namespace as n on n.oid = c.relnamespace"
            " where c.relkind = 'r' and (n.nspname = 'public' or c.oid = 'auth.users'::regclass)"
            " order by 1"
        ).fetchall()
        return [str(conn.execute(f"table {name}".encode()).fetchall()) for (name,) in tables]


@pytest.mark.parametrize("name", SHOWN)
def test_the_script_shows_the_finding_and_leaves_nothing(bench: Bench, name: str) -> None:
    schema, _, _ = name.split("/")
    variant = next(v for v in variants.variants(schema=schema) if v.id == name)
    with bench.clone(schema, variant) as changed, bench.clone(schema) as clean:
        before = rows(changed)
        found = [f for f in runner.verify(changed.owner_dsn).findings if f.script]
        assert found, "no finding has a script"
        for finding in found:
            shown = answers(changed, finding.script)
            assert shown == answers(changed, finding.script)
            assert shown != answers(clean, finding.script), finding.script
        assert rows(changed) == before
