"""Break the protection on purpose and see whether the harness notices: a score one can trust.

Each mutant lives in a savepoint of the one transaction that holds the fixtures; only the
probes it can affect are run, and they stop at the first thing the original did not show.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from harmonia_py.dsn import connect
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.mutation.bench import Bench
from harmonia_py.isolation.mutation.mutants import mutants
from harmonia_py.isolation.probes import tables
from harmonia_py.isolation.probes.functions import callers
from harmonia_py.isolation.probes.identity import assurance
from harmonia_py.isolation.probes.roles import selves
from harmonia_py.isolation.runner import laboratory

__all__ = ["Result", "Score", "Trial", "observed", "run", "score"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one mutant: killed (by which rule), survived, or why it does not count."""

    kind: str
    object: str
    description: str
    status: str
    by: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Score:
    """The results of a mutation run; ``killed`` of ``counted`` is the score."""

    results: tuple[Result, ...]
    seconds: float = 0.0
    baseline: tuple[str, ...] = field(default=())

    @property
    def killed(self) -> int:
        """How many mutants the harness noticed."""
        return sum(r.status == "killed" for r in self.results)

    @property
    def counted(self) -> int:
        """How many mutants change what somebody can do."""
        return sum(r.status in ("killed", "survived") for r in self.results)

    @property
    def survivors(self) -> tuple[Result, ...]:
        """The mutants that nobody noticed."""
        return tuple(r for r in self.results if r.status == "survived")

    @property
    def exit_code(self) -> int:
        """Return 3 when a mutant survived, else 0."""
        return 3 if self.survivors else 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data."""
        return {
            "killed": self.killed,
            "counted": self.counted,
            "equivalent": sum(r.status == "equivalent" for r in self.results),
            "redundant": sum(r.status == "redundant" for r in self.results),
            "impossible": sum(r.status == "impossible" for r in self.results),
            "seconds": round(self.seconds, 3),
            "results": [asdict(r) for r in self.results],
        }

    def text(self) -> str:
        """Say score, survivors and why some do not count."""
        share = 100 * self.killed / self.counted if self.counted else 100.0
        lines = [
            f"{self.killed} of {self.counted} mutants noticed ({share:.1f} %)"
            f" in {self.seconds:.1f} s"
        ]
        lines += [f"  survived: {r.kind} {r.object}: {r.description}" for r in self.survivors]
        reasons: dict[str, int] = {}
        for result in self.results:
            if result.status in ("equivalent", "redundant"):
                reasons[result.by] = reasons.get(result.by, 0) + 1
        lines += [f"  makes no difference ({n}): {why}" for why, n in sorted(reasons.items())]
        failed = sum(r.status == "impossible" for r in self.results)
        if failed:
            lines.append(f"  not applicable to this database: {failed}")
        return "\n".join(lines)


def run(
    dsns: Sequence[str],
    *,
    model: TenancyModel | None = None,
    timeout: float = 2.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Score:
    """Score the harness on a database; nothing remains of it.

    ``dsns`` reach copies of the same database: each gets a process of its own.
    """
    if len(dsns) > 1:
        from harmonia_py.isolation.mutation.crew import share

        return share(dsns, model=model, timeout=timeout, progress=progress)
    with connect(dsns[0]) as conn, laboratory(conn, model, timeout=timeout) as lab:
        return score(lab, progress=progress)


def score(
    lab: Lab,
    *,
    kinds: frozenset[str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Score:
    """Apply each mutant (of the given kinds) in an open laboratory and collect the results."""
    started = time.monotonic()
    trial = Trial(lab, kinds)
    results: dict[int, Result] = {}
    for group in trial.groups():
        results |= trial.run(group, progress)
    return Score(tuple(results[n] for n in sorted(results)), time.monotonic() - started)


class Trial:
    """The mutants of one laboratory, by number, and what came of them."""

    def __init__(self, lab: Lab, kinds: frozenset[str] | None = None) -> None:
        """Find the mutants; the same database gives the same ones in the same order."""
        self.lab = lab
        lab.model = observed(lab)
        self.mutants = [m for m in mutants(lab) if kinds is None or m.kind in kinds]
        lab.watch_all()
        self._bench = Bench(lab)

    def groups(self) -> list[list[int]]:
        """Return the numbers of mutants that share what the original shows; long ones first."""
        by_object: dict[tuple[str, ...], list[int]] = {}
        for number, mutant in enumerate(self.mutants):
            alone = (str(number),) if mutant.kind == "helper body" else ()
            by_object.setdefault((mutant.object, *alone), []).append(number)
        return sorted(by_object.values(), key=lambda g: -len(self.mutants[g[0]].objects))

    def run(self, group: Sequence[int], progress: Callable[[str], None]) -> dict[int, Result]:
        """Try the mutants of one group."""
        return {number: self._result(number, progress) for number in group}

    def _result(self, number: int, progress: Callable[[str], None]) -> Result:
        mutant, began = self.mutants[number], time.monotonic()
        progress(f"mutant {number + 1} of {len(self.mutants)}: {mutant.kind} {mutant.object}")
        if mutant.equivalent:
            status, by = "equivalent", mutant.equivalent
        else:
            status, by = self._bench.tried(mutant)
            if status == "survived":
                twice = self._bench.held_twice(mutant) or self._bench.isolated_anyway(mutant)
                if twice:
                    status, by = "redundant", twice
            if status == "survived" and mutant.body:
                mate = self._bench.refused_anyway(mutant)
                if mate := mate or self._bench.doubled(mutant, self.mutants):
                    status, by = "redundant", mate
            if status == "survived" and (reason := self._bench.read_anyway(mutant)):
                status, by = "equivalent", reason
            self.lab.only = self.lab.commands = None
        spent = round(time.monotonic() - began, 3)
        return Result(mutant.kind, mutant.object, mutant.description, status, by, spent)


def observed(lab: Lab) -> TenancyModel:
    """Return the model with the roles of each command as they are now, where it has none.

    It is what ``harmonia verify --init`` writes for a person to correct and commit.
    """
    found = tables.probe(lab)
    updated = dict(lab.model.tables)
    for table in lab.tables():
        model = lab.model.of(table.key)
        if needs := assurance.observed(lab, table):
            model = replace(
                model,
                second_factor=model.second_factor or needs.get("second_factor", ()),
                registered=model.registered or needs.get("registered", ()),
            )
            updated[table.key] = model
        if model.kind == "user" and not model.roles:
            updated[table.key] = model = replace(model, roles=selves.observed(lab, table))
        if model.kind not in ("tenant", "root") or model.roles or model.permissions:
            continue
        roles = {
            command: tuple(
                m.tenants["A"]
                for m in lab.cast.members("A")
                if "A" in found.allowed.get((table.key, command, m.name), ())
            )
            for command in ("select", "insert", "update", "delete")
        }
        updated[table.key] = replace(model, roles=roles)
    functions = callers.observed(lab) | lab.model.functions
    return replace(lab.model, tables=updated, functions=functions)
