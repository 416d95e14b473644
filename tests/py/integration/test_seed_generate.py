"""Generated tenants: complete, even, the same for the same seed, and never half done."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from harmonia_py.engines import Database, Engine
from harmonia_py.errors import DatabaseRefused, UsageError
from harmonia_py.seed.generate import GeneratePlan, generate

PLAN = GeneratePlan(
    organizations=3, contacts=101, companies=20, deals=30, activities=40, members=4, seed=7
)


def counts(conn: psycopg.Connection[Any], table: str) -> list[int]:
    rows = conn.execute(
        f"select count(*) from public.{table} as t inner join public.organizations as o"
        " on o.id = t.organization_id where o.slug like 'generated-7-%'"
        " group by o.slug order by o.slug".encode()
    ).fetchall()
    return [row[0] for row in rows]


def not_all_visible(database: Database) -> list[Any]:
    """Return the tables that could not be read from their indexes alone."""
    with database.connect() as conn:
        return conn.execute(
            "select relname, relpages, relallvisible from pg_catalog.pg_class"
            " where oid = any (array['contacts', 'companies', 'deals', 'activities',"
            " 'memberships']::regclass[]) and not (relpages > 0 and relallvisible = relpages)"
        ).fetchall()


def fingerprint(database: Database) -> list[Any]:
    with database.connect() as conn:
        return conn.execute(
            "select c.organization_id, c.id, c.full_name, c.email, c.company_id, c.owner_id,"
            " c.created_at from public.contacts as c inner join public.organizations as o"
            " on o.id = c.organization_id where o.slug like 'generated-%' order by 1, 2"
        ).fetchall()


def test_every_row_is_there_and_spread_evenly(database: Database) -> None:
    seen: list[tuple[int, int]] = []
    report = generate(database.owner_dsn, PLAN, on_progress=lambda *step: seen.append(step))
    with database.connect() as conn:
        assert counts(conn, "contacts") == [34, 34, 33]
        assert counts(conn, "deals") == [10, 10, 10]
        assert counts(conn, "memberships") == [4, 4, 4]
    assert not_all_visible(database) == []
    assert report.rows["contacts"] == 101
    assert max(seen) == (PLAN.rows, PLAN.rows)


def test_a_transaction_of_another_database_is_no_obstacle(
    database: Database, engine: Engine
) -> None:
    """Snapshots of ours reach back to it, but no row of ours has to stay for it."""
    with engine.database() as elsewhere, elsewhere.connect() as conn:
        conn.execute("select pg_catalog.pg_current_xact_id()")
        generate(database.owner_dsn, PLAN)
        assert conn.info.transaction_status == TransactionStatus.INTRANS
    assert not_all_visible(database) == []


@pytest.mark.parametrize(("waits", "hidden"), [(True, 0), (False, 5)])
def test_a_snapshot_of_somebody_else_is_waited_out_but_not_forever(
    database: Database, monkeypatch: pytest.MonkeyPatch, waits: bool, hidden: int
) -> None:
    """Autovacuum takes one when it comes by; who keeps one for hours does not hold up a load."""
    pauses: SimpleQueue[str] = SimpleQueue()
    with database.connect() as other:
        other.execute("set transaction isolation level repeatable read")
        other.execute("select 1")

        def pause(seconds: float) -> None:
            pauses.put("paused")
            other.rollback()

        if waits:
            monkeypatch.setattr("harmonia_py.seed.generate.time.sleep", pause)
        else:
            monkeypatch.setattr("harmonia_py.seed.generate._PATIENCE", 0.0)
        generate(database.owner_dsn, PLAN)
    assert pauses.empty() != waits
    assert len(not_all_visible(database)) == hidden


def test_the_same_seed_gives_the_same_rows(engine: Any, template_database: str) -> None:
    prints = []
    for _ in range(2):
        with engine.database(template=template_database) as database:
            generate(database.owner_dsn, PLAN)
            prints.append(fingerprint(database))
    assert prints[0] == prints[1]
    with engine.database(template=template_database) as database:
        generate(
            database.owner_dsn,
            GeneratePlan(organizations=3, contacts=101, companies=20, deals=30, activities=40,
                         members=4, seed=8),
        )  # fmt: skip
        assert fingerprint(database) != prints[0]


def test_generating_a_seed_twice_is_refused_and_changes_nothing(database: Database) -> None:
    generate(database.owner_dsn, PLAN)
    before = fingerprint(database)
    with pytest.raises(UsageError, match="seed 7 was already generated"):
        generate(database.owner_dsn, PLAN)
    assert fingerprint(database) == before


@pytest.mark.parametrize("changes", [{"organizations": 0}, {"members": 0}, {"contacts": -1}])
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, int]) -> None:
    whole = {"organizations": 1, "contacts": 1, "companies": 0, "deals": 0, "activities": 0}
    with pytest.raises(UsageError):
        GeneratePlan(**(whole | changes))


def test_a_stream_that_fails_stops_the_others(database: Database) -> None:
    """And says why, as any refusal of the database does."""
    plan = GeneratePlan(
        # Eight batches of fifty for each stream; the failure is known at the end of the first.
        organizations=800,
        contacts=80_000,
        companies=0,
        deals=0,
        activities=0,
        seed=9,
    )
    with database.connect(autocommit=True) as conn:
        # Only the second stream meets it: it writes every other organization.
        conn.execute(
            "create function private.refuse() returns trigger language plpgsql as $$ begin"
            " if (select slug from public.organizations where id = new.organization_id)"
            " = 'generated-9-2' then raise 'not this one'; end if; return new; end $$"
        )
        conn.execute(
            "create trigger refuse before insert on public.contacts"
            " for each row execute function private.refuse()"
        )
        done: list[int] = []
        with pytest.raises(DatabaseRefused, match="not this one"):
            generate(database.owner_dsn, plan, on_progress=lambda n, _: done.append(n))
        assert max(done, default=0) < plan.rows // 2, "the other stream went on to its end"
