"""Probe a copy of the database at the same time, in a laboratory with the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import psycopg

from harmonia_py.dsn import connect
from harmonia_py.isolation import fixtures
from harmonia_py.isolation.lab import Lab

__all__ = ["begin", "beside"]

T = TypeVar("T")
Progress = Callable[[str], None]


def begin(conn: psycopg.Connection[Any]) -> None:
    """Make the settings of a laboratory's transaction."""
    conn.execute("set local lock_timeout = '5s'")
    conn.execute("set local statement_timeout = '120s'")
    conn.execute("set local idle_in_transaction_session_timeout = 0")
    conn.execute("set local search_path = ''")
    conn.execute("set local jit = off")


@contextmanager
def beside(
    lab: Lab, dsn: str | None, work: Callable[[Lab, Progress], T]
) -> Iterator[Callable[[Progress], T]]:
    """Start ``work`` in a twin of the laboratory; the yielded function returns its result.

    A thread of its own, for nearly all of the time is the server's. Without a copy, or where its
    rows come out otherwise, that function does the work in the laboratory itself.
    """
    if dsn is None:
        yield lambda say: work(lab, say)
        return
    twin = _Twin(lab, dsn)
    with ThreadPoolExecutor(1, thread_name_prefix="harmonia-twin") as pool:
        pending = pool.submit(twin.run, work)

        def result(say: Progress) -> T:
            say("waiting for the probes on the copy")
            done = pending.result()
            if done is None:
                return work(lab, say)
            lab.count += done.probes
            lab.timeouts += done.timeouts
            return done.result

        try:
            yield result
        finally:
            while not pending.done():
                twin.give_up()  # again: between two statements there is nothing to cancel
                wait([pending], timeout=0.2)


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    result: T
    probes: int
    timeouts: int


class _Twin:
    def __init__(self, lab: Lab, dsn: str) -> None:
        self.lab, self.dsn = lab, dsn
        self.other: Lab | None = None
        self.over = False

    def run(self, work: Callable[[Lab, Progress], T]) -> _Done[T] | None:
        """Return what came of the work; None when the rows are not the same."""
        with connect(self.dsn) as conn, conn.transaction(force_rollback=True):
            begin(conn)
            rows = fixtures.repeat(conn, self.lab.fixtures)
            if rows is None:
                return None
            other = _like(self.lab, conn, rows)
            self.other = other
            if self.over:
                return None
            return _Done(work(other, lambda _: None), other.count, other.timeouts)

    def give_up(self) -> None:
        """Let what still runs end soon."""
        self.over = True
        if self.other is not None:
            self.other.given_up = True
            with suppress(psycopg.Error):  # it may have ended meanwhile
                self.other.conn.cancel()


def _like(lab: Lab, conn: psycopg.Connection[Any], rows: fixtures.Fixtures) -> Lab:
    """Return a laboratory on another connection that shares what is only read."""
    other = Lab(conn, lab.catalog, lab.model, lab.cast, rows, timeout=lab.timeout)
    other.refs, other.shares, other.standing = lab.refs, lab.shares, lab.standing
    return other
