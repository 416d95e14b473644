"""The matrix a person reads: one line per table, one column per actor."""

from __future__ import annotations

from dataclasses import dataclass

from harmonia_py.isolation.finding import Report

__all__ = ["Matrix", "matrix"]

_LETTERS = {"select": "r", "insert": "c", "update": "u", "delete": "d"}


@dataclass(frozen=True, slots=True)
class Matrix:
    """``actors`` heads a column: those who can do the same, a name a line.

    ``rows`` are (table, one text per actor): letters for what is allowed, ``!`` foreign;
    ``-`` is nothing, and an empty text says that this actor did not try this table.
    """

    actors: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def matrix(report: Report) -> Matrix:
    """Fold the cells of a report."""
    actors = tuple(dict.fromkeys(c.actor for c in report.cells))
    tables = tuple(dict.fromkeys(c.table for c in report.cells))
    found: dict[tuple[str, str], dict[str, str]] = {}
    tried: set[tuple[str, str]] = set()
    for cell in report.cells:
        tried.add((cell.table, cell.actor))
        if cell.actual != "allow":
            continue
        mark = _LETTERS.get(cell.command, "?") + ("!" if not cell.ok else "")
        place = found.setdefault((cell.table, cell.actor), {})
        if len(mark) > len(place.get(cell.command, "")):
            place[cell.command] = mark
    columns: dict[tuple[str, ...], list[str]] = {}
    for actor in actors:
        column = tuple(_text(found, tried, table, actor) for table in tables)
        columns.setdefault(column, []).append(actor)
    # People who can do exactly the same share a column, so that the matrix stays readable.
    actors = tuple(names[0] for names in columns.values())
    heads = tuple("\n".join(names) for names in columns.values())
    rows = tuple(
        (table, tuple(_text(found, tried, table, actor) for actor in actors)) for table in tables
    )
    return Matrix(heads, rows)


def _text(
    found: dict[tuple[str, str], dict[str, str]],
    tried: set[tuple[str, str]],
    table: str,
    actor: str,
) -> str:
    marks = found.get((table, actor), {})
    allowed = "".join(marks[c] for c in _LETTERS if c in marks)
    return allowed or ("-" if (table, actor) in tried else "")
