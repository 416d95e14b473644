"""What a frontend asks is answered from one tenant's rows, whatever the other tenants hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from benchmarks.frontend import (
    PER_ROW,
    STATEMENTS,
    USER,
    Statement,
    as_sent,
    request,
    tables,
    whole_scans,
)
from benchmarks.rls import join, parameters
from harmonia_py.engines import Database, Engine
from harmonia_py.seed.generate import GeneratePlan, generate

Connection = psycopg.Connection[Any]
#: Enough tenants that reading a whole table is never the better plan.
PLAN = GeneratePlan(organizations=60, contacts=24_000, companies=600, deals=12_000, activities=0)


@pytest.fixture(scope="module")
def tenants(engine: Engine, template_database: str) -> Iterator[Database]:
    with engine.database(template=template_database) as database:
        generate(database.owner_dsn, PLAN)
        join(database)
        yield database


def found(database: Database, text: str, setup: str = "") -> list[str]:
    with database.connect(autocommit=True) as conn:
        if setup:
            conn.execute(setup.encode())
        large = tables(conn)
        assert {"contacts", "deals"} <= set(large)
        return whole_scans(conn, text, parameters(conn), large)


@pytest.mark.slow
@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: s.name)
def test_no_statement_reads_a_whole_table(tenants: Database, statement: Statement) -> None:
    assert found(tenants, statement.policy) == []
    assert found(tenants, as_sent(statement.policy)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "setup", "names"),
    [
        ("count over all mine", PER_ROW, "contacts"),
        ("latest 50 over all mine", PER_ROW, "contacts"),
        ("latest 50 of one organization", "drop index public.contacts_timeline_idx;"
         " drop index public.contacts_status_idx; drop index public.contacts_owner_idx;"
         " drop index public.contacts_team_idx; drop index public.contacts_company_idx;"
         " drop index public.contacts_email_idx; drop index public.contacts_search_idx;"
         " alter table public.contacts drop constraint contacts_pkey cascade", "contacts"),
        ("search", "alter function private.search_contacts(uuid, text, integer)"
         " set enable_indexscan = off set enable_bitmapscan = off", "contacts"),
    ],
    ids=["per row, count", "per row, page", "no index", "inside a function"],
)  # fmt: skip
def test_the_guard_sees_a_whole_table(
    engine: Engine, tenants: Database, name: str, setup: str, names: str
) -> None:
    statement = next(s for s in STATEMENTS if s.name == name)
    with engine.database(template=tenants.name) as broken:
        assert any(names in scan for scan in found(broken, statement.policy, setup))


def index_of(conn: Connection, table: str) -> str:
    """Return the index from which a user's count of one organization is read."""
    text = (
        f"select count(*) from public.{table}"
        " where deleted_at is null and organization_id = %(org)s"
    )
    values = parameters(conn)
    with request(conn, "authenticated"):
        plan = conn.execute(b"explain (format json) " + text.encode(), values).fetchone()
    assert plan is not None
    return str(plan[0][0]["Plan"]["Plans"][-1]["Index Name"])


COUNTED = ("contacts", "deals")


@pytest.mark.parametrize("table", COUNTED)
def test_a_count_reads_the_narrowest_index(tenants: Database, table: str) -> None:
    with tenants.connect(autocommit=True) as conn:
        assert index_of(conn, table) == f"{table}_timeline_idx"


def test_of_two_indexes_that_cost_the_same_the_newest_is_read(
    engine: Engine, tenants: Database
) -> None:
    """The reason why the narrowest is made last; and why its name sorts last, as dumps do."""
    with engine.database(template=tenants.name) as copy, copy.connect(autocommit=True) as conn:
        row = conn.execute(
            "select pg_get_indexdef('public.contacts_status_idx'::regclass)"
        ).fetchone()
        assert row is not None
        conn.execute(b"drop index public.contacts_status_idx")
        assert index_of(conn, "contacts") == "contacts_timeline_idx"
        conn.execute(row[0].encode())
        assert index_of(conn, "contacts") == "contacts_status_idx"


def test_the_narrowest_index_is_made_last_in_a_restored_dump(conn: Connection) -> None:
    rows = conn.execute(
        """
        select
            t.relname,
            array_agg(c.relname order by c.oid),
            array_agg(c.relname order by c.relname)
        from pg_index as i
        inner join pg_class as c on i.indexrelid = c.oid
        inner join pg_class as t on i.indrelid = t.oid
        where t.relnamespace = 'public'::regnamespace and not i.indisunique
            and i.indnatts > i.indnkeyatts
        group by t.relname
        having count(*) > 1
        """
    ).fetchall()
    assert {*COUNTED, "companies", "conversations", "messages"} <= {table for table, *_ in rows}
    for table, made, named in rows:
        assert (made[-1], named[-1]) == (f"{table}_timeline_idx",) * 2


def sequential(conn: Connection) -> set[str]:
    """Return the tables that one question to the authorizer read from end to end."""
    with request(conn, "authenticated"):
        conn.execute("select private.org_ids('contacts.read'), private.my_span('contacts.read')")
        rows = conn.execute("select relname from pg_stat_xact_user_tables where seq_scan > 0")
        return {name for (name,) in rows}


@pytest.mark.parametrize(
    ("function", "table"), [("org_ids(text[])", "permissions"), ("my_span(text)", "team_members")]
)
def test_the_authorizer_goes_by_keys(tenants: Database, function: str, table: str) -> None:
    """Its plan does not depend on how many roles and permissions there are, or on statistics."""
    with tenants.connect(autocommit=True) as conn:
        # As autovacuum does at some time: who knows that a table is small reads all of it.
        conn.execute("analyze")
        assert sequential(conn) == set()
        conn.execute(f"alter function private.{function} reset enable_seqscan".encode())
        try:
            with tenants.connect(autocommit=True) as fresh:
                assert table in sequential(fresh), "the twin: planned by statistics"
        finally:
            conn.execute(f"alter function private.{function} set enable_seqscan = off".encode())


def test_the_user_of_the_benchmark_sees_three_tenants(tenants: Database) -> None:
    """Fast and empty would be no answer."""
    with tenants.connect(autocommit=True) as conn, request(conn, "authenticated"):
        row = conn.execute("select count(*), count(distinct organization_id) from public.contacts")
        assert row.fetchone() == (1200, 3)
        conn.execute("reset role")
        assert conn.execute(
            "select count(*) from public.memberships where user_id = %s", (USER,)
        ).fetchone() == (3,)
