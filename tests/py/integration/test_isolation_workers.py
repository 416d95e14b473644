"""The process that proves: what it answers, that it stays for the next, and how it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from fix_killed import killable
from isolation_idioms import BASE, SOUND, build, model

from harmonia_py.engines import Database
from harmonia_py.isolation.catalog import Catalog
from harmonia_py.isolation.finding import Coverage, Report
from harmonia_py.isolation.introspect import introspect
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.proof import background, prove, proving, warm

ASKS = """
import multiprocessing, sys, time
from harmonia_py.dsn import connect
from harmonia_py.isolation.infer import infer
from harmonia_py.isolation.introspect import introspect
from harmonia_py.isolation.proof import proving

with connect(sys.stdin.readline().strip()) as conn:
    catalog = introspect(conn)
with proving(catalog, infer(catalog)) as proofs:
    proofs()
    print(*(process.pid for process in multiprocessing.active_children()), flush=True)
    time.sleep(300)
"""


@pytest.fixture
def conn(plain_database: Database) -> Iterator[Any]:
    with plain_database.connect() as connection:
        connection.execute(BASE)
        yield connection


@pytest.fixture
def project(conn: Any) -> tuple[Catalog, TenancyModel]:
    build(conn, "notes", next(iter(SOUND.values())))
    return introspect(conn), model(conn)


def worker() -> int:
    """Return the process that stayed, as soon as those that were ended are gone."""
    until = time.monotonic() + 20
    while len(found := multiprocessing.active_children()) != 1 and time.monotonic() < until:
        time.sleep(0.05)
    (process,) = found
    assert process.pid is not None
    return process.pid


def runs(pid: int) -> bool:
    """Whether there is such a process; one that ended and was not waited for is none.

    Of one that is killed the first thread ends, and the others a moment later: it is there still.
    """
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(_state(thread) not in ("Z", "X", "") for thread in threads)


def _state(thread: Path) -> str:
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it may end while its state is read
        return ""


def within(seconds: float, pid: int) -> bool:
    """Whether a process ends in time."""
    until = time.monotonic() + seconds
    while runs(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not runs(pid)


def test_the_background_gives_the_same_proofs(conn: Any) -> None:
    build(conn, "notes", next(iter(SOUND.values())))
    catalog = introspect(conn)
    with proving(catalog, model(conn)) as proofs:
        assert proofs() == prove(catalog, model(conn))


def test_what_was_not_asked_in_time_is_unknown(conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PATIENCE", 0.0)
    build(conn, "notes", next(iter(SOUND.values())))
    with proving(introspect(conn), model(conn)) as proofs:
        found = proofs()
    assert {(p.status, p.reason) for p in found} == {("unknown", "the solver had no time left")}
    coverage = (Coverage("public.notes", "table", "tested"),)
    merged = background.merge(Report(findings=(), cells=(), coverage=coverage), found)
    (item,) = merged.coverage
    assert (item.status, "no time left" in item.reason) == ("tested", True)


def test_a_process_that_ended_meanwhile_is_not_asked(conn: Any) -> None:
    build(conn, "notes", next(iter(SOUND.values())))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert isinstance(pool.submit(os._exit, 0).exception(), BrokenProcessPool)
        asked = background._ask(pool, "public.notes")
    found = background._answer(introspect(conn), "public.notes", asked)
    assert {(p.status, p.reason) for p in found} == {
        ("unknown", "the solver's process ended early")
    }


def test_the_process_stays_for_the_next_one_who_asks(project: tuple[Catalog, TenancyModel]) -> None:
    with proving(*project) as proofs:
        first = proofs()
    pid = worker()
    with proving(*project) as proofs:
        assert proofs() == first
    assert worker() == pid
    os.kill(pid, signal.SIGKILL)
    assert within(20, pid)
    with proving(*project) as proofs:
        assert proofs() == first, "who finds it gone begins another"
    assert worker() != pid


def test_one_that_loads_ahead_is_the_one_that_is_asked(
    project: tuple[Catalog, TenancyModel],
) -> None:
    with proving(*project):
        pass  # ended unanswered, or kept: whatever was idle before does not count
    for process in multiprocessing.active_children():
        process.kill()
        assert process.pid is not None and within(20, process.pid)
    background._idle.clear()
    warm()
    pid = worker()
    warm()
    assert worker() == pid, "one is enough"
    with proving(*project) as proofs:
        assert proofs() == prove(*project)
    assert worker() == pid
    os.kill(pid, signal.SIGKILL)
    assert within(20, pid)
    with proving(*project) as proofs:
        assert proofs() == prove(*project)


def test_an_interrupt_is_left_to_who_asks(project: tuple[Catalog, TenancyModel]) -> None:
    with proving(*project) as proofs:
        first = proofs()
    pid = worker()
    os.kill(pid, signal.SIGINT)
    with proving(*project) as proofs:
        assert proofs() == first
    assert worker() == pid


def test_it_ends_with_who_asks_when_that_one_is_killed(conn: Any, plain_database: Database) -> None:
    build(conn, "notes", next(iter(SOUND.values())))
    conn.commit()
    with killable(ASKS, plain_database.owner_dsn) as lines:
        pids = [int(word) for word in next(lines).split()]
        assert pids and all(map(runs, pids)), "and not by itself"
    assert all(within(20, pid) for pid in pids)
