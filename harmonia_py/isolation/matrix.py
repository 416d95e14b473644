"""The matrix a person reads: one line per table, one column per actor."""

from __future__ import annotations

from dataclasses import dataclass

from harmonia_py.isolation.finding import Report

__all__ = ["Matrix", "matrix"]

_LETTERS = {"select": "r", "insert": "c", "update": "u", "delete": "d"}


@dataclass(frozen=True, slots=True)
class Matrix:
    """``actors`` heads a column: those who can do the same, a name a line.

    ``rows`` are (table, one text per actor): letters for what is allowed, ``!`` foreign.
    """

    actors: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def matrix(report: Report) -> Matrix:
    """Fold the cells of a report."""
    actors = tuple(dict.fromkeys(c.actor for c in report.cells))
    tables = tuple(dict.fromkeys(c.table for c in report.cells))
    found: dict[tuple[str, str], dict[str, str]] = {}
    for cell in report.cells:
        if cell.actual != "allow":
            continue
        mark = _LETTERS.get(cell.command, "?") + ("!" if not cell.ok else "")
        place = found.setdefault((cell.table, cell.actor), {})
        if len(mark) > len(place.get(cell.command, "")):
            place[cell.command] = mark
    columns: dict[tuple[str, ...], list[str]] = {}
    for actor in actors:
        column = tuple(
            "".join(v for _, v in sorted(found.get((t, actor), {}).items())) for t in tables
        )
        columns.setdefault(column, []).append(actor)
    # People who can do exactly the same share a column, so that the matrix stays readable.
    actors = tuple(names[0] for names in columns.values())
    heads = tuple("\n".join(names) for names in columns.values())
    rows = []
    for table in tables:
        texts = []
        for actor in actors:
            marks = found.get((table, actor), {})
            texts.append("".join(marks[c] for c in _LETTERS if c in marks) or "-")
        rows.append((table, tuple(texts)))
    return Matrix(heads, tuple(rows))
