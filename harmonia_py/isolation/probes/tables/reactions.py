"""What triggers do elsewhere: a write to one's own rows must not reach another tenant's.

A trigger function with its owner's rights sees every row. What it writes in answer to a row of
one tenant belongs to that tenant, or to nobody; and what belongs to nobody, and everybody reads,
must not tell what the row holds.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Function, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tables.breaches import shown

__all__ = ["borrowed", "probe"]

#: A column of the row that was written, and what a body compares with it before and after.
_WRITTEN = re.compile(r'\b(?:new|old)\."?(\w+)', re.IGNORECASE)
_BEFORE = re.compile(r'(\w+)"?\s*\)?\s*=\s*(?:lower\()?\s*$', re.IGNORECASE)
_AFTER = re.compile(r'"?\s*\)?\s*=\s*(?:lower\()?\s*(?:\w+\.)?"?(\w+)', re.IGNORECASE)
_ASSIGNED = re.compile(r"\bset\b.*?(?=\bwhere\b|;)", re.IGNORECASE | re.DOTALL)
_RENEWED = "update "  # of all columns at once
_READ = re.compile(r'\bnew\."?(\w+)', re.IGNORECASE)


def probe(lab: Lab) -> list[Signal]:
    """Let members write their own rows wherever a trigger writes somewhere else."""
    out: list[Signal] = []
    for table in lab.tables():
        if lab.model.of(table.key).kind not in ("tenant", "root", "user"):
            continue
        if functions := _writing(lab, table):
            out += _answered(lab, table, functions)
    return out


def _answered(lab: Lab, table: Table, functions: list[Function]) -> Iterator[Signal]:
    """Let the strongest member write, and the next where something stops that one."""
    for actor in lab.cast.members("A"):
        plan = list(_writes(lab, table, actor, functions))
        outcomes = lab.run(plan)
        if any(i.tag[0] == _RENEWED and not o.ok for i, o in zip(plan, outcomes, strict=True)):
            # Something minds one of the new values: each by itself.
            singly = list(_renewals(lab, table, actor, functions, together=False))
            plan, outcomes = [*plan, *singly], [*outcomes, *lab.run(singly)]
        plan, outcomes = _out_of_the_way(lab, table, plan, outcomes)
        for item, outcome in zip(plan, outcomes, strict=True):
            said = _reached(lab, table, item, outcome) or _told(lab, table, item, outcome)
            if said is not None:
                yield _signal(table, functions[0], item, said)
                return
        if all(o.changes for o in outcomes):
            return


def _out_of_the_way(
    lab: Lab, table: Table, plan: list[Probe], outcomes: list[Outcome]
) -> tuple[list[Probe], list[Outcome]]:
    """Repeat what only a row of the actor's own stood in the way of, without that row."""
    for index, (item, outcome) in enumerate(zip(plan, outcomes, strict=True)):
        own = [r.values for r in lab.fixtures.of(table.key, "A", item.actor.user)]
        if outcome.code == "23505" and own and lab.fixtures.replica:
            clear = statements.erase(lab, table, lab.where_keys(table, own))
            plan[index] = replace(item, pre=(*item.pre, clear), replica=True)
            (outcomes[index],) = lab.run([plan[index]])
    return plan, outcomes


def _writing(lab: Lab, table: Table) -> list[Function]:
    """Return the trigger functions of a table that reach tables with their owner's rights."""
    names = [t.function.partition("(")[0] for t in table.triggers]
    found = (lab.catalog.functions.get(f"{name}()") for name in names)
    return [f for f in found if f and f.definer and lab.refs.reach(f.source)[0]]


def _writes(lab: Lab, table: Table, actor: Actor, functions: list[Function]) -> Iterator[Probe]:
    """Yield an insert, updates and a delete of rows of the actor's own tenant, watched widely."""
    source = "\n".join(f.source for f in functions)
    spare = lab.fixtures.spares.get((table.key, "A"))
    if spare is not None and lab.tries("insert"):
        values = statements.with_user(lab, table, spare, actor)
        for some in {str(v): v for v in (values, _unmarked(lab, table, source, values))}.values():
            text = statements.insert_sql(lab, table, actor, some)
            if text is not None:
                yield _probe(lab, table, source, Probe(actor, text, values=some, tag="insert"))
    rows = [r.values for r in lab.fixtures.of(table.key, "A")][:1]
    column = statements.touch_column(lab, table, actor.role)
    if not rows or not table.can(actor.role, "SELECT"):
        return
    keys = lab.where_keys(table, rows)
    if column is not None and lab.tries("update"):
        renewed = list(_renewals(lab, table, actor, functions, together=True))
        yield from renewed
        if not renewed:
            text = statements.touch(lab, table, column, keys)
            yield _probe(lab, table, source, Probe(actor, text, values=rows[0], tag="update"))
    if table.can(actor.role, "DELETE") and lab.tries("delete"):
        text = statements.erase(lab, table, keys)
        yield _probe(lab, table, source, Probe(actor, text, values=rows[0], tag="delete"))


def _renewals(
    lab: Lab, table: Table, actor: Actor, functions: list[Function], *, together: bool
) -> Iterator[Probe]:
    """Yield updates that give the columns which the body reads other values."""
    source = "\n".join(f.source for f in functions)
    rows = [r.values for r in lab.fixtures.of(table.key, "A")][:1]
    renewed = _renewed(lab, table, actor, source)
    changes = [renewed] if together else [{name: value} for name, value in renewed.items()]
    for values in changes if rows and renewed else ():
        text = statements.change(lab, table, values, lab.where_keys(table, rows))
        tag = _RENEWED if together else "update"
        yield _probe(lab, table, source, Probe(actor, text, values=rows[0] | values, tag=tag))


