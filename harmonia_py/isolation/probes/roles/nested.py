"""Rows inside rows: teams, projects and folders that only some people of a tenant may see.

A member who is in no team, no project and no guest list sees what the whole tenant sees. What he
sees then of a row must not be more than of the row it belongs to, and he must not be able to put
himself on such a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tables.inert import values_of
from harmonia_py.isolation.probes.tickets.shares import sight

__all__ = ["probe"]


def probe(lab: Lab) -> list[Signal]:
    """Take the weakest member off every list, and look what is seen and what can be joined."""
    actor = next(iter(reversed(lab.cast.members("A"))), None)
    lists = _lists(lab)
    if actor is None or not lists or not lab.fixtures.replica or not lab.model.tenant_table:
        return []
    bare = tuple(
        lab.text(
            sql.SQL("delete from {} where {} = {}").format(
                table.sql, sql.Identifier(column), lab.literal(table, column, actor.user)
            )
        )
        for table, columns in lists
        for column in columns
    )
    out = list(_orphans(lab, actor, bare)) if lab.tries("select") else []
    if lab.tries("insert"):
        for table, columns in lists:
            out += _joined(lab, table, columns, actor, bare)
    return out


def _lists(lab: Lab) -> list[tuple[Table, list[str]]]:
    """Find the tables beside the memberships that let people in whom their rows name."""
    seats = {m.table for m in lab.model.memberships}
    found = []
    for table in lab.tables():
        model = lab.model.of(table.key)
        if model.kind != "tenant" or table.key in seats:
            continue
        columns = [c for c in model.users if c in lab.refs.consulted(table)]
        keyed = {c for u in table.uniques for c in u.columns if not u.exclusion}
        columns = [c for c in columns if c in keyed]
        if columns:
            found.append((table, columns))
    return found


# Seen without what it belongs to -------------------------------------------------------------


def _orphans(lab: Lab, actor: Actor, bare: tuple[str, ...]) -> Iterator[Signal]:
    """Find tables whose rows are seen although the rows they hang on are hidden."""
    for table in lab.tables():
        path = lab.model.of(table.key).path
        step = table.step(path[0]) if len(path) > 1 else None
        parent = lab.catalog.tables.get(step.target) if step else None
        if step is None or parent is None or len(step.columns) != 1:
            continue
        look, above = (statements.select(lab, t, actor) for t in (table, parent))
        if look is None or above is None:
            continue
        own = set(_seen(lab, table, look, bare, step.columns[0]))
        seen_above = set(_seen(lab, parent, above, bare, step.ref_columns[0]))
        if hidden := sorted(own - seen_above):
            yield _orphan(table, parent, actor, look, bare, hidden[0])


def _seen(lab: Lab, table: Table, look: Probe, bare: tuple[str, ...], column: str) -> Iterator[str]:
    item = Probe(look.actor, look.sql, rows=True, pre=bare, replica=True)
    known = lab.hashes(table, look.tag[2])
    (outcome,) = lab.run([item])
    for mark in outcome.result or () if outcome.ok else ():
        for _, data in known.get(mark, ()):
            if data.get(column) is not None and not lab.ownership.mine(look.actor, table.key, data):
                yield str(data[column])


def _orphan(
    table: Table, parent: Table, actor: Actor, look: Probe, bare: tuple[str, ...], key: str
) -> Signal:
    return Signal(
        "nested.beyond",
        "exposure",
        "medium",
        f"{actor.name}, in no team",
        table.key,
        "select",
        f"rows of {parent.key} {key} are seen, and that row itself is not",
        f"Rows of {table.key} belong to {parent.key}, which hides its rows from this member; their"
        " contents are open all the same.",
        f"Let the select policies of {table.key} ask what those of {parent.key} ask.",
        look.sql,
        actor,
        (table.key, parent.key),
        group=table.key,
        title="{object}: rows are open whose parent is hidden",
        pre=bare,
    )


# Putting oneself on a list -------------------------------------------------------------------


def _joined(
    lab: Lab, table: Table, columns: list[str], actor: Actor, bare: tuple[str, ...]
) -> Iterator[Signal]:
    look = sight(lab)
    rows = [
        r.values
        for r in lab.fixtures.of(table.key, "A")
        if any(str(r.values.get(c)) == actor.user for c in columns)
    ]
    text = statements.insert_sql(lab, table, actor, rows[0]) if rows else None
    if text is None or not look:
        return
    (alone,) = lab.run([Probe(actor, text, pre=bare, replica=True)])
    if not alone.ok or not _alone(lab, table, columns, actor, rows[0]):
        return
    plan = [Probe(actor, look, rows=True, pre=bare, replica=True)]
    for circumstances in _parents(lab, table):
        pre = (*bare, *circumstances)
        plan.append(Probe(actor, f"{text}; {look}", rows=True, pre=pre, replica=True))
    counts = [o.result if o.ok and isinstance(o.result, dict) else {} for o in lab.run(plan)]
    before, after = counts[0], counts[1:]
    opened = [
        key
        for key, count in before.items()
        if key != table.key and all(more.get(key, 0) > count for more in after)
    ]
    if opened:
        yield _join(table, actor, plan[1], opened)


def _alone(lab: Lab, table: Table, columns: list[str], actor: Actor, row: dict[str, Any]) -> bool:
    """Whether roles differ at all, or this one cannot put others on the list."""
    if len(lab.model.roles) > 1:
        return True
    other = next((a.user for a in lab.cast.members("A") if a.user != actor.user), None)
    text = statements.insert_sql(lab, table, actor, row | dict.fromkeys(columns, other))
    if text is None or other is None:
        return True
    (outcome,) = lab.run([Probe(actor, text, watch=(table.key,))])
    return not (outcome.constraint or outcome.changes)


def _parents(lab: Lab, table: Table) -> Iterator[tuple[str, ...]]:
    """Yield the states of what is joined that the insert policies ask for: open, private."""
    yield ()
    text = lab.refs.closure_text(lab.refs.policy_text(table, "insert"))
    words = lab.refs.words(text)
    seats = {m.table for m in lab.model.memberships}
    for fk in table.foreign_keys:
        parent = lab.catalog.tables.get(fk.target)
        if parent is None or lab.model.of(fk.target).kind != "tenant" or fk.target in seats:
            continue
        for column in parent.columns:
            if column.name in words:
                for value in values_of(parent, column):
                    yield (statements.change(lab, parent, {column.name: value}),)


def _join(table: Table, actor: Actor, item: Probe, opened: list[str]) -> Signal:
    return Signal(
        "escalation.list",
        "escalation",
        "high",
        actor.name,
        table.key,
        "insert",
        f"after putting oneself into {table.key}: more rows of {', '.join(opened[:4])}",
        "A row of this table opens what is not open to the whole tenant, and the weakest member"
        " writes it for himself.",
        f"Let only those who manage what it opens insert into {table.key}.",
        item.sql,
        actor,
        (table.key,),
        group=table.key,
        title="{object}: members can put themselves where only some may be",
        pre=item.pre,
    )
