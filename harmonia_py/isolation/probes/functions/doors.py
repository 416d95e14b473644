"""Doors: functions that let in whoever presents a secret that some row holds.

The secret is made here: the function's own text, or that of the one it wraps, says how a presented
value is compared with the stored one, and the row is given what belongs to a known value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import psycopg

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Argument, Column, Function, Table
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.functions import rpc
from harmonia_py.isolation.probes.functions.arguments import choices, is_secret
from harmonia_py.isolation.probes.functions.uses import handed_on
from harmonia_py.isolation.probes.times import moved

__all__ = [
    "Door",
    "Values",
    "doors",
    "is_address",
    "present",
    "presentations",
    "ready",
    "says",
    "spent",
    "with_values",
]

PRESENTED = "2f6c1d0e-5b1a-4c8e-9a57-3d1f0b7c9e42"
_ENDS = re.compile(r"(expir|valid_?until|valid_?to|ends_?at|until)", re.I)
_USED = re.compile(r"(accept|used|use_|redeem|claim|consum|revok|cancel|delet|declin|reject)", re.I)
_OVER = re.compile(
    r"(accept|used|redeem|claim|consum|revok|cancel|delet|declin|reject|expired)", re.I
)
_COUNTED_DOWN = re.compile(r"(^|_)(left|remaining)$", re.I)
_SOMEBODY = "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"
_PAST = "2020-01-01T00:00:00Z"


#: Table -> column -> what a row of it is given.
Values = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Door:
    """A function, the argument that carries the secret, and the rows that it opens.

    ``rows`` begins with the one that holds the secret; its parents follow.
    """

    function: Function
    argument: Argument
    column: Column
    stored: str
    rows: tuple[tuple[Table, dict[str, Any]], ...]

    @property
    def table(self) -> Table:
        """The table that holds the secret."""
        return self.rows[0][0]


def presentations(
    lab: Lab, function: Function, actor: Actor
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return calls that present a secret of tenant A: when (or ""), the call, what goes before.

    The secret is meant for the actor where it is meant for somebody.
    """
    out = []
    for door in doors(lab, function, "A") if lab.fixtures.replica else ():
        address = str(actor.claims.get("email") or "")
        held = ready(lab, door, "A", address)
        cases: list[tuple[str, Values, tuple[str, ...]]] = [("", held, ())]
        for table, row in door.rows:
            cases += [
                (f" when {table.key} is {what}", with_values(held, table, changed), ())
                for changed, what in spent(table, row)
            ]
        cases += [(f" when {what}", held, pre) for what, pre in _left(lab, held)]
        for when, values, pre in cases:
            item = present(lab, door, actor, values)
            out.append((when, item.sql, (*item.pre, *pre)))
        for table, row in door.rows:
            for twin in _twin(lab, table, row):
                item = present(lab, door, actor, held)
                when = f" when {table.key} has a twin in another tenant"
                out.append((when, item.sql, (twin, *item.pre)))
    return out


def _twin(lab: Lab, table: Table, row: dict[str, Any]) -> Iterator[str]:
    """Give a row of tenant B the same key, where only the tenant makes the key whole."""
    path = lab.model.of(table.key).path
    theirs = lab.fixtures.of(table.key, "B")
    rest = [c for c in table.primary_key if c not in path]
    if len(path) == 1 and len(rest) == 1 and len(table.primary_key) == 2 and theirs:
        keys = lab.where_keys(table, [theirs[0].values])
        yield statements.change(lab, table, {rest[0]: row[rest[0]]}, keys)


def doors(lab: Lab, function: Function, label: str = "B") -> list[Door]:
    """Find the columns that the function compares with something made of one argument."""
    key = ("doors", function.key, label)
    if key not in lab.memo:
        lab.memo[key] = list(_found(lab, function, label))
    return list(lab.memo[key])


def _found(lab: Lab, function: Function, label: str) -> Iterator[Door]:
    seats = {m.table for m in lab.model.memberships}
    for argument in function.arguments:
        if argument.category not in "SU" or not argument.name:
            continue
        for body, name in handed_on(lab, function, argument.name):
            stored = _stored(lab, body, name, argument.type)
            own = body is function
            tables = lab.refs.reach(body.source) if own else lab.refs.direct(body.source)
            for key in sorted(set(tables[0]) - seats) if stored else ():
                table = lab.catalog.tables.get(key)
                rows = lab.fixtures.of(key, label)
                if table is None or not table.is_base or not rows or not table.primary_key:
                    continue
                for column in table.columns:
                    made = stored.get(column.name.lower())
                    if made is not None and _is_told(table, column):
                        places = ((table, rows[0].values), *_parents(lab, table, rows[0].values))
                        yield Door(function, argument, column, made, places)


