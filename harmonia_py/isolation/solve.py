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

_LIMIT = 200

Draft = dict[str, list[Any]]


def choose(
    conn: psycopg.Connection[Any], table: Table, drafts: Sequence[Draft]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Pick one value per column and draft so that every check holds.

    A draft maps column names to candidates, best first. Returns the rows and the names of
    the constraints for which no combination was found (their columns get the first value).
    """
    unsolved: list[str] = []
    work = [dict(draft) for draft in drafts]
    components = _components(table)
    for columns, checks, names in _alone(table):
        passing = _ask(conn, table, work, columns, checks)
        for index, draft in enumerate(work):
            kept = [draft[columns[0]][number] for number in passing.get(index, ())]
            if kept:
                draft[columns[0]] = kept
            elif names[0] not in unsolved and columns[0] in draft:
                unsolved.extend(names)
    rows = [{name: values[0] for name, values in draft.items()} for draft in work]
    for columns, checks, names in components:
        if any(c not in d for c in columns for d in work):
            continue
        combos = [_product([draft[c] for c in columns]) for draft in work]
        passing = _ask(conn, table, work, columns, checks, combos)
        for index, row in enumerate(rows):
            if numbers := passing.get(index):
                row.update(zip(columns, combos[index][numbers[0]], strict=True))
            elif names[0] not in unsolved:
                unsolved.extend(names)
    _apart(table, work, rows)
    return rows, unsolved


def _apart(table: Table, drafts: Sequence[Draft], rows: list[dict[str, Any]]) -> None:
    """Give rows that would collide in a key another value that its column may have.

    Only what one check alone limits is exchanged, so that no other check can mind.
    """
    tied = {c for check in table.checks if len(check.columns) > 1 for c in check.columns}
    for unique in table.uniques:
        free = [c for c in unique.columns if c not in tied]
        taken: set[tuple[str, ...]] = set()
        for draft, row in zip(drafts, rows, strict=True):
            if any(row.get(c) is None for c in unique.columns):
                continue
            options = [(c, v) for c in free for v in draft.get(c, ())[1:] if v is not None]
            mark = tuple(str(row[c]) for c in unique.columns)
            while mark in taken and options:
                column, value = options.pop(0)
                other = row | {column: value}
                if tuple(str(other[c]) for c in unique.columns) not in taken:
                    row[column] = value
                    mark = tuple(str(row[c]) for c in unique.columns)
            taken.add(mark)


def _alone(table: Table) -> list[tuple[list[str], list[str], list[str]]]:
    """Collect the checks on one column only, per column."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for column in table.columns:
        quoted = '"' + column.name.replace('"', '""') + '"'
        for text in column.domain_checks:
            checks, names = found.setdefault(column.name, ([], []))
            checks.append(text.replace("VALUE", quoted))
            names.append(column.type)
    for check in table.checks:
        if len(check.columns) == 1:
            checks, names = found.setdefault(check.columns[0], ([], []))
            checks.append(check.expression)
            names.append(check.name)
    return [([name], checks, names) for name, (checks, names) in found.items()]


def _components(table: Table) -> list[tuple[list[str], list[str], list[str]]]:
    """Group the checks that share columns: (columns, expressions, constraint names)."""
    items: list[tuple[set[str], list[str], list[str]]] = [
        (set(check.columns), [check.expression], [check.name])
        for check in table.checks
        if len(check.columns) > 1
    ]
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


def _ask(
    conn: psycopg.Connection[Any],
    table: Table,
    drafts: Sequence[Draft],
    columns: list[str],
    checks: list[str],
    combos: list[list[tuple[Any, ...]]] | None = None,
) -> dict[int, list[int]]:
    """Return, per draft, the numbers of the combinations that satisfy every check, in order."""
    if combos is None:
        combos = [[(v,) for v in draft.get(columns[0], ())] for draft in drafts]
    options = [
        {"hx_row": index, "hx_try": number} | dict(zip(columns, combo, strict=True))
        for index, mine in enumerate(combos)
        for number, combo in enumerate(mine)
    ]
    shape = sql.SQL(", ").join(
        [sql.SQL("hx_row int, hx_try int")]
        + [sql.SQL("{} {}").format(sql.Identifier(c), _type(table.column(c))) for c in columns]
    )
    where = sql.SQL(" and ").join(sql.SQL("(({}) is not false)").format(sql.SQL(c)) for c in checks)
    out: dict[int, list[int]] = {}
    for row, number in _halve(conn, shape, where, options):
        out.setdefault(row, []).append(number)
    return out


def _halve(
    conn: psycopg.Connection[Any],
    shape: sql.Composable,
    where: sql.Composable,
    options: list[dict[str, Any]],
) -> list[tuple[Any, ...]]:
    """Ask about all options; when evaluating one raises an error, find it by halving."""
    # No parameters: a name or a check may hold what looks like a place for one.
    query = sql.SQL(
        "select hx_row, hx_try from pg_catalog.jsonb_to_recordset({}) as v({}) "
        "where {} order by hx_row, hx_try"
    ).format(sql.Literal(Jsonb(options)), shape, where)
    try:
        with conn.transaction():
            return conn.execute(query).fetchall()
    except psycopg.Error:
        if len(options) <= 1:
            return []
        middle = len(options) // 2
        return _halve(conn, shape, where, options[:middle]) + _halve(
            conn, shape, where, options[middle:]
        )


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
