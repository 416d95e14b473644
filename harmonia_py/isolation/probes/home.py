"""What somebody can do at home: one probe per command on each table of one's own tenant."""

from __future__ import annotations

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import statements

__all__ = ["plan", "reached", "weight"]


def plan(lab: Lab, table: Table, actor: Actor, close: tuple[str, ...] = ()) -> list[Probe]:
    """Read, insert, update and delete as a member of tenant A, after running ``close``."""
    texts: dict[str, str | None] = {}
    look = statements.select(lab, table, actor)
    if look is not None:
        texts["select"] = look.sql
    spare = lab.fixtures.spares.get((table.key, "A"))
    if spare is not None:
        row = statements.with_user(lab, table, spare, actor)
        texts["insert"] = statements.insert_sql(lab, table, actor, row)
    column = statements.touch_column(lab, table, actor.role)
    if column is not None:
        texts["update"] = statements.touch(lab, table, column)
    if table.can(actor.role, "DELETE"):
        texts["delete"] = statements.erase(lab, table)
    return [
        Probe(
            actor,
            text,
            rows=command == "select",
            watch=() if command == "select" else (table.key,),
            pre=close,
            replica=bool(close),
            tag=(table.key, command),
        )
        for command, text in texts.items()
        if text and lab.tries(command)
    ]


def reached(item: Probe, outcome: Outcome) -> bool:
    """Whether the probe came through, up to constraints."""
    key, command = item.tag
    if command == "select":
        return outcome.ok and bool(outcome.result)
    return outcome.constraint or any(c.table == key for c in outcome.changes)


def weight(item: Probe, outcome: Outcome) -> int:
    """Count what came of a probe: rows that came back, rows that changed."""
    if item.tag[1] == "select":
        return len(outcome.result or ()) if outcome.ok else 0
    return len(outcome.changes) + outcome.constraint
