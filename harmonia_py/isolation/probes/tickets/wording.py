"""Statements that are refused for how they are worded, and only to those who hold a ticket.

A helper may look at the text of the statement (``current_query()``) and refuse what would take
the record of an access back with it, such as a cast that fails. The words that it looks for are
in its own body: the holder of a live ticket sends them, and so does whoever has a seat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pglast
from pglast import ast
from pglast.stream import RawStream
from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Function
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.fixtures.values import sample
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.mutation.bodies import is_and, refusals
from harmonia_py.isolation.probes.sight import look
from harmonia_py.isolation.tickets import Ticket

__all__ = ["signals"]

_OPERATORS = ("~", "~*", "~~", "~~*")


@dataclass(frozen=True, slots=True)
class _Words:
    """What a function refuses to hear from whoever holds a ticket."""

    function: Function
    text: str


def signals(
    lab: Lab, ticket: Ticket, holder: Actor, live: tuple[str, ...], opened: dict[str, int]
) -> Iterator[Signal]:
    """Send the words as the holder, who must be refused, and as people who have a seat.

    ``opened`` counts the rows that the ticket opens, by table.
    """
    for words in _words(lab, ticket):
        key = words.function.key
        tables = [
            lab.catalog.tables[k] for k in sorted(opened) if key in lab.refs.by_table[k][1]
        ]  # fmt: skip
        sight = look(lab, tables)
        if not sight:
            continue
        people = lab.cast.members("B")
        seated = (*people[:1], *people[-1:])
        plan = [Probe(a, sight, rows=True, pre=live, replica=True) for a in (holder, *seated)]
        said = [replace(p, said=words.text) for p in plan]
        outcomes = lab.run([*plan, *said])
        pairs = list(zip(said, outcomes[: len(plan)], outcomes[len(plan) :], strict=True))
        item, before, after = pairs[0]
        if _rows(before) and _rows(after) == _rows(before):
            yield _unnoticed(ticket, words, item)
        for item, before, after in pairs[1:]:
            if before.ok and _rows(after) != _rows(before):
                yield _denied(ticket, words, item)
                break


def _rows(outcome: Outcome) -> dict[str, Any]:
    return dict(outcome.result or {}) if outcome.ok else {}


def _words(lab: Lab, ticket: Ticket) -> Iterator[_Words]:
    for key in sorted(lab.refs.helpers):
        function = lab.catalog.functions[key]
        if "current_query" not in function.source:
            continue
        for condition in refusals(function):
            text = _heard(lab, condition, ticket)
            if text is not None:
                yield _Words(function, text)


def _heard(lab: Lab, condition: str, ticket: Ticket) -> str | None:
    """Return what such a check refuses; None unless it is about holders of the ticket alone."""
    try:
        parsed: Any = pglast.parse_sql(f"select 1 where {condition}")
    except pglast.parser.ParseError:
        return None
    where: Any = parsed[0].stmt.whereClause
    terms = list(where.args) if is_and(where) else [where]
    about = [t for t in terms if _asks(t, ticket.table)]
    looks = [t for t in terms if _looks(t)]
    if len(about) != 1 or len(looks) != 1 or len(terms) != 2:
        return None
    pattern = str(looks[0].rexpr.val.sval)
    operator = looks[0].name[-1].sval
    if operator.startswith("~~"):
        text: str | None = pattern.replace("%", "").replace("_", "x")
    else:
        text = sample(pattern, pattern)
    return text if text and _matches(lab, looks[0], text) else None


def _asks(term: Any, table: str) -> bool:
    """Whether a term is no more than that there is a row of the table."""
    if not isinstance(term, ast.SubLink) or not isinstance(term.subselect, ast.SelectStmt):
        return False
    sources = term.subselect.fromClause or ()
    return (
        len(sources) == 1
        and isinstance(sources[0], ast.RangeVar)
        and f"{sources[0].schemaname}.{sources[0].relname}" == table
        and RawStream()(term).upper().startswith("EXISTS")
    )


def _looks(term: Any) -> bool:
    """Whether a term compares the text of the statement with a constant."""
    return (
        isinstance(term, ast.A_Expr)
        and term.name is not None
        and term.lexpr is not None
        and term.name[-1].sval in _OPERATORS
        and isinstance(term.rexpr, ast.A_Const)
        and isinstance(term.rexpr.val, ast.String)
        and "current_query()" in RawStream()(term.lexpr).lower()
    )


def _matches(lab: Lab, term: Any, text: str) -> bool:
    """Ask the server whether it finds the words in a statement of ours."""
    stands = RawStream()(term.lexpr)
    name = next(n for n in ("pg_catalog.current_query()", "current_query()") if n in stands)
    whole = lab.text(sql.Literal(lab.statement(text)))
    asked = RawStream()(term).replace(name, whole, 1)
    ((found,),) = lab.conn.execute(f"select {asked}".encode()).fetchall()
    return bool(found)


def _unnoticed(ticket: Ticket, words: _Words, item: Probe) -> Signal:
    key = words.function.key
    return Signal(
        "wording.ignored", "exposure", "medium", item.actor.name, key, "select",
        f"with the words {words.text!r} the holder of a row of {ticket.table} sees the same",
        f"{key} refuses statements by their text, and whom it is about is not refused.",
        f"Look in {key} for what is compared with current_query().",
        f"{item.sql} -- {words.text}", item.actor, (ticket.table,), key,
        "{object}: what it refuses by the text of a statement goes through", item.pre,
    )  # fmt: skip


def _denied(ticket: Ticket, words: _Words, item: Probe) -> Signal:
    key = words.function.key
    return Signal(
        "wording.denied", "denied", "medium", item.actor.name, key, "select",
        f"with the words {words.text!r} less is seen, by somebody who holds no {ticket.table}",
        f"{key} refuses statements of holders by their text, and refuses everybody else's as well.",
        f"Ask in {key} whether it is the caller who holds a row of {ticket.table}.",
        f"{item.sql} -- {words.text}", item.actor, (ticket.table,), key,
        "{object}: it refuses statements of people whom it is not about", item.pre,
    )  # fmt: skip
