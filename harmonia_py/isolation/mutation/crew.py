"""Share the mutants among processes, each with a copy of the database of its own."""

from __future__ import annotations

import multiprocessing
import queue
import time
from collections.abc import Callable, Sequence
from typing import Any

from harmonia_py.dsn import connect
from harmonia_py.errors import CouldNotVerify
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.mutation.scoring import Result, Score, Trial
from harmonia_py.isolation.runner import laboratory
from harmonia_py.isolation.workers import end_with_parent

__all__ = ["share"]


def share(
    dsns: Sequence[str],
    *,
    model: TenancyModel | None,
    timeout: float,
    progress: Callable[[str], None],
) -> Score:
    """Try every mutant once, in as many processes as there are copies.

    Raises CouldNotVerify when one of them ends early: a score of a part would be no score.
    """
    started = time.monotonic()
    # Fresh processes: a fork would share the caller's connections and threads.
    context = multiprocessing.get_context("spawn")
    heard: Any = context.Queue()
    following = context.Value("i", 0)
    crew = [
        context.Process(target=_work, args=(d, model, timeout, following, heard), daemon=True)
        for d in dsns
    ]
    try:
        for member in crew:
            member.start()
        results = _gathered(crew, heard, progress)
    finally:
        for member in crew:
            member.terminate()
            member.join()
    return Score(tuple(results), time.monotonic() - started)


def _gathered(crew: Sequence[Any], heard: Any, progress: Callable[[str], None]) -> list[Result]:
    results: dict[int, Result] = {}
    mutants: set[tuple[str, ...]] = set()
    finished = 0
    while finished < len(crew):
        try:
            what, value = heard.get(timeout=1)
        except queue.Empty:
            if any(member.exitcode for member in crew):
                raise CouldNotVerify("a process that tried mutants ended early") from None
            continue
        if what == "error":
            raise CouldNotVerify(value[0], hint=value[1])
        if what == "mutants":
            mutants.add(value)
        elif what == "results":
            results |= value
        elif what == "progress":
            progress(value)
        else:
            finished += 1
    if len(mutants) != 1 or len(results) != len(*mutants):
        raise CouldNotVerify("the copies of the database did not give the same mutants")
    return [results[number] for number in sorted(results)]


def _work(dsn: str, model: TenancyModel | None, timeout: float, following: Any, heard: Any) -> None:
    """Take one group of mutants after another until none is left."""
    end_with_parent()
    try:
        with connect(dsn) as conn, laboratory(conn, model, timeout=timeout) as lab:
            trial = Trial(lab)
            names = tuple(f"{m.kind} {m.object} {m.description}" for m in trial.mutants)
            heard.put(("mutants", names))
            groups = trial.groups()
            while True:
                with following.get_lock():
                    number = following.value
                    following.value += 1
                if number >= len(groups):
                    break
                done = trial.run(groups[number], lambda text: heard.put(("progress", text)))
                heard.put(("results", done))
    except CouldNotVerify as error:
        heard.put(("error", (str(error), error.hint)))
    heard.put(("finished", None))
