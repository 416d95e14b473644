"""Prove in a process of its own while the probes run, and put both into one report."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from harmonia_py.isolation.catalog import Catalog
from harmonia_py.isolation.finding import Coverage, Report
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.proof.prover import Proof, prove_table, questions, unanswered
from harmonia_py.isolation.workers import end_with_parent

__all__ = ["merge", "proving", "warm"]

#: How long the verdict waits for proofs once the probes are done, in seconds.
PATIENCE = 60.0


@contextmanager
def proving(catalog: Catalog, model: TenancyModel) -> Iterator[Callable[[], list[Proof]]]:
    """Start proving; the yielded function returns the proofs, ``unknown`` where time ran out.

    In a process begun afresh: the solver is not made for threads, and a fork would share the
    database connection. It stays for the next one who asks, because to begin it takes longer than
    most questions.
    """
    # In a file, for what goes through a pipe waits for its reader: for ever where the process
    # cannot start (its program came through stdin) and the catalog is larger than the pipe.
    with NamedTemporaryFile(prefix="harmonia-", delete=False) as written:
        pickle.dump((catalog, model), written)
    file = Path(written.name)
    try:
        pool = _begun(file)
        pending = {key: _ask(pool, key) for key in questions(catalog, model)}

        def result() -> list[Proof]:
            wait(pending.values(), timeout=PATIENCE)
            return [
                proof for key, asked in pending.items() for proof in _answer(catalog, key, asked)
            ]

        try:
            yield result
        finally:
            _leave(pool, finished=all(map(_is_answered, pending.values())))
    finally:
        file.unlink(missing_ok=True)


#: The pool that nobody asks now, by the process that began it: a fork of it may not ask.
_idle: dict[int, ProcessPoolExecutor] = {}


def warm() -> None:
    """Let the solver load ahead of the first question: while a database starts, a core is free."""
    if os.getpid() not in _idle:
        pool = _new()
        pool.submit(_forget)
        _idle[os.getpid()] = pool


def _begun(file: Path) -> ProcessPoolExecutor:
    """Return a pool of one process that has been told what is asked about."""
    known = _idle.pop(os.getpid(), None)
    with suppress(BrokenProcessPool):  # it ended while nobody asked it
        # The pool itself notices a moment later, and takes questions until then.
        if known is not None and all(process.is_alive() for process in _processes(known)):
            known.submit(_prepare, file)
            return known
    pool = _new()
    pool.submit(_prepare, file)
    return pool


def _new() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent)


def _leave(pool: ProcessPoolExecutor, *, finished: bool) -> None:
    """Keep a pool whose work is done; end another, and what it still works at."""
    processes = _processes(pool)
    if finished:
        with suppress(BrokenProcessPool):
            pool.submit(_forget)
            if _idle.setdefault(os.getpid(), pool) is pool:
                return
    pool.shutdown(wait=False)
    for process in processes:
        # What is still asked fails with the process: to cancel it would be in the pool's way.
        process.terminate()


def _processes(pool: ProcessPoolExecutor) -> list[Any]:
    return list((getattr(pool, "_processes", None) or {}).values())


def _is_answered(asked: Future[list[Proof]]) -> bool:
    return asked.done() and not isinstance(asked.exception(), BrokenProcessPool)


#: What the worker process keeps between two tables.
_worker: dict[str, Any] = {}


def _prepare(file: Path) -> None:
    catalog, model = pickle.loads(file.read_bytes())  # noqa: S301 - the parent's own, just written
    file.unlink(missing_ok=True)  # nothing is left should the parent be killed
    _worker.update(catalog=catalog, model=model, templates={})


def _forget() -> None:
    _worker.clear()


def _prove(key: str) -> list[Proof]:
    catalog = _worker["catalog"]
    return prove_table(catalog, _worker["model"], catalog.tables[key], _worker["templates"])


def _ask(pool: ProcessPoolExecutor, key: str) -> Future[list[Proof]]:
    try:
        return pool.submit(_prove, key)
    except BrokenProcessPool as error:  # the process ended while it was still being asked
        failed: Future[list[Proof]] = Future()
        failed.set_exception(error)
        return failed


def _answer(catalog: Catalog, key: str, asked: Future[list[Proof]]) -> list[Proof]:
    if not asked.done():
        return unanswered(catalog, key, "the solver had no time left")
    error = asked.exception()
    if isinstance(error, BrokenProcessPool):
        return unanswered(catalog, key, "the solver's process ended early")
    if error is not None:
        # Never a proof, and never a reason to lose what the probes saw.
        return unanswered(catalog, key, f"the question could not be put: {type(error).__name__}")
    return asked.result()


def merge(report: Report, proofs: Sequence[Proof]) -> Report:
    """Return the report with proven tables marked, and why the others are only tested."""
    by_table: dict[str, list[Proof]] = {}
    for proof in proofs:
        by_table.setdefault(proof.table, []).append(proof)
    coverage = [_judged(c, by_table.get(c.table, [])) for c in report.coverage]
    return replace(report, coverage=tuple(coverage), proofs=tuple(proofs))


def _judged(coverage: Coverage, proofs: Sequence[Proof]) -> Coverage:
    if coverage.status != "tested" or not proofs:
        return coverage
    open_ = [p for p in proofs if p.status != "proven"]
    if not open_:
        return replace(coverage, status="proven")
    first = open_[0]
    what = f"{first.command} as {first.role} is {first.status}: {first.reason}"
    more = f" ({first.counterexample})" if first.counterexample else ""
    return replace(coverage, reason=what + more)
