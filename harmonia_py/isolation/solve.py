"""Choose column values that satisfy a table's CHECK constraints, by asking the server."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.catalog import Column, Table

__all__ = ["choose"]

_LIMIT = 400

Draft = dict[str, list[Any]]


def choose(
    conn: psycopg.Connection[Any], table: Table, drafts: Sequence[Draft]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Pick one value per column and draft so that every check holds.

    A draft maps column names to candidates, best first. Returns the rows and the names of
    the constraints for which no combination was found (their columns get the first value).
    """
    rows = [{name: values[0] for name, values in draft.items()} for draft in drafts]
    unsolved: list[str] = []
    for columns, checks, names in _components(table):
        solved = _solve(conn, table, drafts, columns, checks)
        if solved is None:
            unsolved.extend(names)
            continue
        for index, row in enumerate(rows):
            if index in solved:
                row.update(solved[index])
            elif names[0] not in unsolved:
                unsolved.extend(names)
    return rows, unsolved


def _components(table: Table) -> list[tuple[list[str], list[str], list[str]]]:
    """Group the checks that share columns: (columns, expressions, constraint names)."""
    items: list[tuple[set[str], list[str], list[str]]] = []
    for column in table.columns:
        for text in column.domain_checks:
            quoted = '"' + column.name.replace('"', '""') + '"'
            items.append(({column.name}, [text.replace("VALUE", quoted)], [column.type]))
    for check in table.checks:
        if check.columns:
            items.append((set(check.columns), [check.expression], [check.name]))
    merged: list[tuple[set[str], list[str], list[str]]] = []
    for item in items:
        columns, checks, names = set(item[0]), list(item[1]), list(item[2])
        rest = []
        for other in merged:
            if other[0] & columns:
                columns |= other[0]
                checks = other[1] + checks
                names = other[2] + names
            else:
                rest.append(other)
        merged = [*rest, (columns, checks, names)]
    return [(sorted(columns), checks, names) for columns, checks, names in merged]


def _solve(
    conn: psycopg.Connection[Any],
    table: Table,
    drafts: Sequence[Draft],
    columns: list[str],
    checks: list[str],
) -> dict[int, dict[str, Any]] | None:
    known = [c for c in columns if all(c in d for d in drafts)]
    if len(known) != len(columns):
        return {}
    options: list[dict[str, Any]] = []
    combos: list[list[dict[str, Any]]] = []
    for index, draft in enumerate(drafts):
        mine = [
            dict(zip(columns, values, strict=True))
            for values in _product([draft[c] for c in columns])
        ]
        combos.append(mine)
        options += [
            {"hx_row": index, "hx_try": number} | combo for number, combo in enumerate(mine)
        ]
    shape = sql.SQL(", ").join(
        [sql.SQL("hx_row int, hx_try int")]
        + [sql.SQL("{} {}").format(sql.Identifier(c), _type(table.column(c))) for c in columns]
    )
    query = sql.SQL(
        "select hx_row, min(hx_try) from pg_catalog.jsonb_to_recordset(%s) as v({}) "
        "where {} group by hx_row"
    ).format(
        shape,
        sql.SQL(" and ").join(
            sql.SQL("(({}) is not false)").format(sql.SQL(c.replace("%", "%%"))) for c in checks
        ),
    )
    try:
        with conn.transaction():
            found = conn.execute(query, (Jsonb(options),)).fetchall()
        return {row: combos[row][number] for row, number in found}
    except psycopg.Error:
        return _one_by_one(conn, query, combos)


def _one_by_one(
    conn: psycopg.Connection[Any], query: sql.Composed, combos: list[list[dict[str, Any]]]
) -> dict[int, dict[str, Any]]:
    """Try candidates alone when evaluating them together raises an error."""
    out: dict[int, dict[str, Any]] = {}
    for index, mine in enumerate(combos):
        for number, combo in enumerate(mine[:60]):
            try:
                with conn.transaction():
                    one = [{"hx_row": index, "hx_try": number} | combo]
                    if conn.execute(query, (Jsonb(one),)).fetchall():
                        out[index] = combo
                        break
            except psycopg.Error:
                continue
    return out


def _type(column: Column) -> sql.Composable:
    # The type under a domain: the domain's own checks are part of the question.
    name = column.base if column.domain_checks else column.type
    return sql.SQL(name)


def _product(lists: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Return combinations, those of early candidates first, at most _LIMIT."""
    if len(lists) == 1:
        return [(v,) for v in lists[0]]
    size = max(2, int(_LIMIT ** (1 / len(lists))))
    head = list(itertools.islice(itertools.product(*[v[:size] for v in lists]), _LIMIT))
    # One list at a time in full, the others at their first values: literals may come late.
    for index, values in enumerate(lists):
        for value in values[size:]:
            head.append(tuple(value if i == index else v[0] for i, v in enumerate(lists)))
    indexes = [{repr(v): i for i, v in enumerate(values)} for values in lists]
    return sorted(head, key=lambda c: sum(indexes[i][repr(v)] for i, v in enumerate(c)))
