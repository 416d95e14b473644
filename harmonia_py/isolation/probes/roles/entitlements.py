"""What one is given and must not take: a plan, a quota, a mark of being verified.

No policy need ask for such a column; the application does. Whether a person can write it in the
row that describes them (or a member in the row of their tenant) is tried with a value that it may
hold and does not begin with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Column, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.references import literals

__all__ = ["probe"]

# Words for what is bought, measured out or vouched for, and never for what one likes or is called.
_GIVEN = re.compile(
    r"(?:^|_)(?:plan|tier|subscription|subscribed|premium|paid|licen[cs]e|credits?|balance|quota|"
    r"seats|verified|trusted|admin|superuser|superadmin|staff|moderator|banned)(?:_|$)",
    re.I,
)


def probe(lab: Lab, known: set[str]) -> list[Signal]:
    """Write every such column as the person it is about; ``known`` are tables told of already."""
    out: list[Signal] = []
    if not lab.tries("update"):
        return out
    for table in lab.tables():
        kind = lab.model.of(table.key).kind
        members = lab.cast.members("A")
        if table.key in known:
            continue
        if kind == "root":
            actors = members
        elif kind == "user" and _describes(lab, table):
            actors = members[-1:]
        else:
            continue
        for column in table.columns:
            if _is_given(column):
                out += _taken(lab, table, column, actors)
    return out


def _describes(lab: Lab, table: Table) -> bool:
    """Whether there is one row per person."""
    model = lab.model.of(table.key)
    users = {*model.users, *model.path[:1]}
    return any(u.columns and set(u.columns) <= users for u in table.uniques if not u.exclusion)


def _is_given(column: Column) -> bool:
    return (
        column.default is not None
        and column.not_null
        and column.writable
        and ("authenticated", "UPDATE") in column.privileges
        and bool(_GIVEN.search(column.name))
    )


def _values(table: Table, column: Column) -> Iterator[Any]:
    """Yield what the column may hold beside its default."""
    usual = str(column.default)
    if column.category == "B":
        yield "false" if usual == "true" else "true"
    elif column.category == "N":
        yield from (1000000, 1000, 100, 10, 5)
    else:
        checks = [k.expression for k in table.checks if k.columns == (column.name,)]
        listed = [
            *column.labels,
            *(v for t in (*checks, *column.domain_checks) for v in literals(t)),
        ]
        yield from [v for v in dict.fromkeys(listed) if v not in literals(usual)][:6]


def _taken(lab: Lab, table: Table, column: Column, actors: list[Actor]) -> Iterator[Signal]:
    plan = [
        Probe(actor, _update(lab, table, column, value, actor), watch=(table.key,), tag=value)
        for value in _values(table, column)
        for actor in actors
    ]
    for item, outcome in zip(plan, lab.run(plan), strict=True):
        if any(
            c.table == table.key and c.kind == "new" and _same(c.data.get(column.name), item.tag)
            for c in outcome.changes
        ):
            yield _signal(table, column, item)
            return


def _same(stored: Any, wanted: Any) -> bool:
    return str(stored).lower() == str(wanted).lower()


def _update(lab: Lab, table: Table, column: Column, value: Any, actor: Actor) -> str:
    model = lab.model.of(table.key)
    own = lab.cast.a.id if model.kind == "root" else actor.user
    return statements.change(
        lab, table, {column.name: value}, lab.where(table, {model.path[0]: own})
    )


def _signal(table: Table, column: Column, item: Probe) -> Signal:
    return Signal(
        "escalation.given",
        "exposure",
        "medium",
        item.actor.name,
        table.key,
        "update",
        f"{item.actor.name} set {column.name} to {item.tag}",
        "Whoever it is about can write it: a plan, a limit or a mark that somebody else gives is"
        " then one's own word.",
        f"revoke update on {table.key} from authenticated, and grant update only on the columns"
        f" that people may write; not on {column.name}.",
        item.sql,
        item.actor,
        (table.key,),
        group=table.key,
        title="{object}: people can write what others give them (" + column.name + ")",
    )