def _is_told(table: Table, column: Column) -> bool:
    """Whether what is compared may be a secret: a key is one only where it is a code by itself."""
    if column.name not in table.primary_key:
        return True
    return len(table.primary_key) == 1 and is_secret(table, column.name)


def _parents(lab: Lab, table: Table, row: dict[str, Any]) -> Iterator[tuple[Table, dict[str, Any]]]:
    """Yield the rows that a row hangs on, where they are a tenant's and no seat."""
    seats = {m.table for m in lab.model.memberships}
    for fk in table.foreign_keys:
        target = lab.catalog.tables.get(fk.target)
        if target is None or fk.target in seats or lab.model.of(fk.target).kind != "tenant":
            continue
        for other in lab.fixtures.rows.get(fk.target, ()):
            pairs = zip(fk.columns, fk.ref_columns, strict=True)
            if all(str(other.values.get(r)) == str(row.get(c)) for c, r in pairs):
                yield target, other.values
                break


_EQUALS = re.compile(r'(?<![\w"])"?(\w+)"?\s*(?:::\w+)?\s*=\s*')


def _stored(lab: Lab, body: Function, name: str, kind: str) -> dict[str, str]:
    """Work out what each compared column must hold for the presented value to fit it."""
    out: dict[str, str] = {}
    for column, text in _compared(body.source):
        if column in out or name.lower() not in text.lower():
            continue
        if not re.search(rf'(?<![\w"]){_name(name)}(?!\w)', text, re.I):
            continue
        made = re.sub(
            rf'(?:\b{re.escape(body.name)}\.)?(?<![\w"]){_name(name)}(?!\w)',
            f"'{PRESENTED}'::{kind}",
            text,
            flags=re.I,
        )
        try:
            with lab.rolled_back():
                (value,) = lab.conn.execute(f"select ({made})::text".encode()).fetchone() or (None,)
        except psycopg.Error:
            continue
        if value:
            out[column] = str(value)
    return out


@lru_cache(maxsize=512)
def _compared(source: str) -> tuple[tuple[str, str], ...]:
    """Return each name that a body compares, or sets, and the other side of it."""
    return tuple(
        (match.group(1).lower(), _behind(source, _operand(source, match.end())))
        for match in _EQUALS.finditer(source)
    )


def _behind(source: str, text: str) -> str:
    """Follow a variable to what it was set to."""
    name = text.strip()
    if re.fullmatch(r"\w+", name):
        found = re.search(rf"\b{name}\b[^;:=]*(?::=|\sdefault\s)", source, re.I)
        if found:
            return _operand(source, found.end())
    return text


def _name(name: str) -> str:
    return f'"?{re.escape(name)}"?'


_ENDED = re.compile(r"\s(?:and|or|limit|for|then|returning|order|group)\b", re.I)


def _operand(text: str, start: int) -> str:
    """Cut the right-hand side of a comparison out of what follows the ``=``."""
    depth, quoted = 0, False
    for position in range(start, len(text)):
        char = text[position]
        if char == "'":
            quoted = not quoted
        elif not quoted:
            depth += (char == "(") - (char == ")")
            end = depth == 0 and (char in ";," or (char.isspace() and _ENDED.match(text, position)))
            if depth < 0 or end:
                return text[start:position]
    return text[start:]


def with_values(held: Values, table: Table, changed: dict[str, Any]) -> Values:
    """Return the values with some of one table's replaced."""
    return held | {table.key: held.get(table.key, {}) | changed}


def ready(lab: Lab, door: Door, label: str, address: str) -> Values:
    """Return, table by table, what the rows of an open door hold."""
    out: Values = {}
    boss, least = lab.cast.members(label)[0], lab.model.roles[-1]
    seats = lab.model.membership
    for table, row in door.rows:
        values: dict[str, Any] = {}
        for column in table.columns:
            if column.generated:
                continue
            if column.category == "D" and not column.not_null and _USED.search(column.name):
                values[column.name] = None
            elif is_address(column, row):
                values[column.name] = address
            elif (
                seats and column.name == seats.role and str(row.get(column.name)) in lab.model.roles
            ):
                values[column.name] = least
            elif str(row.get(column.name)) in lab.fixtures.users:
                if not _USED.search(column.name) and column.name not in table.primary_key:
                    values[column.name] = boss.user
        out[table.key] = values
    out[door.table.key][door.column.name] = door.stored
    return out


