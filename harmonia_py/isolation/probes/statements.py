"""The statements that attack or exercise one table, as a client would send them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Column, Table
from harmonia_py.isolation.fixtures import Row
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.references import literals

__all__ = [
    "change",
    "deletes",
    "erase",
    "handovers",
    "inserts",
    "moves",
    "overwrite",
    "select",
    "store",
    "touch",
    "touch_column",
    "updates",
    "upserts",
    "with_user",
]

#: How a seat's state is written in the model where its column is a boolean.
_FLAGS: dict[str, Any] = {"true": True, "false": False}


def select(lab: Lab, table: Table, actor: Actor) -> Probe | None:
    """Read every row, as fingerprints of the columns the role may read."""
    columns = [c.name for c in table.readable(actor.role)]
    if not columns or not lab.tries("select"):
        return None
    query = sql.SQL(
        "select pg_catalog.jsonb_agg(pg_catalog.md5(x::text)) from (select {} from {}) as x"
    ).format(sql.SQL(", ").join(map(sql.Identifier, columns)), table.sql)
    return Probe(actor, lab.text(query), rows=True, tag=("select", "rows", tuple(columns)))


def inserts(lab: Lab, table: Table, actor: Actor, label: str) -> list[Probe]:
    """Insert a fresh row of tenant ``label``: in one's own name, in a victim's, minimal."""
    spare = lab.fixtures.spares.get((table.key, label))
    if spare is None or not lab.tries("insert"):
        return []
    shapes: list[tuple[str, dict[str, Any]]] = []
    named = with_user(lab, table, spare, actor)
    hinted = _with_hints(lab, table, named, "insert", actor)
    shapes.append(("self", named))
    if hinted != named:
        shapes.append(("policy", hinted))
    if named != spare.values:
        shapes.append(("other", dict(spare.values)))
    if label in actor.tenants and (known := _as_before(lab, table, named, actor, label)) != named:
        shapes.append(("as before", known))
    minimal = {
        c.name: named[c.name]
        for c in table.columns
        if c.name in named and (c.required or _keeps(lab, table, c))
    }
    if minimal != named:
        shapes.append(("minimal", minimal))
        least = {k: hinted[k] for k in minimal}
        if least != minimal:
            shapes.append(("minimal policy", least))
    out = []
    if not actor.tenants or label not in actor.tenants:
        # Attacks: in one's own name, in the victim's, and as little as possible.
        shapes = [s for s in shapes if s[0] in ("self", "other", "minimal")]
        shapes += _seats_by_role(lab, table, named)
    for name, values in shapes:
        text = insert_sql(lab, table, actor, values)
        if text:
            tag = ("insert", name, label)
            out.append(Probe(actor, text, watch=(table.key,), values=values, tag=tag))
    return out


def _seats_by_role(
    lab: Lab, table: Table, named: dict[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """Vary a seat by its role: a policy that takes the founder's word for it wants one role only.

    The state is the one that lets in, because what only asks to be let in harms nobody.
    """
    out = []
    for m in lab.model.memberships:
        if m.table != table.key or not m.role or lab.model.tenant_table == table.key:
            continue
        live = {m.status: _FLAGS.get(m.active or "", m.active)} if m.status else {}
        out += [("self", named | live | {m.role: role}) for role in m.roles]
    return [shape for shape in out if shape[1] != named]


def _as_before(
    lab: Lab, table: Table, values: dict[str, Any], actor: Actor, label: str
) -> dict[str, Any]:
    """Refer to what the actor's own row of this table refers to, or else to rows of its own."""
    keyed = {c for u in table.uniques for c in u.columns}
    mine: dict[str, Any] = {}
    for fk in table.foreign_keys:
        for row in lab.fixtures.of(fk.target, label, actor.user)[:1]:
            mine |= {
                c: row.values.get(ref) for c, ref in zip(fk.columns, fk.ref_columns, strict=True)
            }
    for row in lab.fixtures.of(table.key, label, actor.user)[:1]:
        mine |= {c: row.values.get(c) for fk in table.foreign_keys for c in fk.columns}
    return values | {c: v for c, v in mine.items() if c in values and c not in keyed}


