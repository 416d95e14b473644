"""What triggers do elsewhere: a write to one's own rows must not reach another tenant's.

A trigger function with its owner's rights sees every row. What it writes in answer to a row of
one tenant belongs to that tenant, or to nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Function, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tables.breaches import shown

__all__ = ["borrowed", "probe"]


def probe(lab: Lab) -> list[Signal]:
    """Let the strongest member write its own rows wherever a trigger writes somewhere else."""
    out: list[Signal] = []
    actor = next(iter(lab.cast.members("A")), None)
    if actor is None:
        return out
    for table in lab.tables():
        if lab.model.of(table.key).kind not in ("tenant", "root", "user"):
            continue
        functions = _writing(lab, table)
        if not functions:
            continue
        plan = list(_writes(lab, table, actor))
        for item, outcome in zip(plan, lab.run(plan), strict=True):
            if (reached := _reached(lab, table, item, outcome)) is not None:
                out.append(_signal(table, functions[0], item, reached))
                break
    return out


def _writing(lab: Lab, table: Table) -> list[Function]:
    """Return the trigger functions of a table that reach other tables with their owner's rights."""
    names = [t.function.partition("(")[0] for t in table.triggers]
    found = (lab.catalog.functions.get(f"{name}()") for name in names)
    return [f for f in found if f and f.definer and lab.refs.reach(f.source)[0] - {table.key}]


def _writes(lab: Lab, table: Table, actor: Actor) -> Iterator[Probe]:
    """Yield an insert, an update and a delete of rows of the actor's own tenant, watched widely."""
    spare = lab.fixtures.spares.get((table.key, "A"))
    if spare is not None and lab.tries("insert"):
        values = statements.with_user(lab, table, spare, actor)
        text = statements.insert_sql(lab, table, actor, values)
        if text is not None:
            yield Probe(actor, text, watch=("*",), values=values, tag=("insert", "own", "A"))
    rows = [r.values for r in lab.fixtures.of(table.key, "A")][:1]
    column = statements.touch_column(lab, table, actor.role)
    if not rows or not table.can(actor.role, "SELECT"):
        return
    keys = lab.where_keys(table, rows)
    if column is not None and lab.tries("update"):
        text = statements.touch(lab, table, column, keys)
        yield Probe(actor, text, watch=("*",), tag=("update", "own", "A"))
    if table.can(actor.role, "DELETE") and lab.tries("delete"):
        text = statements.erase(lab, table, keys)
        yield Probe(actor, text, watch=("*",), tag=("delete", "own", "A"))


def _reached(lab: Lab, table: Table, item: Probe, outcome: Outcome) -> str | None:
    """Say which row of another tenant changed, or which of its values came along."""
    for change in outcome.changes:
        if change.table == table.key:
            continue  # the table's own policies are tried elsewhere
        if lab.foreign(item.actor, change.table, change.scope, change.data):
            done = "changed" if change.kind == "gone" else "made"
            return f"{done} a row of {change.table}: {shown(change.data)}"
        if change.kind == "new" and (value := borrowed(lab, item.actor, change.data, item.sql)):
            return f"put {value}, a value of another tenant, into a row of {change.table}"
    return None


def borrowed(lab: Lab, actor: Actor, data: dict[str, object], given: str) -> str | None:
    """Return a value of another tenant that a new row holds and nobody gave."""
    for value, owner in lab.fixtures.owner_of(str(data)).items():
        if owner in ("A", "B") and owner not in actor.tenants and value not in given:
            if value != actor.user:
                return value
    return None


def _signal(table: Table, function: Function, item: Probe, evidence: str) -> Signal:
    return Signal(
        "trigger.writes",
        "breach",
        "critical",
        item.actor.name,
        table.key,
        item.tag[0],
        f"{item.tag[0]} of a row of one's own {evidence}",
        "A trigger answers a write of one tenant in the rows of another.",
        f"Let {function.key} compare the tenant of what it writes with that of the row.",
        item.sql,
        item.actor,
        (table.key, function.key),
        group=function.key,
        title="{object}: a trigger reaches another tenant's rows ({commands})",
    )
