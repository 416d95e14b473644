"""Dynamic SQL: an argument that ends up as part of a statement with the owner's rights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from psycopg import sql

from harmonia_py.isolation.catalog import Argument, Function, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes.functions import rpc
from harmonia_py.isolation.probes.functions.arguments import choices

__all__ = ["probe"]

_EXECUTES = re.compile(r"\bexecute\b(?!\s+(?:function|procedure|on)\b)", re.I)


def probe(lab: Lab, known: set[str]) -> list[Signal]:
    """Give every text argument of such a function a piece of SQL that fetches a foreign value.

    ``known`` are the functions that need no trick.
    """
    out: list[Signal] = []
    members = lab.cast.members("A")
    outsiders = [a for a in lab.cast.actors if a.state in ("stranger", "anon")]
    for function in rpc.exposed(lab):
        if function.language != "plpgsql" or not _EXECUTES.search(function.source):
            continue
        if function.key in known:
            continue
        actors = [a for a in (*members[:1], *outsiders) if a.role in function.executors]
        plan = [
            Probe(actor, text, rows=True, watch=("*",), tag=("execute", call))
            for actor in actors
            for call, text in _calls(lab, function)
        ]
        for item, outcome in zip(plan, lab.run(plan), strict=True):
            found = next(rpc.judge(lab, function, item, outcome), None)
            if found is not None:
                out.append(_signal(function, found, item))
                break
    return out


def _calls(lab: Lab, function: Function) -> Iterator[tuple[rpc.Call, str]]:
    for argument in function.arguments:
        if argument.category != "S":
            continue
        others = [a for a in function.arguments if a is not argument and not a.has_default]
        for piece in _pieces(lab, function):
            # An error that merely repeats what it was given tells nothing.
            call = rpc.Call(f"SQL in {_said(argument)}", (piece,), specific=False, bearer=None)
            for values in _fillings(lab, function, others):
                yield call, rpc.composed(lab, function, [argument, *others], [piece, *values])


def _fillings(lab: Lab, function: Function, others: list[Argument]) -> Iterator[list[Any]]:
    """Fill the other arguments: as in any call, and texts with a table's name, then a column's."""
    usual = [choices(lab, function, a, "A")[0][0] for a in others]
    yield usual
    texts = [i for i, a in enumerate(others) if a.category == "S"]
    for table, column in _holders(lab, function)[:1] if texts else ():
        for names in ([table.name, column], [column, table.name])[: len(texts)]:
            values = list(usual)
            for place, name in zip(texts, names, strict=False):
                values[place] = name
            yield values


def _said(argument: Argument) -> str:
    return argument.name or "its argument"


def _pieces(lab: Lab, function: Function) -> Iterator[str]:
    """Compose texts for every place of a statement: an expression, a quoted value, a name."""
    holders = _holders(lab, function)
    for table, column in holders[:1]:
        fetch = lab.text(
            sql.SQL("(select pg_catalog.max(hz.{c}::text) from {t} as hz where {w})").format(
                c=sql.Identifier(column),
                t=table.sql,
                w=sql.SQL(lab.where_keys(table, [lab.fixtures.of(table.key, "B")[0].values])),
            )
        )
        # No quotes: it may stand inside some.
        fetch = re.sub(r"'([^']*)'", r"$hz$\1$hz$", fetch)
        # The value comes back inside the message of the cast that fails.
        raised = f"cast({fetch} as int)"
        yield from (raised, f"' || {raised} || '", f"x' or {raised} = 1 or 'a' = 'b", fetch)
        # As a condition by itself: `true or` would be decided without it.
        yield from (f"1 limit {raised}", f"{raised} = 1")
    for table, _ in holders[:4]:
        yield from (lab.text(table.sql), table.key, table.name)


def _holders(lab: Lab, function: Function) -> list[tuple[Table, str]]:
    """List the tables with a column that tells a row is B's: those the function names first."""
    reached = lab.refs.reach(function.source)[0]
    tables = [lab.catalog.tables[k] for k in sorted(reached) if k in lab.catalog.tables]
    everything = [t for t in lab.catalog.tables.values() if t not in tables]
    return [(t, c) for t in (*tables, *everything) if (c := _telling(lab, t))]


def _telling(lab: Lab, table: Table) -> str | None:
    """Name a text column whose value tells that a row is B's."""
    rows = lab.fixtures.of(table.key, "B")
    if not table.is_base or not rows or lab.model.of(table.key).kind not in ("tenant", "root"):
        return None
    return next(
        (
            c.name
            for c in table.columns
            if c.category == "S"
            and len(str(rows[0].values.get(c.name))) > 5
            and lab.fixtures.canaries.get(str(rows[0].values.get(c.name))) == "B"
        ),
        None,
    )


def _signal(function: Function, found: Signal, item: Probe) -> Signal:
    where = item.tag[1].label
    return replace(
        found,
        rule="rpc.dynamic",
        severity="critical",
        evidence=f"{where}: {found.evidence}",
        why="What the caller gives becomes part of a statement that runs with the owner's rights.",
        fix="Use format() with %L for values and %I for names, or a fixed list of columns.",
        title="{object}: an argument is executed as SQL",
        group=function.key,
    )
