"""What people may do with the rows of their own, where no tenant has a say: profiles, settings.

The model lists for each command who may: ``user``, somebody signed in, and ``anonymous``, an
anonymous sign-in. The list is held in both directions.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import home, statements

__all__ = ["observed", "probe"]

_PEOPLE = {"stranger": "user", "anonymous": "anonymous"}


def probe(lab: Lab) -> list[Signal]:
    """Compare who can do what to a row of their own with the lists of the model."""
    out: list[Signal] = []
    for table in lab.tables():
        model = lab.model.of(table.key)
        if model.kind == "user" and model.roles:
            for (command, who), (done, item) in _tried(lab, table).items():
                listed = model.roles.get(command)
                if listed is not None and done != (who in listed):
                    out.append(_signal(table, command, who, item, done=done))
    return out


def observed(lab: Lab, table: Table) -> dict[str, tuple[str, ...]]:
    """Return the lists of a table as the database has them now."""
    tried = _tried(lab, table)
    return {
        command: tuple(who for (c, who), (done, _) in tried.items() if c == command and done)
        for command in dict.fromkeys(c for c, _ in tried)
    }


def _tried(lab: Lab, table: Table) -> dict[tuple[str, str], tuple[bool, Probe]]:
    plan = [p for a in lab.cast.actors if a.state in _PEOPLE for p in _plan(lab, table, a)]
    return {
        (item.tag[1], _PEOPLE[item.actor.state]): (home.reached(item, outcome), item)
        for item, outcome in zip(plan, lab.run(plan), strict=True)
    }


def _plan(lab: Lab, table: Table, actor: Actor) -> Iterator[Probe]:
    """Insert one's row where there is none; read, change and remove the only one there is."""
    spare = lab.fixtures.spares.get((table.key, "A"))
    if spare is None or not lab.fixtures.replica:
        return
    model = lab.model.of(table.key)
    named = {*model.users, *model.path}
    row = {k: actor.user if k in named else v for k, v in spare.values.items()}
    for name in table.primary_key:
        if name not in named and table.column(name).base == "uuid":
            row[name] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{table.key} {actor.name}"))
    empty = lab.text(sql.SQL("delete from {}").format(table.sql))
    texts: dict[str, tuple[str | None, tuple[str, ...]]] = {}
    look = statements.select(lab, table, actor)
    column = statements.touch_column(lab, table, actor.role)
    alone = (empty, statements.store(lab, table, row))
    texts["select"] = (look.sql if look else None, alone)
    texts["insert"] = (statements.insert_sql(lab, table, actor, row), (empty,))
    texts["update"] = (statements.touch(lab, table, column) if column else None, alone)
    can = table.can(actor.role, "DELETE")
    texts["delete"] = (statements.erase(lab, table) if can else None, alone)
    for command, (text, pre) in texts.items():
        if text and lab.tries(command):
            yield Probe(
                actor, text, rows=command == "select", pre=pre, replica=True,
                watch=() if command == "select" else (table.key,), tag=(table.key, command),
            )  # fmt: skip


def _signal(table: Table, command: str, who: str, item: Probe, *, done: bool) -> Signal:
    said = "can, and the model does not list it" if done else "cannot, and the model lists it"
    return Signal(
        "permission.excess" if done else "permission.denied",
        "escalation" if done else "denied",
        "high" if done else "medium",
        item.actor.name, table.key, command, f"{who}: {said}",
        "The model says who may do this to a row of their own.",
        f"Correct the {command} policy, or the roles in harmonia.toml.",
        item.sql, item.actor, (table.key,), group=table.key, pre=item.pre,
        title="{object}: people can do " + ("more" if done else "less")
        + " to rows of their own than the model says ({commands})",
    )  # fmt: skip