def insert_sql(lab: Lab, table: Table, actor: Actor, values: dict[str, Any]) -> str | None:
    """Compose an insert of the columns the role may write, or None when one is missing."""
    columns = [
        c
        for c in table.columns
        if c.name in values and c.writable and (actor.role, "INSERT") in c.privileges
    ]
    if not columns:
        return None
    given = {c.name for c in columns}
    if any(c.required and c.name not in given for c in table.columns):
        return None
    return store(lab, table, {c.name: values[c.name] for c in columns})


def store(lab: Lab, table: Table, values: Mapping[str, Any]) -> str:
    """Compose an insert of what can be written of a row, whoever may."""
    row = {c.name: values[c.name] for c in table.columns if c.writable and c.name in values}
    key = ("insert", table.key, *row)
    if key not in lab.memo:
        names = sql.SQL(", ").join(map(sql.Identifier, row))
        lab.memo[key] = lab.text(
            sql.SQL(
                "insert into {table} ({names}) select {names} "
                "from pg_catalog.jsonb_populate_record(null::{table}, "
            ).format(table=table.sql, names=names)
        )
    return f"{lab.memo[key]}{lab.text(sql.Literal(Jsonb(row)))})"


def updates(lab: Lab, table: Table, actor: Actor, label: str) -> list[Probe]:
    """Write rows of ``label`` back unchanged: by key, and blind (SELECT policies stay out)."""
    column = touch_column(lab, table, actor.role)
    rows = lab.fixtures.of(table.key, label)
    if column is None or not rows or not lab.tries("update"):
        return []
    out = []
    # An update that reads no column asks no SELECT policy: the value must be a constant.
    if (text := overwrite(lab, table, actor.role, rows[0])) is not None:
        out.append(Probe(actor, text, watch=(table.key,), tag=("update", "constant", label)))
    text = touch(lab, table, column)
    out.append(Probe(actor, text, watch=(table.key,), tag=("update", "blind", label)))
    if table.can(actor.role, "SELECT"):
        keys = lab.where_keys(table, [r.values for r in rows[:30]])
        text = touch(lab, table, column, keys)
        out.append(Probe(actor, text, watch=(table.key,), tag=("update", "targeted", label)))
    return out


def constant_column(table: Table, role: str, usual: Column | None) -> Column | None:
    """Choose a column that may hold the same constant in many rows: no key needs it."""
    keyed = {c for u in table.uniques for c in u.columns}
    keyed |= {c for fk in table.foreign_keys for c in fk.columns}
    keyed |= {c for check in table.checks if len(check.columns) > 1 for c in check.columns}
    usable = [
        c
        for c in table.columns
        if c.writable and c.name not in keyed and (role, "UPDATE") in c.privileges
    ]
    if usual in usable:
        return usual
    return usable[0] if usable else None


def overwrite(lab: Lab, table: Table, role: str, row: Row) -> str | None:
    """Compose an update of all rows to a value of ``row``, if some column may repeat it."""
    column = constant_column(table, role, touch_column(lab, table, role))
    if column is None:
        return None
    return change(lab, table, {column.name: row.values.get(column.name)})


def change(lab: Lab, table: Table, values: Mapping[str, Any], where: str = "true") -> str:
    """Compose an update, without any WHERE clause by default; a value may be SQL."""
    settings = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(
            sql.Identifier(name),
            value if isinstance(value, sql.Composable) else lab.literal(table, name, value),
        )
        for name, value in values.items()
    )
    head = lab.text(sql.SQL("update {} set {}").format(table.sql, settings))
    return head if where == "true" else f"{head} where {where}"


def touch(lab: Lab, table: Table, column: Column, where: str = "true") -> str:
    """Compose an update that writes a column back unchanged."""
    return change(lab, table, {column.name: sql.Identifier(column.name)}, where)


def erase(lab: Lab, table: Table, where: str = "true") -> str:
    """Compose a delete, without any WHERE clause by default."""
    if where == "true":
        return lab.text(sql.SQL("delete from {}").format(table.sql))
    return lab.text(sql.SQL("delete from {} where {}").format(table.sql, sql.SQL(where)))


