"""Circumstances under which a function may do something else: what it works on is over.

Each is a name and the statements that bring it about in tenant A, before the call.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.catalog import Column, Function, Table
from harmonia_py.isolation.infer import ends_of, tells_state
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.functions.arguments import choices
from harmonia_py.isolation.probes.functions.doors import is_address
from harmonia_py.isolation.probes.functions.uses import uses
from harmonia_py.isolation.probes.roles.ranks import roles_table
from harmonia_py.isolation.references import literals

__all__ = ["Circumstance", "addressed", "circumstances", "worked_on"]


_CHANGED = re.compile(r'\b(?:update|delete\s+from)\s+(?:only\s+)?(?:"?\w+"?\.)?"?(\w+)', re.I)


@dataclass(frozen=True, slots=True)
class Circumstance:
    """``name`` reads on after "when"; ``table`` is the one whose rows were changed."""

    name: str
    table: str
    pre: tuple[str, ...]


def circumstances(lab: Lab, function: Function) -> list[Circumstance]:
    """List them for one function: its tables' rows are over, or its tenant is not open."""
    if not lab.fixtures.replica:
        return []
    out = list(_tenant(lab))
    text, tables = worked_on(lab, function)
    words = lab.refs.words(text)
    for table in tables:
        marks, expires = ends_of(table)
        changed = table.name in _CHANGED.findall(text)
        found = [
            _past(lab, table, table.column(n)) for n in marks if changed or n in words
        ]  # fmt: skip
        if expires and (changed or expires[0] in words):
            found.append(_long_ago(lab, table, expires[0]))
        for column in table.columns:
            values = _values(table, column) if column.name in words else ()
            if tells_state(values):
                found += [_set(lab, table, column, value) for value in values]
        theirs = tuple(addressed(lab, function, table, "A"))
        out += [Circumstance(c.name, c.table, (*c.pre, *theirs)) for c in found]
    return [*out, *_in_use(lab, function), *_many(lab, text)]


def worked_on(lab: Lab, function: Function) -> tuple[str, list[Table]]:
    """Return the text of a function and of the one it wraps, and the tenant's tables it names."""
    texts = [function.source]
    for key in lab.refs.direct(function.source)[1] - lab.refs.helpers:
        inner = lab.catalog.functions[key]
        if not inner.exposed:
            texts.append(inner.source)
    text = "\n".join(texts)
    seats = {m.table for m in lab.model.memberships}
    out = []
    for key in sorted(lab.refs.direct(text)[0] - seats):
        table = lab.catalog.tables.get(key)
        if table is not None and table.is_base and lab.model.of(key).kind == "tenant":
            if len(lab.model.of(key).path) == 1 and lab.fixtures.of(key, "A"):
                out.append(table)
    return text, out


def addressed(lab: Lab, function: Function, table: Table, label: str) -> Iterator[str]:
    """Let one row of a tenant carry the address of the person of tenant A whom the call names."""
    rows = lab.fixtures.of(table.key, label)
    mail = next((c for c in table.columns if rows and is_address(c, rows[0].values)), None)
    options = (o[0] for a in function.arguments for o in choices(lab, function, a, "A"))
    named = next((str(o) for o in options if str(o) in lab.fixtures.users), None)
    if mail is not None and named is not None:
        value = sql.SQL("(select pg_catalog.lower(u.email) from auth.users as u where u.id = {})")
        keys = lab.where_keys(table, [rows[0].values])
        yield statements.change(lab, table, {mail.name: value.format(sql.Literal(named))}, keys)


def _in_use(lab: Lab, function: Function) -> Iterator[Circumstance]:
    """Let a member hold the tenant's own role that a call names."""
    place, seats = roles_table(lab), lab.model.membership
    members = lab.cast.members("A")
    if place is None or seats is None or not members:
        return
    table, column = place
    for argument in function.arguments:
        for use in uses(lab, function, argument.name):
            if (use.table.key, use.column.name) != (table.key, column) or use.stored:
                continue
            options = [str(o[0]) for o in choices(lab, function, argument, "A")]
            own = next((o for o in options if o not in lab.model.roles), None)
            if own is not None:
                held = lab.catalog.tables[seats.table]
                seat = lab.where(held, {seats.user: members[-1].user, seats.tenant: lab.cast.a.id})
                text = statements.change(lab, held, {seats.role or "": own}, seat)
                yield Circumstance("a member holds the role", table.key, (text,))
                return


