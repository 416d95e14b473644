"""Every actor against every table: select, insert, update, delete, upsert, move, steal."""

from __future__ import annotations

from collections import defaultdict

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Cell, NotJudged
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes.tables.plan import attacks, controls
from harmonia_py.isolation.probes.tables.result import COMMANDS, TableResult, Verdicts
from harmonia_py.isolation.probes.tables.role_bleed import probe_role_bleed
from harmonia_py.isolation.probes.tables.shared import probe_shared
from harmonia_py.isolation.probes.tables.trial import judge

__all__ = ["TableResult", "attack", "probe"]


def probe(lab: Lab) -> TableResult:
    """Run all table probes of all actors and judge them."""
    result = TableResult()
    for table in lab.tables():
        kind = lab.model.of(table.key).kind
        if kind in ("tenant", "root", "user"):
            _isolated(lab, table, result)
        elif kind == "public":
            probe_shared(lab, table, result)
        elif kind == "unknown":
            reason = lab.model.of(table.key).reason or "the model does not say whose rows these are"
            result.not_judged.append(NotJudged(table.key, reason))
    probe_role_bleed(lab, result)
    return result


def attack(lab: Lab, actor: Actor) -> TableResult:
    """Let one more actor (with forged claims, say) attack every table that isolates rows."""
    result = TableResult()
    for table in lab.tables():
        if lab.model.of(table.key).kind in ("tenant", "root", "user"):
            judge(lab, table, list(attacks(lab, table, actor)), result)
    return result


def _isolated(lab: Lab, table: Table, result: TableResult) -> None:
    """Attack and exercise a table whose rows belong to somebody."""
    plan: list[Probe] = []
    for actor in lab.cast.actors:
        plan += attacks(lab, table, actor)
        plan += controls(lab, table, actor)
    verdicts: Verdicts = defaultdict(set)
    judge(lab, table, plan, result, verdicts)
    _cells(lab, table, verdicts, result)


def _cells(
    lab: Lab,
    table: Table,
    verdicts: Verdicts,
    result: TableResult,
) -> None:
    for actor in lab.cast.actors:
        if actor.state in ("fresh", "moved") or (actor.is_member and "B" in actor.tenants):
            continue
        for command in COMMANDS:
            if actor.tenants:
                seen = verdicts.get((actor.name, command, "own"), set())
                actual = "allow" if "allow" in seen else "deny"
                detail = "" if actual == "allow" else "; ".join(sorted(seen))[:200]
                result.cells.append(
                    Cell(table.key, command, actor.name, "own", "unknown", actual, detail)
                )
            if actor.state != "both":
                seen = verdicts.get((actor.name, command, "foreign"), set())
                actual = "allow" if "allow" in seen else "deny"
                result.cells.append(Cell(table.key, command, actor.name, "foreign", "deny", actual))
