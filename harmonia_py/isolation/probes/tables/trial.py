"""Run the statements on one table and judge what became of the rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tables.reads import judge_read
from harmonia_py.isolation.probes.tables.result import TableResult, Verdicts
from harmonia_py.isolation.probes.tables.writes import judge_write

__all__ = ["judge"]


#: What each narrower variant is a part of.
_WIDER = {
    "blind": "constant",
    "targeted": "blind",
    "move out": "move out blind",
    "steal in": "steal in blind",
}


def judge(
    lab: Lab,
    table: Table,
    plan: list[Probe],
    result: TableResult,
    verdicts: Verdicts | None = None,
) -> None:
    """Run probes on one table and judge each outcome.

    ``verdicts``, where given, is told what each actor could do.
    """
    verdicts = defaultdict(set) if verdicts is None else verdicts
    plan, outcomes = _run(lab, plan)
    retry = [
        (i, replace(p, replica=True))
        for i, (p, o) in enumerate(zip(plan, outcomes, strict=True))
        if o.code == "23503" and p.tag[0] != "select" and lab.fixtures.replica
        if not _kept_together(lab, table, p, o)
    ]
    stopped: dict[int, Outcome] = {}
    if retry:
        again = lab.run([p for _, p in retry])
        stopped = {i: o for (i, _), o in zip(retry, again, strict=True)}
    for index, probe_ in _in_the_way(lab, table, plan, outcomes):
        (stopped[index],) = lab.run([probe_])
    reads: dict[tuple[str, ...], dict[str, list[tuple[object, dict[str, object]]]]] = {}
    for index, (item, outcome) in enumerate(zip(plan, outcomes, strict=True)):
        command, variant, _ = item.tag
        result.probes[table.key] += 1
        if command == "select":
            columns = item.tag[2]
            if columns not in reads:
                reads[columns] = lab.hashes(table, columns)
            judge_read(lab, table, item, outcome, reads[columns], result, verdicts)
        else:
            final = stopped.get(index, outcome)
            judge_write(lab, table, item, outcome, final, result, verdicts, variant)


def _kept_together(lab: Lab, table: Table, item: Probe, outcome: Outcome) -> bool:
    """Whether a composite reference stopped a move: a row cannot leave what it belongs to.

    ``move along`` takes the other columns with it, as an attacker would.
    """
    if not item.tag[1].startswith("move out"):
        return False
    tenant = lab.model.of(table.key).path[0]
    return any(
        len(fk.columns) > 1 and tenant in fk.columns and f'"{fk.name}"' in outcome.message
        for fk in table.foreign_keys
    )


def _in_the_way(
    lab: Lab, table: Table, plan: list[Probe], outcomes: list[Outcome]
) -> Iterable[tuple[int, Probe]]:
    """Repeat a move that only another row's key stopped, with that row out of the way."""
    if not lab.fixtures.replica:
        return
    for index, (item, outcome) in enumerate(zip(plan, outcomes, strict=True)):
        command, variant, label = item.tag[:3]
        if command != "update" or outcome.code != "23505" or label in item.actor.tenants:
            continue
        arriving = next(iter(item.actor.tenants), label) if "steal" in variant else label
        rows = [r.values for r in lab.fixtures.of(table.key, arriving) if r.user != item.actor.user]
        if rows:
            clear = statements.erase(lab, table, lab.where_keys(table, rows))
            yield index, replace(item, pre=(clear,), replica=True)


def _run(lab: Lab, plan: list[Probe]) -> tuple[list[Probe], list[Outcome]]:
    """Run the widest writes, and the narrower ones only where the wider one failed.

    What reads a column or has a WHERE clause can only reach fewer rows; it helps when an error on
    some row hides the rest.
    """
    ran: list[Probe] = []
    outcomes: list[Outcome] = []
    worked: dict[tuple[str, str, str, str | None], bool] = {}
    known = {_variant(p) for p in plan}
    left = plan
    while left:
        now = [p for p in left if _wider(p) not in known or _wider(p) in worked]
        left = [p for p in left if _wider(p) in known and _wider(p) not in worked]
        # A part of what worked is known to work; what it is a part of tells in its place.
        for part in (p for p in now if worked.get(_wider(p))):
            worked[_variant(part)] = True
        now = [p for p in now if not worked.get(_wider(p))]
        done = lab.run_once(now)
        worked |= {_variant(p): o.ok for p, o in zip(now, done, strict=True)}
        ran += now
        outcomes += done
    return ran, outcomes


def _variant(item: Probe) -> tuple[str, str, str, str | None]:
    command, variant, label = item.tag[:3]
    return item.actor.name, command, variant, label


def _wider(item: Probe) -> tuple[str, str, str, str | None]:
    actor, command, variant, label = _variant(item)
    return actor, command, _WIDER.get(variant, ""), label