def touch_column(lab: Lab, table: Table, role: str) -> Column | None:
    """Choose a column the role may update that no key and no path runs through."""
    model = lab.model.of(table.key)
    special = {*table.primary_key, *model.path, *model.users}
    usable = [c for c in table.columns if c.writable and (role, "UPDATE") in c.privileges]
    return next((c for c in usable if c.name not in special), usable[0] if usable else None)


def moves(lab: Lab, table: Table, actor: Actor, own: str, victim: str) -> list[Probe]:
    """Move one's own row to ``victim``, and steal the victim's: by key and blind."""
    model = lab.model.of(table.key)
    if not model.path or model.kind == "root" or not lab.tries("update"):
        return []
    column = table.column(model.path[0])
    if (actor.role, "UPDATE") not in column.privileges or not column.writable:
        return []
    mine = _own_rows(lab, table, actor, own)
    theirs = lab.fixtures.of(table.key, victim)
    away = next((r.values.get(column.name) for r in theirs), None)
    home = next((r.values.get(column.name) for r in mine), None)
    if model.kind == "user" and len(model.path) == 1:
        away = next((u for u, n in lab.fixtures.users.items() if n == f"{victim}.fresh"), away)
    out = []
    for name, rows, value in (("move out", mine, away), ("steal in", theirs, home)):
        if value is None or not rows:
            continue
        head = change(lab, table, {column.name: value})
        if table.can(actor.role, "SELECT"):
            text = f"{head} where {lab.where_keys(table, [rows[0].values])}"
            out.append(Probe(actor, text, watch=(table.key,), tag=("update", name, victim)))
        out.append(Probe(actor, head, watch=(table.key,), tag=("update", name + " blind", victim)))
        # A row of one person alone may go to somebody who has none: nothing else is carried along.
        along = _along(lab, table, actor, column.name, theirs[0]) if theirs else ""
        if name == "move out" and along:
            text = head + along
            out.append(Probe(actor, text, watch=(table.key,), tag=("update", "move along", victim)))
        if name == "steal in":
            signed = [
                table.column(c)
                for c in model.users
                if c != column.name and (actor.role, "UPDATE") in table.column(c).privileges
            ]
            if signed:
                # The new row must often name its author: take that over as well.
                more = "".join(
                    lab.text(
                        sql.SQL(", {} = {}").format(
                            sql.Identifier(c.name), lab.literal(table, c.name, actor.user)
                        )
                    )
                    for c in signed
                )
                out.append(
                    Probe(
                        actor,
                        head + more,
                        watch=(table.key,),
                        tag=("update", "steal in as author", victim),
                    )
                )
    return out


def _along(lab: Lab, table: Table, actor: Actor, tenant: str, model: Row) -> str:
    """Compose the rest of a move that keeps every composite reference inside one tenant."""
    names = {
        c
        for fk in table.foreign_keys
        if tenant in fk.columns and len(fk.columns) > 1
        for c in fk.columns
        if c != tenant and c not in table.primary_key
    }
    if not names or any((actor.role, "UPDATE") not in table.column(c).privileges for c in names):
        return ""
    return "".join(
        lab.text(
            sql.SQL(", {} = {}").format(
                sql.Identifier(c), lab.literal(table, c, model.values.get(c))
            )
        )
        for c in sorted(names)
    )


def handovers(lab: Lab, table: Table, actor: Actor, own: str) -> list[Probe]:
    """Give one's row, which must name the caller, to another member; and take theirs."""
    column = lab.model.of(table.key).own_rows.get("update")
    other = next((m.user for m in lab.cast.members(own) if m.user != actor.user), None)
    if column is None or other is None or not lab.tries("update"):
        return []
    if (actor.role, "UPDATE") not in table.column(column).privileges:
        return []
    out = []
    for name, user in (("hand over", other), ("take over", actor.user)):
        text = change(lab, table, {column: user})
        out.append(Probe(actor, text, watch=(table.key,), tag=("update", name, own)))
    return out


def deletes(lab: Lab, table: Table, actor: Actor, label: str) -> list[Probe]:
    """Delete the rows of ``label``: by key, and blind."""
    rows = lab.fixtures.of(table.key, label)
    if not table.can(actor.role, "DELETE") or not rows or not lab.tries("delete"):
        return []
    head = lab.text(sql.SQL("delete from {}").format(table.sql))
    out = [Probe(actor, head, watch=(table.key,), tag=("delete", "blind", label))]
    if table.can(actor.role, "SELECT"):
        text = f"{head} where {lab.where_keys(table, [r.values for r in rows[:30]])}"
        out.append(Probe(actor, text, watch=(table.key,), tag=("delete", "targeted", label)))
    return out


