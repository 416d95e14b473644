"""Break the protection on purpose and see whether the harness notices: a score one can trust.

Each mutant lives in a savepoint of the one transaction that holds the fixtures; only the
probes it can affect are run, and they stop at the first thing the original did not show.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import psycopg
from psycopg.rows import dict_row

from harmonia_py.dsn import connect
from harmonia_py.isolation import introspect
from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.mutants import Mutant, mutants
from harmonia_py.isolation.probes import (
    callers,
    closed,
    denied,
    grants,
    invitations,
    oracles,
    permissions,
    reach,
    refusals,
    rpc,
    tables,
    views,
)
from harmonia_py.isolation.references import References
from harmonia_py.isolation.runner import laboratory

__all__ = ["Result", "Score", "observed", "run", "score"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one mutant: killed (by which rule), survived, or why it does not count."""

    kind: str
    object: str
    description: str
    status: str
    by: str = ""


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
    dsn: str,
    *,
    model: TenancyModel | None = None,
    timeout: float = 2.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Score:
    """Score the harness on the database behind ``dsn``; nothing remains of it."""
    with connect(dsn) as conn, laboratory(conn, model, timeout=timeout) as lab:
        return score(lab, progress=progress)


def score(
    lab: Lab,
    *,
    kinds: frozenset[str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Score:
    """Apply each mutant (of the given kinds) in an open laboratory and collect the results."""
    started = time.monotonic()
    lab.model = observed(lab)
    chosen = [m for m in mutants(lab) if kinds is None or m.kind in kinds]
    original = lab.catalog, lab.refs
    lab.watch_all()
    known: dict[str, frozenset[tuple[str, ...]]] = {}
    results: list[Result] = []
    for number, mutant in enumerate(chosen, 1):
        progress(f"mutant {number} of {len(chosen)}: {mutant.kind} {mutant.object}")
        if mutant.equivalent:
            status, by = "equivalent", mutant.equivalent
        else:
            status, by = _try(lab, mutant, known)
            lab.catalog, lab.refs = original
            if status == "survived" and mutant.body and mutant.kind == "function body":
                if mate := _doubled(lab, mutant, chosen, known):
                    status, by = "redundant", mate
        results.append(Result(mutant.kind, mutant.object, mutant.description, status, by))
    lab.only = lab.commands = None
    return Score(tuple(results), time.monotonic() - started)


def observed(lab: Lab) -> TenancyModel:
    """Return the model with the roles of each command as they are now, where it has none.

    It is what ``harmonia verify --init`` writes for a person to correct and commit.
    """
    found = tables.probe(lab)
    updated = dict(lab.model.tables)
    for table in lab.tables():
        model = lab.model.of(table.key)
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


def _try(lab: Lab, mutant: Mutant, known: dict[str, frozenset[tuple[str, ...]]]) -> tuple[str, str]:
    pieces = [frozenset({key}) for key in sorted(mutant.objects)]
    original = lab.catalog
    for piece in pieces:
        _baseline(lab, piece, mutant, known)
    try:
        with lab.conn.transaction(force_rollback=True):
            for text in mutant.statements:
                lab.conn.execute(text.encode())
            lab.catalog = _reread(lab, mutant)
            if mutant.kind == "grant widened" and _same_grants(lab, mutant, original):
                return "equivalent", "the role may not use the schema"
            lab.refs = References(lab.catalog)
            for piece in pieces:
                before = _baseline(lab, piece, mutant, known)
                for signal in _signals(lab, piece, mutant.commands):
                    if _name(signal) not in before:
                        return "killed", signal.rule
    except psycopg.Error as error:
        return "impossible", str(error).splitlines()[0]
    if mutant.kind == "to public":
        return "equivalent", "the expression is never true for the other API roles: all probed"
    return "survived", ""


def _doubled(
    lab: Lab, mutant: Mutant, chosen: Sequence[Mutant], known: dict[str, frozenset[tuple[str, ...]]]
) -> str | None:
    """Say which other check of the function refuses the same callers.

    Without both, the harness sees what it sees without neither of them alone: so it does reach
    the check, and the other one is why it makes no difference.
    """
    for mate in chosen:
        if mate is mutant or mate.body is None or mutant.body is None:
            continue
        both = mutant.body.together(mate.body) if mate.object == mutant.object else None
        if both is None:
            continue
        (piece,) = [frozenset({key}) for key in mutant.objects]
        alone = f"{mate.kind} {mate.object} {mate.description}"
        if alone not in known:
            known[alone] = _shown(lab, piece, mate.statements[0])
        if _shown(lab, piece, both) - known[alone] - _baseline(lab, piece, mutant, known):
            return "another check refuses the same; without both it is noticed"
    return None


def _shown(lab: Lab, piece: frozenset[str], statement: str) -> frozenset[tuple[str, ...]]:
    """Return all that the probes of a function show after a change of it."""
    try:
        with lab.conn.transaction(force_rollback=True):
            lab.conn.execute(statement.encode())
            return frozenset(_name(s) for s in _signals(lab, piece, frozenset({"execute"})))
    except psycopg.Error:
        return frozenset()


def _same_grants(lab: Lab, mutant: Mutant, original: Catalog) -> bool:
    """Whether a grant gave nobody anything."""
    before, now = original.tables.get(mutant.object), lab.catalog.tables.get(mutant.object)
    return (
        before is not None
        and now is not None
        and before.privileges == now.privileges
        and before.columns == now.columns
    )


def _baseline(
    lab: Lab,
    piece: frozenset[str],
    mutant: Mutant,
    known: dict[str, frozenset[tuple[str, ...]]],
) -> frozenset[tuple[str, ...]]:
    """Find out once what the original shows for the same objects."""
    key = f"{sorted(piece)} {sorted(mutant.commands)}"
    if key not in known:
        known[key] = frozenset(_name(s) for s in _signals(lab, piece, mutant.commands))
    return known[key]


def _name(signal: Signal) -> tuple[str, ...]:
    return signal.rule, signal.object, signal.command, signal.actor


def _signals(lab: Lab, only: frozenset[str], commands: frozenset[str]) -> Iterator[Signal]:
    """Run the channels that look at these objects and commands, cheap ones first."""
    lab.only = only
    lab.commands = None if commands == {"execute"} else commands
    if commands != {"execute"}:
        yield from grants.probe(lab)
        found = tables.probe(lab)
        yield from found.signals
        signals, _ = permissions.probe(lab, found.cells, found.allowed)
        yield from signals
        yield from reach.probe(lab)
        yield from refusals.probe(lab, found.allowed)
        yield from closed.probe(lab, found.allowed)[0]
        yield from views.probe(lab)[0]
        if commands & {"insert", "update"}:
            yield from oracles.probe(lab, found.allowed)
        if commands >= {"select", "insert", "update", "delete"}:
            yield from denied.probe(lab, found.cells, found.allowed)[0]
    else:
        yield from callers.probe(lab)
        taken, opened = invitations.probe(lab)
        yield from taken
        yield from rpc.probe(lab, opened)[0]


def _reread(lab: Lab, mutant: Mutant) -> Catalog:
    """Read again what the mutant changed, and nothing else."""
    catalog = lab.catalog
    changed = {mutant.object, *mutant.objects}
    oids = [t.oid for k in changed if (t := catalog.tables.get(k))]
    if mutant.kind in ("helper body", "function body", "definer") or not oids:
        return catalog
    with lab.conn.cursor(row_factory=dict_row) as cur:
        fresh: list[Table] = introspect.relations(cur, catalog.roles, oids)
    tables_now = dict(catalog.tables) | {t.key: t for t in fresh}
    return Catalog(
        tables=tables_now,
        functions=catalog.functions,
        sequences=catalog.sequences,
        buckets=catalog.buckets,
        publications=catalog.publications,
        platform=catalog.platform,
        roles=catalog.roles,
        schemas=catalog.schemas,
        server_version=catalog.server_version,
        superuser=catalog.superuser,
        default_privileges=catalog.default_privileges,
    )
