"""Several sessions at once: all started together, or one that waits for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from fix_database import Connection

from harmonia_py.engines import Database


def together(database: Database, *works: Callable[[Connection], object]) -> list[object]:
    """Run each work in a session of its own, all started at once; return results or errors."""
    start = threading.Barrier(len(works))
    results: list[object] = [None] * len(works)

    def run(place: int, work: Callable[[Connection], object]) -> None:
        with database.connect() as session:
            start.wait(timeout=20)
            try:
                results[place] = work(session)
                session.commit()
            except psycopg.Error as error:
                session.rollback()
                results[place] = error.sqlstate

    threads = [threading.Thread(target=run, args=(place, work)) for place, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


@contextmanager
def held(database: Database, statement: str, *values: object) -> Iterator[Connection]:
    """Run a statement in a transaction that stays open during the block and then commits."""
    with database.connect() as session:
        session.execute(statement.encode(), values)
        yield session
        session.commit()


def wait_for_lock(conn: Connection, sessions: int = 1) -> None:
    """Return as soon as this many sessions wait for a lock."""
    for _ in range(200):
        row = conn.execute(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        ).fetchone()
        conn.rollback()
        if row is not None and row[0] >= sessions:
            return
        time.sleep(0.05)
    raise AssertionError(f"no {sessions} sessions waited")
