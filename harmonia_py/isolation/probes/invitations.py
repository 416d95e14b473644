"""Invitations: a function that turns what its caller presents into a membership.

The harness makes the secret itself: it reads from the function's own text how a presented value
is compared with the stored one, stores the one that belongs to a value it knows, and then lets
the wrong people present it, or the right person at the wrong time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Argument, Column, Function, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import rpc
from harmonia_py.isolation.probes.arguments import choices, is_secret

__all__ = ["bearers", "probe"]

_PRESENTED = "2f6c1d0e-5b1a-4c8e-9a57-3d1f0b7c9e42"
_ENDS = re.compile(r"(expir|valid_?until|valid_?to|ends_?at|until)", re.I)
_USED = re.compile(r"(accept|used|use_|redeem|claim|consum|revok|cancel|delet|declin|reject)", re.I)
_OVER = re.compile(
    r"(accept|used|redeem|claim|consum|revok|cancel|delet|declin|reject|expired)", re.I
)
_PAST = "2020-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class _Door:
    """A function, the argument that carries the secret, and the row that it opens."""

    function: Function
    argument: Argument
    table: Table
    column: Column
    stored: str
    row: dict[str, Any]


def probe(lab: Lab) -> tuple[list[Signal], set[str]]:
    """Let the wrong people present a known secret, and the right one at the wrong time.

    Also returns the functions that let the right one in.
    """
    out: list[Signal] = []
    opened: set[str] = set()
    for function in rpc.exposed(lab):
        for door in _doors(lab, function):
            found = _try(lab, door)
            if found is not None:
                opened.add(function.key)
                out += found
    return out, opened


def bearers(lab: Lab) -> set[tuple[str, str]]:
    """Return (table, column) of every secret that a function compares as it was presented."""
    return {
        (door.table.key, door.column.name)
        for function in rpc.exposed(lab)
        for door in _doors(lab, function)
        if door.stored == _PRESENTED
        and function.definer
        and is_secret(door.table, door.column.name)
    }


def _doors(lab: Lab, function: Function) -> Iterator[_Door]:
    """Find the columns that the function compares with something made of one argument."""
    tables, _ = lab.refs.reach(function.source)
    for argument in function.arguments:
        if argument.category not in "SU" or not argument.name:
            continue
        for key in sorted(tables):
            table = lab.catalog.tables.get(key)
            rows = lab.fixtures.of(key, "B")
            if table is None or not table.is_base or not rows or not table.primary_key:
                continue
            if any(m.table == key for m in lab.model.memberships):
                continue
            for column in table.columns:
                stored = _stored(lab, function, argument, column)
                if column.name not in table.primary_key and stored is not None:
                    yield _Door(function, argument, table, column, stored, rows[0].values)


def _stored(lab: Lab, function: Function, argument: Argument, column: Column) -> str | None:
    """Work out what a row must hold for the presented value to fit it."""
    pattern = rf'(?<![\w"]){_name(column.name)}\s*(?:::\w+)?\s*=\s*'
    for match in re.finditer(pattern, function.source, re.I):
        text = _behind(function.source, _operand(function.source[match.end() :]))
        if not re.search(rf'(?<![\w"]){_name(argument.name)}(?!\w)', text, re.I):
            continue
        made = re.sub(
            rf'(?:\b{re.escape(function.name)}\.)?(?<![\w"]){_name(argument.name)}(?!\w)',
            f"'{_PRESENTED}'::{argument.type}",
            text,
            flags=re.I,
        )
        try:
            with lab.conn.transaction(force_rollback=True):
                (value,) = lab.conn.execute(f"select ({made})::text".encode()).fetchone() or (None,)
        except psycopg.Error:
            continue
        return str(value) if value else None
    return None


def _behind(source: str, text: str) -> str:
    """Follow a variable to what it was set to."""
    name = text.strip()
    if re.fullmatch(r"\w+", name):
        found = re.search(rf"\b{name}\b[^;:=]*(?::=|\sdefault\s)", source, re.I)
        if found:
            return _operand(source[found.end() :])
    return text


def _name(name: str) -> str:
    return f'"?{re.escape(name)}"?'


def _operand(text: str) -> str:
    """Cut the right-hand side of a comparison out of what follows the ``=``."""
    depth, quoted = 0, False
    for position, char in enumerate(text):
        if char == "'":
            quoted = not quoted
        elif not quoted:
            depth += (char == "(") - (char == ")")
            end = char in ";," or re.match(
                r"\s(?:and|or|limit|for|then|returning|order|group)\b", text[position:], re.I
            )
            if depth < 0 or (depth == 0 and end):
                return text[:position]
    return text


def _try(lab: Lab, door: _Door) -> list[Signal] | None:
    mail = next((c for c in door.table.columns if _is_address(c, door.row)), None)
    invitee = next((a for a in lab.cast.actors if a.state == "stranger"), None)
    if invitee is None or not lab.fixtures.replica:
        return None
    address = str(invitee.claims.get("email"))
    ready = {door.column.name: door.stored} | ({mail.name: address} if mail else {})
    if mail:
        other = invitee.with_claims(invitee.name, email="hz-somebody@example.test")
        forged = other.with_claims(
            other.name, user_metadata={"email": address, "email_address": address}
        )
        wrong = [
            (
                other,
                ready,
                "somebody else's invitation is taken",
                "somebody whose address it is not",
            ),
            (forged, ready, "somebody else's invitation is taken", "an address in user_metadata"),
        ]
    else:
        wrong = []
    for changed, what in _spent(door.table, door.row):
        wrong.append((invitee, ready | changed, f"an invitation that is {what} still works", what))
    unknown = "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"
    plan = [_present(lab, door, invitee, ready), _present(lab, door, invitee, ready, unknown)]
    plan += [_present(lab, door, actor, values) for actor, values, _, _ in wrong]
    guesses = _guesses(lab, door)
    plan += [_present(lab, door, invitee, ready, value) for _, value in guesses]
    outcomes = lab.run(plan)
    let_in = _joined(lab, outcomes[0], invitee) or (mail and _joined(lab, outcomes[3], invitee))
    if not let_in or _joined(lab, outcomes[1], invitee):
        return None  # not a door at all, or one that rpc finds open
    out = []
    cases = [(title, how) for _, _, title, how in wrong]
    cases += [("an invitation opens without its secret", f"its {name}") for name, _ in guesses]
    for (title, how), item, outcome in zip(cases, plan[2:], outcomes[2:], strict=True):
        if _joined(lab, outcome, invitee):
            out.append(_signal(door, item, title, how))
    return out


def _is_address(column: Column, row: dict[str, Any]) -> bool:
    """Whether a column holds an e-mail address: what tells whom a row is meant for."""
    named = re.search(r"e?_?mail", column.name, re.I) is not None
    return column.category == "S" and ("@" in str(row.get(column.name)) or named)


def _spent(table: Table, row: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """List the states in which an invitation must not work any more."""
    for column in table.columns:
        if column.category == "D" and _ENDS.search(column.name):
            yield {column.name: _PAST}, "expired"
        elif column.category == "D" and not column.not_null and _USED.search(column.name):
            yield {column.name: _PAST}, f"marked {column.name}"
        elif column.category == "B" and _USED.search(column.name):
            yield {column.name: True}, f"marked {column.name}"
        else:
            listed = column.labels or tuple(
                v
                for check in table.checks
                if check.columns == (column.name,)
                for v in re.findall(r"'(\w+)'", check.expression)
            )
            for value in listed:
                if _OVER.search(value) and str(row.get(column.name)) != value:
                    yield {column.name: value}, value


def _guesses(lab: Lab, door: _Door) -> list[tuple[str, str]]:
    """List what is no secret of the row, and would fit the argument."""
    out = []
    for name in door.table.primary_key:
        value = str(door.row.get(name))
        fits = door.argument.category == "S" or door.table.column(name).type == door.argument.type
        if fits and name not in lab.model.of(door.table.key).path:
            out.append((name, value))
    return out


def _present(
    lab: Lab, door: _Door, actor: Actor, values: dict[str, Any], presented: str = _PRESENTED
) -> Probe:
    arguments = []
    for argument in door.function.arguments:
        if argument is door.argument:
            value: Any = presented
        elif argument.has_default:
            continue
        else:
            value = choices(lab, door.function, argument, "B")[0][0]
        arguments.append((argument, value))
    text = rpc.call(lab, door.function, [a for a, _ in arguments], [v for _, v in arguments])
    settings = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(c), lab.literal(door.table, c, v))
        for c, v in values.items()
    )
    where = sql.SQL(lab.where_keys(door.table, [door.row]))
    prepare = sql.SQL("update {} set {} where {}").format(door.table.sql, settings, where)
    return Probe(actor, text, rows=True, watch=("*",), pre=(lab.text(prepare),), replica=True)


def _joined(lab: Lab, outcome: Outcome, actor: Actor) -> bool:
    """Whether the caller has a seat in tenant B now."""
    tables = {m.table: m.user for m in lab.model.memberships}
    return outcome.ok and any(
        c.table in tables and c.kind == "new" and str(c.data.get(tables[c.table])) == actor.user
        for c in outcome.changes
    )


def _signal(door: _Door, item: Probe, title: str, how: str) -> Signal:
    return Signal(
        "invitation",
        "escalation",
        "high",
        item.actor.name,
        door.function.key,
        "execute",
        f"{title} ({how})",
        "Whoever should not be let in becomes a member of another tenant.",
        f"Let {door.function.key} find the row of {door.table.key} by its secret alone, and look"
        " there whether it is open, in time, and for the caller's verified address.",
        item.sql,
        item.actor,
        (door.table.key,),
        group=door.function.key,
        title="{object}: " + title,
        pre=item.pre,
    )
