"""Rows of nobody: clients may read them, and must not change them."""

from __future__ import annotations

import re
from dataclasses import replace

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Cell, Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tables.result import TableResult
from harmonia_py.isolation.references import literals

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
    held: dict[str, list[Probe]] = {}
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
                # A member may: either people of the whole project, or whoever has a seat.
                held.setdefault(command, []).append(item)
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
    told = {s.command for s in result.signals if s.object == table.key}
    for command, items in held.items():
        seated = None if command in told else _by_seat(lab, table, items)
        if seated is not None:
            result.signals.append(_signal(table, command, seated))


def _by_seat(lab: Lab, table: Table, items: list[Probe]) -> Probe | None:
    """Return a probe that a seat in a tenant let through, and no right of the whole project.

    A role that no tenant's rows know may be one of the project's own staff.
    """
    able = {r for item in items for r in item.actor.tenants.values()}
    if not lab.fixtures.replica or not (able >= set(lab.model.roles) or able & _ranks(lab)):
        return None
    for item in items:
        clear = []
        for m in lab.model.memberships:
            members = lab.catalog.table(m.table)
            rows = [r.values for r in lab.fixtures.of(m.table, "A", item.actor.user)]
            if members is not None and rows:
                clear.append(statements.erase(lab, members, lab.where_keys(members, rows)))
        (outcome,) = lab.run([replace(item, pre=tuple(clear), replica=True)]) if clear else (None,)
        if outcome is not None and not any(c.table == table.key for c in outcome.changes):
            return item
    return None


def _ranks(lab: Lab) -> set[str]:
    """Return the roles that the policies of tenants' own rows ask for."""
    owned = [k for k, entry in lab.model.tables.items() if entry.kind in ("tenant", "root")]
    found = (lab.catalog.tables[k] for k in owned if k in lab.catalog.tables)
    texts = {lab.refs.closure_text(lab.refs.policy_text(t)) for t in found}
    words = {w for text in texts for v in literals(text) for w in re.findall(r"[\w-]+", v)}
    return words & set(lab.model.roles)


def _signal(table: Table, command: str, item: Probe) -> Signal:
    names = ", ".join(p.name for p in table.policies_for(command, item.actor.role) if p.permissive)
    return Signal(
        "shared.rows",
        "breach",
        "high",
        item.actor.name,
        table.key,
        command,
        f"{item.actor.name} could {command} rows of all tenants, and not without its seat in A",
        "Every tenant has people of every role; here those of one decide what all the others see.",
        f"Let the {command} policies ({names}) ask for a right that no tenant can give.",
        item.sql,
        item.actor,
        (table.key,),
        group=table.key,
        title="{object}: a member of one tenant writes rows that all share ({commands})",
    )
