"""Keys that tell: a foreign key that accepts, a unique key that refuses, another tenant's row."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import ForeignKey, Table, Unique
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.infer.claims import claims_in
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.functions.arguments import is_secret

__all__ = ["probe"]

Allowed = Mapping[tuple[str, str, str], set[str]]


def probe(lab: Lab, allowed: Allowed) -> list[Signal]:
    """Write one's own rows that name, or collide with, the other tenant's."""
    signals: list[Signal] = []
    for table in lab.tables():
        if lab.model.of(table.key).kind not in ("tenant", "user"):
            continue
        for command in ("insert", "update"):
            actor = next(
                (
                    a
                    for a in lab.cast.members("A")
                    if "A" in allowed.get((table.key, command, a.name), ())
                ),
                None,
            )
            if actor is not None:
                signals += _references(lab, table, actor, command)
                signals += _collisions(lab, table, actor, command)
                if table.triggers:
                    signals += _looked_up(lab, table, actor, command)
    return signals


def _references(lab: Lab, table: Table, actor: Actor, command: str) -> list[Signal]:
    out: list[Signal] = []
    model = lab.model.of(table.key)
    for fk in table.foreign_keys:
        target = lab.model.of(fk.target)
        if target.kind not in ("tenant", "user", "unknown") or (
            model.path[0] in fk.columns and len(fk.columns) == 1
        ):
            continue
        if target.kind == "unknown" and fk.target not in lab.model.tables:
            continue  # the platform's own
        parent = lab.catalog.tables.get(fk.target)
        if target.public_when or (
            parent and (_on_display(lab, parent) or lab.refs.blanket(parent, "select", actor.role))
        ):
            continue  # what is open to everybody may be referred to by anybody
        if target.kind == "user" and fk.ref_columns == target.path:
            continue  # it names a person: whom to name is no secret of anybody's
        if any(m.table == fk.target and m.user in fk.ref_columns for m in lab.model.memberships):
            continue
        theirs = lab.fixtures.of(fk.target, "B")
        if not theirs:
            continue
        tenant = model.path[0]
        foreign = {
            c: theirs[0].values.get(r)
            for c, r in zip(fk.columns, fk.ref_columns, strict=True)
            if c != tenant
        }
        unknown = {c: _unknown(lab, table, c) for c in foreign}
        if any(v is None for v in (*foreign.values(), *unknown.values())):
            continue
        real = _write(lab, table, actor, foreign, command)
        fake = _write(lab, table, actor, unknown, command)
        if real is None or fake is None:
            continue
        there, nowhere = lab.run([real, fake])
        if nowhere.code != "23503" or there.code == "23503":
            continue
        if there.ok and any(c.table == table.key for c in there.changes):
            out.append(_reference(table, fk, actor, real, command))
    return out


def _on_display(lab: Lab, table: Table) -> bool:
    """Whether visitors may see rows whose own state says so, whoever asks."""
    return bool(lab.refs.published(table, "anon")) or any(
        policy.permissive
        and lab.refs.words(policy.using or "") & {c.name for c in table.columns}
        and "auth.uid()" not in lab.refs.plain(lab.refs.closure_text(policy.using or ""))
        and not claims_in(lab.refs.closure_text(policy.using or ""))
        for policy in table.policies_for("select", "anon")
    )


def _reference(table: Table, fk: ForeignKey, actor: Actor, item: Probe, command: str) -> Signal:
    return Signal(
        "key.reference",
        "oracle",
        "medium",
        actor.name,
        table.key,
        command,
        f"{fk.name}: a row of the caller's tenant now points at a row of tenant B of {fk.target};"
        " an id of nobody is refused",
        "A foreign key does not stop at the tenant's border: it confirms that a row exists, and"
        " joins, cascades and triggers follow it.",
        "Make it composite: foreign key (tenant, id), or check the parent in WITH CHECK.",
        item.sql,
        actor,
        (table.key, fk.target),
        group="references",
        title="{count} table(s) accept references to another tenant's rows",
    )


def _collisions(lab: Lab, table: Table, actor: Actor, command: str) -> list[Signal]:
    out: list[Signal] = []
    for unique in table.uniques:
        columns = _natural(lab, table, unique)
        theirs = [
            r
            for r in lab.fixtures.of(table.key, "B")
            if columns and all(r.values.get(c) is not None for c in columns)
        ]
        if not columns or not theirs:
            continue
        values = {c: theirs[0].values[c] for c in columns}
        clash = _write(lab, table, actor, values, command)
        plain = _write(lab, table, actor, {}, command)
        if clash is None or plain is None:
            continue
        hit, control = lab.run([clash, plain])
        clashed = hit.code == ("23P01" if unique.exclusion else "23505")
        if control.ok and clashed and unique.name in hit.message:
            out.append(
                Signal(
                    "key.unique",
                    "oracle",
                    "medium",
                    actor.name,
                    table.key,
                    command,
                    f"{unique.name}: {', '.join(map(str, values.values()))} is refused because"
                    " tenant B has it",
                    "A unique key spans all tenants: whoever inserts learns what others have.",
                    "Begin the unique key with the tenant's column.",
                    clash.sql,
                    actor,
                    (table.key,),
                    group="unique",
                    title="{object}: a unique key tells what other tenants have",
                )
            )
    return out


def _natural(lab: Lab, table: Table, unique: Unique) -> tuple[str, ...]:
    """Return the columns of a key that a client could guess and that no tenant column leads."""
    columns = unique.columns
    if unique.has_expressions:
        words = set(re.findall(r"\w+", unique.definition.split(" USING ", 1)[-1]))
        columns = tuple(c.name for c in table.columns if c.name in words)
    model = lab.model.of(table.key)
    special = {*model.path, *model.users}
    references = {c for fk in table.foreign_keys for c in fk.columns}
    if model.kind == "user" and all(table.column(c).category == "S" for c in columns):
        return ()  # a name that is taken is no secret among people who choose names
    if not columns or special & set(columns) or references & set(columns):
        return ()
    for name in columns:
        column = table.column(name)
        if is_secret(table, name):
            return ()  # whoever knows it holds it
        if column.base == "uuid" or column.identity or column.generated:
            return ()
        if column.default and "(" in column.default:
            return ()
    if all(table.column(c).labels or table.column(c).category == "B" for c in columns):
        return ()
    return columns


def _looked_up(lab: Lab, table: Table, actor: Actor, command: str) -> list[Signal]:
    """Name the other tenant's rows in columns that a trigger checks instead of a foreign key.

    What it says about another tenant's row must not differ from what it says about no row.
    """
    text = "\n".join(
        f.source
        for t in table.triggers
        for f in lab.catalog.functions.values()
        if f.key == f"{t.function}()" and f.definer
    )
    words = lab.refs.words(text)
    keyed = {c for fk in table.foreign_keys for c in fk.columns}
    model = lab.model.of(table.key)
    out: list[Signal] = []
    for column in table.columns:
        if column.name not in words or column.name in {*keyed, *model.path, *model.users}:
            continue
        if column.base not in ("uuid", "bigint", "integer") or not column.writable:
            continue
        fake = _write(lab, table, actor, {column.name: _unknown(lab, table, column.name)}, command)
        if fake is None:
            continue
        plan = [fake]
        for key in sorted(lab.refs.reach(text)[0]):
            rows = lab.fixtures.of(key, "B")
            target = lab.catalog.tables.get(key)
            if not rows or target is None or not target.primary_key or key == table.key:
                continue
            ref = target.primary_key[-1]
            if lab.model.of(key).kind == "tenant" and target.column(ref).base == column.base:
                item = _write(lab, table, actor, {column.name: rows[0].values[ref]}, command)
                plan += [item] if item else []
        nowhere, *there = lab.run(plan)
        for item, outcome in zip(plan[1:], there, strict=True):
            own = any(f'"{u.name}"' in outcome.message for u in table.uniques)
            if not own and (outcome.code, outcome.message) != (nowhere.code, nowhere.message):
                out.append(
                    Signal(
                        "key.trigger",
                        "oracle",
                        "medium",
                        actor.name,
                        table.key,
                        command,
                        f"{column.name} of tenant B: {outcome.code}"
                        f" {outcome.message or 'accepted'};"
                        f" of nobody: {nowhere.code} {nowhere.message or 'accepted'}",
                        "A trigger answers differently for another tenant's row than for none.",
                        "Let it raise the same error for both, or use a composite foreign key.",
                        item.sql,
                        actor,
                        (table.key, *sorted(lab.refs.reach(text)[0])[:4]),
                        group=table.key,
                        title="{object}: a trigger tells which rows of other tenants exist",
                    )
                )
                break
    return out


def _unknown(lab: Lab, table: Table, column: str) -> object:
    kind = table.column(column).base
    if kind == "uuid":
        return "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"
    if kind in ("bigint", "integer"):
        return "2047483647"
    return "hz-nobody" if table.column(column).category == "S" else None


def _write(
    lab: Lab, table: Table, actor: Actor, values: dict[str, object], command: str
) -> Probe | None:
    """Insert a row of one's own with some values replaced, or update one so."""
    if command == "insert":
        for item in statements.inserts(lab, table, actor, "A")[:1]:
            base = dict(item.values) | values
            text = statements.insert_sql(lab, table, actor, base)
            given = all((actor.role, "INSERT") in table.column(c).privileges for c in values)
            if text and given:
                return Probe(actor, text, watch=(table.key,))
        return None
    rows = lab.fixtures.of(table.key, "A")
    rows = [r for r in rows if r.user == actor.user] or rows
    if not rows or not values or not table.can(actor.role, "SELECT"):
        if not values and rows and (column := statements.touch_column(lab, table, actor.role)):
            keys = lab.where_keys(table, [rows[0].values])
            return Probe(actor, statements.touch(lab, table, column, keys), watch=(table.key,))
        return None
    if not all((actor.role, "UPDATE") in table.column(c).privileges for c in values):
        return None
    text = statements.change(lab, table, values, lab.where_keys(table, [rows[0].values]))
    return Probe(actor, text, watch=(table.key,))
