"""How requests are counted, in sessions of one's own: ``private.spend()`` without a server."""

from __future__ import annotations

import time

import psycopg
import pytest
from fix_database import Connection
from psycopg import sql

from harmonia_py.engines import Database


def spend(conn: Connection, subject: str, limit: int, window: int = 60) -> bool:
    """Count one request; whether it was admitted."""
    row = conn.execute("select private.spend(%s, %s, %s)", [subject, limit, window]).fetchone()
    assert row is not None
    # What failed requests do: nothing of it may undo the count.
    conn.rollback()
    return bool(row[0] == 0)


def admitted(conn: Connection, subject: str, limit: int, requests: int, window: int = 60) -> int:
    return sum(spend(conn, subject, limit, window) for _ in range(requests))


def locks(conn: Connection) -> int:
    row = conn.execute(
        "select count(*) from pg_catalog.pg_locks"
        " where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid()"
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture(autouse=True)
def room() -> None:
    """Begin where a good part of the longest window, one minute, is left."""
    left = 60 - time.time() % 60
    if left < 10:
        time.sleep(left + 0.02)


@pytest.mark.parametrize("limit", [1, 2, 7, 8, 9, 100, 1000])
def test_one_session_is_admitted_exactly_the_limit(conn: Connection, limit: int) -> None:
    assert admitted(conn, "one", limit, limit + 20) == limit


def test_two_sessions_share_one_limit(database: Database) -> None:
    with database.connect() as first, database.connect() as second:
        admissions = [spend(conn, "both", 50) for _ in range(60) for conn in (first, second)]
    assert sum(admissions) == 50


def test_locks_are_given_back_when_their_window_is_over(conn: Connection) -> None:
    window = 2
    for _ in range(3):
        time.sleep(window - time.time() % window + 0.02)
        assert spend(conn, "windows", 40, window)
        # The first of a window gave back what the one before had taken, and took one.
        assert locks(conn) == 1
        assert admitted(conn, "windows", 40, 50, window) == 39
        assert locks(conn) > 10


def test_a_flood_of_subjects_neither_renews_a_count_nor_fills_the_memory(conn: Connection) -> None:
    """Forgetting somebody must not mean that the limit begins anew."""
    assert admitted(conn, "patient", 20, 30) == 20
    for number in range(300):
        assert spend(conn, f"flood {number}", 20)
    assert admitted(conn, "patient", 20, 30) == 0
    for number in range(2000):
        spend(conn, f"deluge {number}", 20)
    assert locks(conn) <= 384
    row = conn.execute(
        "select sum(pg_catalog.length(statement)), count(*)"
        " from pg_catalog.pg_prepared_statements where name like 'harmonia_rate_%'"
    ).fetchone()
    assert row is not None
    assert row[0] < 64_000
    assert row[1] <= 16


@pytest.mark.parametrize(
    ("header", "hops", "subject"),
    [
        ("203.0.113.7", 1, "203.0.113.7"),
        # The client's own words stand to the left of what the trusted proxy saw.
        ("6.6.6.6, 203.0.113.7", 1, "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.0.0.1", 2, "203.0.113.7"),
        ("203.0.113.7:50412", 1, "203.0.113.7"),
        ("::ffff:203.0.113.7", 1, "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", 1, "2001:db8:1:2::"),
        ("[2001:db8:1:2::9]:443", 1, "2001:db8:1:2::"),
        # Around the proxy, or through fewer than there should be: one subject together.
        (None, 1, "unknown"),
        ("", 1, "unknown"),
        ("203.0.113.7", 2, "unknown"),
        ("for=203.0.113.7", 1, "unknown"),
        ("' or 1=1 --", 1, "unknown"),
        ("203.0.113.7", 0, None),
    ],
)
def test_the_address_is_what_the_trusted_proxy_saw(
    conn: Connection, header: str | None, hops: int, subject: str | None
) -> None:
    row = conn.execute("select private.client_address(%s, %s)", [header, hops]).fetchone()
    assert row == (subject,)


@pytest.mark.parametrize(
    ("column", "wrong", "right"),
    [
        ("allowed_origins", ["null"], []),
        ("allowed_origins", ["*"], ["https://app.x.example"]),
        ("allowed_origins", ["https://x.example/"], ["https://x.example", "http://y.example:80"]),
        ("allowed_origins", ["https://x.example", None], ["http://127.0.0.1:5173"]),
        ("csrf_headers", ["X-Csrf"], ["x-csrf"]),
        ("csrf_headers", [], ["x-a", "x-b"]),
        ("address_header", "X-Real-IP", "x-real-ip"),
        ("sensitive_paths", ["/rpc/Guess"], ["/rpc/guess", "/rpc/b"]),
        ("sensitive_paths", ["guess"], []),
    ],
)
def test_a_setting_that_could_never_match_is_refused(
    conn: Connection, column: str, wrong: object, right: object
) -> None:
    statement = sql.SQL("update private.request_settings set {} = %s").format(
        sql.Identifier(column)
    )
    conn.execute(statement, [right])
    with pytest.raises(psycopg.errors.CheckViolation):
        conn.execute(statement, [wrong])