def _seat(lab: Lab, table: str, column: str) -> Any:
    """Return what the seats of tenant B name: the tenant itself, or a group of it."""
    boss = lab.cast.members("B")[0]
    rows = (r.values for r in lab.fixtures.rows[table] if boss.user in r.values.values())
    return next((r[column] for r in rows), lab.cast.b.id)


def _left(lab: Lab, held: Values) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what may have happened since: whoever made the row lost the seat, the tenant closed."""
    seats, boss = lab.model.membership, lab.cast.members("A")[0]
    members = lab.catalog.tables.get(seats.table) if seats else None
    if seats and members and any(boss.user in values.values() for values in held.values()):
        theirs = lab.where(members, {seats.user: boss.user})
        yield "its maker was removed", (statements.erase(lab, members, theirs),)
        elsewhere = {seats.tenant: _seat(lab, seats.table, seats.tenant)}
        away = statements.change(lab, members, elsewhere, theirs)
        yield "its maker belongs elsewhere", (away,)
        for value in seats.inactive[:2] if seats.status else ():
            ended = statements.change(lab, members, {seats.status or "": value}, theirs)
            yield f"its maker is {value}", (ended,)
    root = lab.catalog.tables.get(lab.model.tenant_table or "")
    for value in lab.model.tenant_closed if root and lab.model.tenant_status else ():
        column = root.column(lab.model.tenant_status or "") if root else None
        if root and column:
            shown = _PAST if column.category == "D" else value
            closed = statements.change(lab, root, {column.name: shown})
            yield f"its tenant is {value}", (closed,)


def is_address(column: Column, row: dict[str, Any]) -> bool:
    """Whether a column holds an e-mail address: what tells whom a row is meant for."""
    named = re.search(r"e?_?mail", column.name, re.I) is not None
    return column.category == "S" and ("@" in str(row.get(column.name)) or named)


def spent(table: Table, row: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """List the states in which an invitation must not work any more."""
    for column in table.columns:
        if column.generated or column.name.lower().startswith("last"):
            continue  # when it was used last: it may be used again
        if column.category == "D" and _ENDS.search(column.name):
            past = moved(table, row, -timedelta(days=2000))
            kept = {n: v for n, v in past.items() if not _USED.search(n)}
            yield {column.name: _PAST} | kept, "expired"
        elif column.category == "D" and not column.not_null and _USED.search(column.name):
            yield {column.name: _PAST} | _tied(table, column, row), f"marked {column.name}"
        elif column.category == "B" and _USED.search(column.name):
            yield {column.name: True} | _tied(table, column, row), f"marked {column.name}"
        elif column.category == "N" and _COUNTED_DOWN.search(column.name):
            yield {column.name: 0}, "used up"
        else:
            listed = column.labels or tuple(
                v
                for check in table.checks
                if check.columns == (column.name,)
                for v in re.findall(r"'(\w+)'", check.expression)
            )
            for value in listed:
                if _OVER.search(value) and str(row.get(column.name)) != value:
                    yield {column.name: value} | _tied(table, column, row), value


def _tied(table: Table, column: Column, row: dict[str, Any]) -> dict[str, Any]:
    """Fill the empty columns that a check ties to the mark: by whom, when, why."""
    tied = {c for k in table.checks if column.name in k.columns for c in k.columns}
    filling = {"D": _PAST, "U": _SOMEBODY, "S": "used", "B": True, "N": 1}
    return {
        c.name: filling[c.category]
        for c in table.columns
        if c.name in tied - {column.name}
        and row.get(c.name) is None
        and c.writable
        and c.category in filling
    }


def present(
    lab: Lab, door: Door, actor: Actor, values: Values, presented: str = PRESENTED
) -> Probe:
    """Compose the call that presents a secret, after the rows were given their values."""
    arguments = []
    for argument in door.function.arguments:
        if argument is door.argument:
            value: Any = presented
        elif argument.has_default:
            continue
        else:
            value = choices(lab, door.function, argument, "B")[0][0]
            if str(value) in lab.fixtures.users:
                value = actor.user  # whom it lets in: the caller says that it is himself
        arguments.append((argument, value))
    text = rpc.composed(lab, door.function, [a for a, _ in arguments], [v for _, v in arguments])
    prepare = []
    for table, row in door.rows:
        if changed := values.get(table.key):
            keys = lab.where_keys(table, [row])
            prepare.append(statements.change(lab, table, changed, keys))
    return Probe(actor, text, rows=True, watch=("*",), pre=tuple(prepare), replica=True)


def says(value: Any) -> bool:
    """Whether an answer says anything at all."""
    if isinstance(value, list):
        return any(says(v) for v in value)
    if isinstance(value, dict):
        return any(says(v) for v in value.values())
    return value not in (None, False, "", 0)
