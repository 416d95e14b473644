"""Rows without an owner in a table whose other rows have one: what all tenants share.

A vendor's defaults, a catalogue, templates: everybody reads them beside their own. Nobody who is
only somebody in one tenant may change them, take them away, or put one in front of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Column, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements

__all__ = ["probe"]


def probe(lab: Lab) -> list[Signal]:
    """Put a row of nobody into every table that can hold one, and let tenants' people write it."""
    out: list[Signal] = []
    for table in lab.tables():
        column = _owner(lab, table)
        if column is None:
            continue
        with _shared(lab, table, column) as shared:
            if shared is not None and _seen_by_all(lab, table):
                row, text = shared
                out += [replace(s, pre=(text,)) for s in _written(lab, table, column, row)]
    return out


def _owner(lab: Lab, table: Table) -> Column | None:
    """Return the column that names whose a row is, where it may be empty."""
    model = lab.model.of(table.key)
    if model.kind not in ("tenant", "user") or len(model.path) != 1 or not lab.fixtures.replica:
        return None
    if any(m.table == table.key for m in lab.model.memberships):
        return None
    column = table.column(model.path[0])
    return None if column.not_null or column.name in table.primary_key else column


@contextmanager
def _shared(lab: Lab, table: Table, column: Column) -> Iterator[tuple[dict[str, Any], str] | None]:
    """Keep a row of nobody in the table for a while; yields None where there can be none."""
    spare = lab.fixtures.spares.get((table.key, "B"))
    if spare is None:
        yield None
        return
    values = {**spare.values, column.name: None}
    text = statements.store(lab, table, values)
    with lab.rolled_back():
        lab.conn.execute("set local session_replication_role = replica")
        try:
            lab.conn.execute(text.encode())
        except psycopg.IntegrityError:
            yield None
            return
        lab.conn.execute("set local session_replication_role = origin")
        lab.forget(table.key)
        yield values, text


def _seen_by_all(lab: Lab, table: Table) -> bool:
    """Whether the weakest member of either tenant sees a row of nobody."""
    for label in "AB":
        actor = next(iter(reversed(lab.cast.members(label))), None)
        look = statements.select(lab, table, actor) if actor else None
        if look is None:
            return False
        known = lab.hashes(table, look.tag[2])
        (outcome,) = lab.run([look])
        if not any(scope is None for m in outcome.result or () for scope, _ in known.get(m, ())):
            return False
    return True


def _written(lab: Lab, table: Table, column: Column, row: dict[str, Any]) -> Iterator[Signal]:
    told: set[str] = set()
    for actor in lab.cast.actors:
        if actor.user is None or "B" in actor.tenants or actor.state in ("fresh", "both"):
            continue
        plan = list(_plan(lab, table, column, actor, row))
        for item, outcome in zip(plan, lab.run(plan), strict=True):
            command = item.tag
            if command not in told and any(
                c.table == table.key and c.scope is None for c in outcome.changes
            ):
                told.add(command)
                yield _signal(table, column, actor, command, item)


def _plan(
    lab: Lab, table: Table, column: Column, actor: Actor, row: dict[str, Any]
) -> Iterator[Probe]:
    keys = lab.where_keys(table, [row])
    touched = statements.touch_column(lab, table, actor.role)
    watch = (table.key,)
    if lab.tries("update") and touched is not None:
        texts = [statements.touch(lab, table, touched)]
        if table.can(actor.role, "SELECT"):
            texts.append(statements.touch(lab, table, touched, keys))
        yield from (Probe(actor, text, watch=watch, tag="update") for text in texts)
    if lab.tries("delete") and table.can(actor.role, "DELETE"):
        texts = [statements.erase(lab, table)]
        if table.can(actor.role, "SELECT"):
            texts.append(statements.erase(lab, table, keys))
        yield from (Probe(actor, text, watch=watch, tag="delete") for text in texts)
    # What must name its author is somebody's, whoever else may read it.
    spare = lab.fixtures.spares.get((table.key, "A"))
    if lab.tries("insert") and spare and "insert" not in lab.model.of(table.key).own_rows:
        values = statements.with_user(lab, table, spare, actor) | {column.name: None}
        text = statements.insert_sql(lab, table, actor, values)
        if text is not None:
            yield Probe(actor, text, watch=watch, tag="insert")


def _signal(table: Table, column: Column, actor: Actor, command: str, item: Probe) -> Signal:
    names = ", ".join(p.name for p in table.policies_for(command, actor.role) if p.permissive)
    return Signal(
        "shared.rows",
        "breach",
        "high",
        actor.name,
        table.key,
        command,
        f"{actor.name} could {command} a row whose {column.name} is null, which every tenant sees",
        "Rows without an owner are shared by all tenants; here one tenant decides what all see.",
        f"Let the {command} policies ({names or 'none'}) demand that {column.name} is the caller's"
        " own.",
        item.sql,
        actor,
        (table.key,),
        group=table.key,
        title="{object}: a member of one tenant writes rows that all share ({commands})",
    )