def upserts(lab: Lab, table: Table, actor: Actor, own: str, victim: str) -> list[Probe]:
    """Insert over the victim's key: keeping its tenant, and claiming it for one's own."""
    theirs = lab.fixtures.of(table.key, victim)
    column = touch_column(lab, table, actor.role)
    if not theirs or column is None or not table.primary_key:
        return []
    if not (lab.tries("insert") or lab.tries("update")):
        return []
    if not (table.can(actor.role, "INSERT") and table.can(actor.role, "UPDATE")):
        return []
    out = []
    spare = lab.fixtures.spares.get((table.key, own))
    claimed = dict(with_user(lab, table, spare, actor)) if spare else {}
    claimed |= {c: theirs[0].values.get(c) for c in table.primary_key}
    for name, values in (("upsert", theirs[0].values), ("upsert claim", claimed)):
        text = insert_sql(lab, table, actor, values) if values else None
        if text is None:
            continue
        keys = sql.SQL(", ").join(map(sql.Identifier, table.primary_key))
        tail = sql.SQL(" on conflict ({}) do update set {c} = excluded.{c}").format(
            keys, c=sql.Identifier(column.name)
        )
        out.append(
            Probe(actor, text + lab.text(tail), watch=(table.key,), tag=("update", name, victim))
        )
    return out


def _own_rows(lab: Lab, table: Table, actor: Actor, own: str) -> list[Row]:
    rows = lab.fixtures.of(table.key, own)
    return [r for r in rows if r.user == actor.user] or rows


def with_user(lab: Lab, table: Table, spare: Row, actor: Actor) -> dict[str, Any]:
    """Return the spare row with the actor's id wherever it holds its placeholder user."""
    if actor.user is None:
        return dict(spare.values)
    model = lab.model.of(table.key)
    keep = model.path[0] if model.kind == "user" and spare.owner not in (*actor.tenants,) else None
    named = {k: actor.user if v == spare.user and k != keep else v for k, v in spare.values.items()}
    return named | _seats(lab, table, spare, actor)


def _seats(lab: Lab, table: Table, spare: Row, actor: Actor) -> dict[str, Any]:
    """Return the actor's own membership for the columns that refer to somebody's membership."""
    out: dict[str, Any] = {}
    for m in lab.model.memberships:
        for fk in table.foreign_keys:
            if fk.target != m.table or m.user in fk.ref_columns:
                continue
            for seat in lab.fixtures.of(m.table, spare.owner, actor.user)[:1]:
                out |= {
                    c: seat.values.get(ref)
                    for c, ref in zip(fk.columns, fk.ref_columns, strict=True)
                    if spare.values.get(c) is not None
                }
    return out


def _keeps(lab: Lab, table: Table, column: Column) -> bool:
    model = lab.model.of(table.key)
    return (
        column.name in model.path
        or column.name in model.users
        or (column.name in table.primary_key)
    )


def _with_hints(
    lab: Lab, table: Table, values: dict[str, Any], command: str, actor: Actor
) -> dict[str, Any]:
    """Give columns the constants that the policies compare them with."""
    out = dict(values)
    for policy in table.policies_for(command, actor.role):
        text = policy.check or policy.using or ""
        for column in table.columns:
            if column.name not in out or column.name not in text:
                continue
            name = re.escape(column.name)
            if re.search(rf"\b{name}\b IS NULL", text) and not column.not_null:
                out[column.name] = None
            elif m := re.search(
                rf"\(?\b{name}\)?(?:::text)? = (?:ANY \()?\(*(?:ARRAY\[)?'([^']*)'", text
            ):
                found = literals("'" + m.group(1) + "'")
                out[column.name] = found[0] if found else out[column.name]
            elif column.category == "B" and re.search(rf"NOT {name}\b|{name} = false", text):
                out[column.name] = False
            elif column.category == "B" and re.search(rf"\b{name}\b", text):
                out[column.name] = True
    return out