def _probe(lab: Lab, table: Table, source: str, item: Probe) -> Probe:
    """Watch every table, and let a row of the other tenant be alike where the body compares."""
    pre = tuple(_alike(lab, table, source, item.values))
    return replace(item, watch=("*",), pre=pre, replica=bool(pre), tag=(item.tag, "own", "A"))


@functools.lru_cache(maxsize=256)
def _compared(source: str) -> frozenset[tuple[str, str]]:
    """Return (column, column of the written row) for each comparison in a body."""
    text = _ASSIGNED.sub(" ", source)
    found: set[tuple[str, str]] = set()
    for match in _WRITTEN.finditer(text):
        before = _BEFORE.search(text[max(0, match.start() - 80) : match.start()])
        after = _AFTER.match(text[match.end() : match.end() + 80])
        found |= {(side[1], match[1]) for side in (before, after) if side}
    return frozenset(found)


def _alike(lab: Lab, table: Table, source: str, values: dict[str, Any]) -> Iterator[str]:
    found = _compared(source)
    for key in sorted(lab.refs.reach(source)[0]) if lab.fixtures.replica else ():
        target = lab.catalog.tables.get(key)
        model = lab.model.of(key)
        rows = [r.values for r in lab.fixtures.of(key, "B")][:1]
        if target is None or model.kind not in ("tenant", "root") or not rows:
            continue
        fixed = {*target.primary_key, *model.path, *model.users}
        for name, own in sorted(found):
            if not target.has(name) or name in fixed or values.get(own) is None:
                continue
            if target.column(name).category in "SEN" and target.column(name).writable:
                keys = lab.where_keys(target, rows)
                yield statements.change(lab, target, {name: values[own]}, keys)


def _renewed(lab: Lab, table: Table, actor: Actor, source: str) -> dict[str, Any]:
    """Return other values for the columns that the body reads and the actor may change."""
    model = lab.model.of(table.key)
    spare = lab.fixtures.spares.get((table.key, "A"))
    fixed = {*table.primary_key, *model.path, *model.users}
    fixed |= {c for fk in table.foreign_keys for c in fk.columns}
    return {
        name: spare.values[name]
        for name in dict.fromkeys(_READ.findall(source))
        if spare is not None
        and table.has(name)
        and name not in fixed
        and spare.values.get(name) is not None
        and (actor.role, "UPDATE") in table.column(name).privileges
    }


def _unmarked(lab: Lab, table: Table, source: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the row without the marks that the body asks for: nothing says it is for all."""
    asked = [c for c in table.columns if c.name in lab.refs.words(source) and c.name in values]
    flags: dict[str, Any] = {c.name: False for c in asked if c.category == "B"}
    times = {c.name: None for c in asked if c.category == "D" and not c.not_null}
    return values | flags | times


def _reached(lab: Lab, table: Table, item: Probe, outcome: Outcome) -> str | None:
    """Say which row of another tenant changed, or which of its values came along."""
    for change in outcome.changes:
        if lab.ownership.foreign(item.actor, change.table, change.scope, change.data):
            before = any(c.kind == "gone" and c.table == change.table for c in outcome.changes)
            done = "changed" if before else "made"
            return f"{done} a row of {change.table}: {shown(change.data)}"
        if change.table == table.key:
            continue
        if change.kind == "new" and (value := borrowed(lab, item.actor, change.data, item.sql)):
            return f"put {value}, a value of another tenant, into a row of {change.table}"
    return None


def _told(lab: Lab, table: Table, item: Probe, outcome: Outcome) -> str | None:
    """Say which value of the row came into rows of nobody that the other tenant's people read."""
    if item.values != _unmarked(lab, table, "\n".join(_sources(lab, table)), item.values):
        return None
    for change in outcome.changes:
        kind, target = lab.model.of(change.table).kind, lab.catalog.tables.get(change.table)
        if change.kind != "new" or kind in ("tenant", "root", "user") or target is None:
            continue
        # Texts of one's own, not ids: those tell nothing by themselves.
        token, data = lab.cast.a.token, str(change.data)
        texts = [v for v in item.values.values() if isinstance(v, str) and token in v]
        own = [v for v in texts if len(v) > len(token) + 3 and v in data]
        people = lab.cast.members("B")
        for actor in {a.name: a for a in (*people[:1], *people[-1:])}.values() if own else ():
            seen = _read(lab, target, actor, item)
            told = [value for value in own if value in seen]
            open_ = _read(lab, table, actor, item) if told else ""
            for value in told:
                if value not in open_:
                    return f"put {value} into a row of {target.key}, where {actor.name} reads it"
    return None


def _sources(lab: Lab, table: Table) -> list[str]:
    return [f.source for f in _writing(lab, table)]


def _read(lab: Lab, table: Table, actor: Actor, written: Probe) -> str:
    """Return all that somebody reads of a table once a row was written, triggers and all."""
    names = [c.name for c in table.columns if (actor.role, "SELECT") in c.privileges]
    if not names:
        return ""
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    text = sql.SQL(
        "select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t)) from (select {} from {}) as t"
    ).format(columns, table.sql)
    pre = (*lab.speaking(written.actor), *written.pre, written.sql)
    item = Probe(actor, lab.text(text), rows=True, pre=pre)
    (outcome,) = lab.run([item])
    return str(outcome.result) if outcome.ok else ""


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
        item.tag[0].strip(),
        f"{item.tag[0].strip()} of a row of one's own {evidence}",
        "A trigger answers a write of one tenant in the rows of another.",
        f"Let {function.key} compare the tenant of what it writes with that of the row.",
        item.sql,
        item.actor,
        (table.key, function.key),
        group=function.key,
        title="{object}: a trigger reaches another tenant's rows ({commands})",
        pre=item.pre,
    )
