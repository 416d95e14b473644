"""Rows of the other tenant as a function wants them, so that it does with them what it does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from harmonia_py.isolation.catalog import Column, Function, Table
from harmonia_py.isolation.demands import SOMETHING, Demand, demands
from harmonia_py.isolation.fixtures.rows import Row
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import statements

__all__ = ["kept", "states", "theirs", "without"]


def states(lab: Lab, function: Function) -> Generator[tuple[str, ...], None, None]:
    """Keep each state while it is looked at, and yield the statements that brought it about.

    All that is asked for, then without what only decides where the function goes on.
    """
    found = [d for f in _inside(lab, function) for d in demands(lab.catalog, lab.refs, f)]
    unmet = [d for d in found if _is_open(lab, d)]
    done: list[list[Demand]] = []
    for some in (unmet, [d for d in unmet if not d.branch]):
        if some and some not in done:
            done.append(some)
            with kept(lab, list(_updates(lab, some))) as texts:
                if texts:
                    yield texts


@contextmanager
def kept(lab: Lab, updates: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Change each row in the first way that it allows, for a while; yields what was done."""
    lab.watch_all()
    before = _written(lab)
    with lab.rolled_back():
        texts = _done(lab, updates)
        for key, now in _written(lab).items():
            if now is None or now != before.get(key):
                lab.forget(key)
        yield texts


def _done(lab: Lab, updates: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Run what can be run, triggers and foreign keys off; return it, or nothing if that is not."""
    texts: list[str] = []
    try:
        with lab.conn.transaction():
            lab.conn.execute("set local session_replication_role = replica")
            for ways in updates:
                texts += [text for text in _first(lab, ways) if text not in texts]
            # What waits for the end of the transaction is no work of the probes.
            lab.conn.execute("set constraints all immediate")
            lab.conn.execute("set constraints all deferred")
            lab.conn.execute("set local session_replication_role = origin")
    except psycopg.DatabaseError:
        return ()
    return tuple(texts)


def _first(lab: Lab, ways: Sequence[str]) -> list[str]:
    for text in ways:
        try:
            with lab.conn.transaction():
                lab.conn.execute(text.encode())
        except psycopg.Error:
            continue
        return [text]
    return []


def _written(lab: Lab) -> dict[str, int | None]:
    """Return how often each relation was written to, or nothing where that is not counted."""
    query = "select h.relation, pg_temp.hx_writes(h.stored) from pg_temp.hx_state as h"
    return dict(lab.conn.execute(query).fetchall())


def _inside(lab: Lab, function: Function) -> list[Function]:
    """Return a function and those it hands its work to."""
    keys = sorted(lab.refs.direct(function.source)[1] - lab.refs.helpers)
    inner = [lab.catalog.functions[k] for k in keys]
    return [function, *(f for f in inner if not f.exposed and f.key != function.key)]


def _is_open(lab: Lab, demand: Demand) -> bool:
    """Whether some row does not meet a demand, and meeting it does not open it to everybody."""
    table = lab.catalog.tables.get(demand.table)
    rows = lab.fixtures.of(demand.table, "B")
    if table is None or not table.is_base or not rows or not table.primary_key:
        return False
    model, column = lab.model.of(table.key), table.column(demand.column)
    if model.kind not in ("tenant", "user", "root") or not column.writable:
        return False
    if {column.name} & {*model.path, *model.users, *table.primary_key}:
        return False
    if model.kind == "root" and demand.values == (True,):
        return False  # a tenant that opens itself
    said = [model.public_when or "", *(c for r in ("anon", "authenticated")
                                       for c in lab.refs.published(table, r))]  # fmt: skip
    if any(column.name in lab.refs.words(text) for text in said):
        return False
    return not all(_met(column, r.values.get(column.name), demand.values) for r in rows)


def _updates(lab: Lab, some: Sequence[Demand]) -> Iterator[list[str]]:
    """Yield the ways to change each row: as it is asked for, and with what a check ties to it."""
    by_table: dict[str, dict[str, Any]] = defaultdict(dict)
    for demand in some:
        table = lab.catalog.tables[demand.table]
        by_table[table.key].setdefault(demand.column, _chosen(lab, table, demand))
    for key, values in by_table.items():
        table = lab.catalog.tables[key]
        for row in lab.fixtures.of(key, "B"):
            tied = values | _turned(lab, table, row.values, values)
            yield [_update(lab, table, row.values, each) for each in (values, tied)]


def _turned(lab: Lab, table: Table, row: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Fill what is empty, and empty what is not, in the columns that a check reads beside them."""
    beside = {c for k in table.checks if set(k.columns) & set(values) for c in k.columns}
    out: dict[str, Any] = {}
    for name in sorted(beside - set(values)):
        column = table.column(name)
        if column.writable and not column.not_null:
            some = Demand(table.key, name, (SOMETHING,), branch=False)
            out[name] = _chosen(lab, table, some) if row.get(name) is None else None
    return out


def _update(lab: Lab, table: Table, row: dict[str, Any], values: dict[str, Any]) -> str:
    return statements.change(lab, table, values, lab.where_keys(table, [row]))


def _met(column: Column, held: Any, values: Sequence[Any]) -> bool:
    """Whether a value already is one of those that are wanted."""
    if SOMETHING in values:
        return held is not None
    if held is None or column.category == "B":
        return held in values
    return str(held) in {str(v) for v in values if v is not None}


def _chosen(lab: Lab, table: Table, demand: Demand) -> Any:
    """Return the value to give: the first, or for any value one that some row holds."""
    value = demand.values[0]
    if value is not SOMETHING:
        return value
    rows: list[Row] = lab.fixtures.rows.get(table.key, [])
    held = (r.values.get(demand.column) for r in rows)
    usual = {"D": "2026-01-02T00:00:00Z", "S": "hz", "N": 1, "B": True}
    kind = table.column(demand.column).category
    return next((v for v in held if v is not None), usual.get(kind))


def theirs(lab: Lab, function: Function) -> Iterator[tuple[Table, str]]:
    """Yield the tables that a function reaches, with a condition that names B's rows of each."""
    for key in sorted(lab.refs.reach(function.source)[0]):
        table = lab.catalog.tables.get(key)
        if table is None or not table.is_base or not table.primary_key:
            continue
        if lab.model.of(key).kind != "tenant" or any(m.table == key for m in lab.model.memberships):
            continue
        rows = lab.fixtures.of(key, "B")
        if rows:
            yield table, lab.where_keys(table, [r.values for r in rows])


def without(lab: Lab, function: Function) -> tuple[str, ...]:
    """Compose what takes B's rows out of the tables that a function reaches."""
    return tuple(statements.erase(lab, table, where) for table, where in theirs(lab, function))
