"""Rows of nobody: clients may read them, and must not change them."""

from __future__ import annotations

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Cell, Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tables.result import TableResult

__all__ = ["probe_shared"]


def probe_shared(lab: Lab, table: Table, result: TableResult) -> None:
    """Rows of nobody: clients may read them, and must not change them."""
    plan: list[Probe] = []
    for actor in lab.cast.actors:
        if actor.state in ("active", "stranger", "anon") and "B" not in actor.tenants:
            plan += [p for p in [statements.select(lab, table, actor)] if p]
            spare = lab.fixtures.spares.get((table.key, None))
            text = statements.insert_sql(lab, table, actor, spare.values) if spare else None
            if text:
                plan.append(Probe(actor, text, watch=(table.key,), tag=("insert", "new", None)))
            column = statements.touch_column(lab, table, actor.role)
            if column is not None:
                text = statements.touch(lab, table, column)
                plan.append(Probe(actor, text, watch=(table.key,), tag=("update", "blind", None)))
            if table.can(actor.role, "DELETE"):
                text = statements.erase(lab, table)
                plan.append(
                    Probe(
                        actor, text, watch=(table.key,), tag=("delete", "blind", None), replica=True
                    )
                )
    reads: set[str] = set()
    for item, outcome in zip(plan, lab.run(plan), strict=True):
        result.probes[table.key] += 1
        command = item.tag[0]
        if command == "select":
            allowed = bool(outcome.ok and outcome.result)
            if allowed:
                reads.add(item.actor.name)
                result.allowed[table.key, "select", item.actor.name].add("A")
        else:
            allowed = any(c.table == table.key for c in outcome.changes)
        expected = "unknown" if command == "select" else "deny"
        result.cells.append(
            Cell(
                table.key,
                command,
                item.actor.name,
                "shared",
                expected,
                "allow" if allowed else "deny",
            )
        )
        drop_box = command == "insert" and item.actor.name not in reads
        if allowed and command != "select" and not drop_box:
            blanket = table.rls and lab.refs.blanket(table, command, item.actor.role)
            outsider = item.actor.state in ("stranger", "anon") or not lab.model.tenanted
            if not outsider and table.rls:
                # A member may: some project-wide role decides; the outsiders tell.
                continue
            result.signals.append(
                Signal(
                    "shared.write",
                    "breach",
                    "high",
                    item.actor.name,
                    table.key,
                    command,
                    f"{command} as {item.actor.name} changed the shared rows",
                    "Rows shared by all tenants can be changed by anybody who has an account.",
                    f"Revoke {command} on {table.key} from {item.actor.role}, or write a policy.",
                    item.sql,
                    item.actor,
                    (table.key,),
                    "shared rows" if blanket else table.key,
                )
            )