_COUNTED = re.compile(
    r"count\s*\(\s*\*\s*\)\s*from\s+(?:\w+\.)?(\w+)[^;]*?\)\s*>=?\s*(\d{1,3})\b", re.I | re.S
)


def _many(lab: Lab, text: str) -> Iterator[Circumstance]:
    """Give the strongest member, or others, as many rows as the function says are enough."""
    members = lab.cast.members("A")[:2]
    for name, limit in _COUNTED.findall(text):
        table = next((t for t in lab.catalog.tables.values() if t.name == name and t.is_base), None)
        for person, whose in zip(members, ("there are", "others have"), strict=False):
            rows = lab.fixtures.rows.get(table.key, []) if table else []
            theirs = [r.values for r in rows if str(person.user) in map(str, r.values.values())]
            if table is None or not theirs:
                continue
            keys = [c for c in table.primary_key if str(theirs[0].get(c)) not in lab.fixtures.users]
            copies = [theirs[0] | {c: _copied(c, n) for c in keys} for n in range(int(limit))]
            if all(table.column(c).base == "uuid" for c in keys):
                insert = sql.SQL(
                    "insert into {t} select * from "
                    "pg_catalog.jsonb_populate_recordset(null::{t}, {r})"
                ).format(t=table.sql, r=sql.Literal(Jsonb(copies)))
                what = f"{whose} {limit} of {table.key}"
                yield Circumstance(what, table.key, (lab.text(insert),))


def _copied(column: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"copy {number} {column}"))


def _values(table: Table, column: Column) -> tuple[str, ...]:
    """List the words a column can hold, as far as the schema tells."""
    texts = [k.expression for k in table.checks if k.columns == (column.name,)]
    found = column.labels or tuple(
        v for t in (*texts, *column.domain_checks) if "~" not in t for v in literals(t)
    )
    return found if column.category in "SE" else ()


def _tenant(lab: Lab) -> Iterator[Circumstance]:
    root = lab.catalog.tables.get(lab.model.tenant_table or "")
    if root is None or lab.model.tenant_status is None:
        return
    column = root.column(lab.model.tenant_status)
    values = _values(root, column)[1:] or lab.model.tenant_closed
    for value in values:
        shown = "2020-01-01T00:00:00Z" if column.category == "D" else value
        keys = lab.where(root, {lab.model.tenant_key: lab.cast.a.id})
        text = statements.change(lab, root, {column.name: shown}, keys)
        yield Circumstance(f"{root.key}.{column.name} is {value}", root.key, (text,))


def _past(lab: Lab, table: Table, column: Column) -> Circumstance:
    value = sql.SQL("pg_catalog.now() - interval '1 minute'")
    name = f"{table.key}.{column.name} is past"
    return Circumstance(name, table.key, (_update(lab, table, {column.name: value}),))


def _long_ago(lab: Lab, table: Table, ends: str) -> Circumstance:
    """Move all times back alike, so that what checks say of their order stays true."""
    times = {
        c.name: sql.SQL("{} - interval '2000 days'").format(sql.Identifier(c.name))
        for c in table.columns
        if c.category == "D" and c.writable
    }
    return Circumstance(f"{table.key}.{ends} is past", table.key, (_update(lab, table, times),))


def _set(lab: Lab, table: Table, column: Column, value: str) -> Circumstance:
    text = _update(lab, table, {column.name: value})
    return Circumstance(f"{table.key}.{column.name} is {value}", table.key, (text,))


def _update(lab: Lab, table: Table, values: Mapping[str, Any]) -> str:
    theirs = lab.where(table, {lab.model.of(table.key).path[0]: lab.cast.a.id})
    return statements.change(lab, table, values, theirs)
