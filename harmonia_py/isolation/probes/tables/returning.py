"""Rows that whoever adds them cannot have back: ``insert ... returning`` is refused.

Clients of PostgREST ask for the new row as a matter of course, and ``returning`` asks the SELECT
policies. A table whose policies hide a new row from its author, although he reads his other rows
there, refuses the whole insert with words that speak of something else. A row that only the very
statement that adds it cannot see (a stable helper looks it up) is not meant: the next one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements

__all__ = ["probe"]

_REFUSED = "42501"


def probe(lab: Lab, allowed: Mapping[tuple[str, str, str], set[str]]) -> list[Signal]:
    """Insert as members who may, with and without ``returning``."""
    if not lab.tries("insert"):
        return []
    out: list[Signal] = []
    for table in lab.tables():
        # Who makes a tenant joins it afterwards: only then is there something to read.
        if lab.model.of(table.key).kind not in ("tenant", "user"):
            continue
        if any(m.table == table.key for m in lab.model.memberships):
            continue
        who = [
            actor
            for actor in lab.cast.members("A")
            if all(
                "A" in allowed.get((table.key, command, actor.name), ())
                for command in ("select", "insert")
            )
        ]
        # The strongest and the weakest who read and add here.
        for actor in {a.name: a for a in (*who[:1], *who[-1:])}.values():
            if found := _refused(lab, table, actor):
                out.append(found)
                break
    return out


def _refused(lab: Lab, table: Table, actor: Actor) -> Signal | None:
    """Return a signal when every row that can be added cannot be returned."""
    shown = [c.name for c in table.readable(actor.role)]
    if not shown:
        return None
    tail = sql.SQL(" returning {}").format(sql.SQL(", ").join(map(sql.Identifier, shown)))
    plain = statements.inserts(lab, table, actor, "A")
    asking = [replace(p, sql=p.sql + lab.text(tail)) for p in plain]
    returned = lab.run(asking)
    if any(answer.ok for answer in returned) or not any(a.code == _REFUSED for a in returned):
        return None
    tried = [
        (item, bare, answer)
        for item, bare, added, answer in zip(asking, plain, lab.run(plain), returned, strict=True)
        if added.ok and any(c.table == table.key and c.kind == "new" for c in added.changes)
    ]
    if not tried or any(answer.code != _REFUSED for _, _, answer in tried):
        return None
    count = lab.text(sql.SQL("select pg_catalog.to_jsonb(count(*)) from {}").format(table.sql))
    look = [Probe(actor, count, rows=True)]
    look += [Probe(actor, f"{bare.sql}; {count}", rows=True) for _, bare, _ in tried]
    seen = [outcome.result for outcome in lab.run(look)]
    if any(n is None or n != seen[0] for n in seen):
        return None
    item, _, answer = tried[0]
    return _signal(table, actor, item, answer.message)


def _signal(table: Table, actor: Actor, item: Probe, message: str) -> Signal:
    names = ", ".join(p.name for p in table.policies_for("select", actor.role))
    return Signal(
        "denied.returning",
        "denied",
        "medium",
        actor.name,
        table.key,
        "insert",
        f"insert works, insert ... returning does not: {message}",
        "The SELECT policies do not show a new row to whoever adds it, and clients ask for the row"
        " they add: for them the insert fails.",
        f"Let the SELECT policies ({names}) cover the author's own new rows.",
        item.sql,
        actor,
        (table.key,),
        group="returning",
        title="{object}: a new row cannot be returned to whoever adds it",
    )
