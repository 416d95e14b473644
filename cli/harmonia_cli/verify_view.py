"""How ``harmonia verify`` prints a verdict on a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harmonia_cli.output import stdout

if TYPE_CHECKING:
    from harmonia_py.isolation.finding import Finding, Report
    from harmonia_py.isolation.matrix import Matrix
    from harmonia_py.isolation.source import Source

__all__ = ["closing", "grid", "show"]

_GAP = 2
_LEGEND = (
    "r read  c create  u update  d delete  - nothing  (empty) not tried  ! another tenant's rows"
)
_STATES = ("proven", "tested", "locked", "not judged")


def show(report: Report, target: Source) -> None:
    """Print the matrix, the findings, what was not judged, and the verdict."""
    from rich.text import Text

    from harmonia_py.isolation.matrix import matrix

    shown = matrix(report)
    if shown.rows:
        stdout.print("Who can do what", style="bold")
        for line in grid(shown, stdout.width):
            text = Text(line, no_wrap=True)
            text.highlight_regex(r"(?<=\s)[rcud!]*![rcud!]*(?=\s|$)", "red")
            stdout.print(text)
        stdout.print(_LEGEND, style="dim", highlight=False)
    for item in (*report.findings, *report.errors):
        _finding(item)
    for name, reason in _not_judged(report):
        stdout.print("not judged", style="yellow", end=" ")
        stdout.print(f"{name}: {reason}", highlight=False)
    for name in report.stand_ins:
        stdout.print(f"stand-in: {name}", style="dim", highlight=False)
    for remedy in target.remedied:
        stdout.print(f"remedied: {remedy}", style="dim", highlight=False)
    for failed in target.unapplied:
        stdout.print("not applied", style="red", end=" ")
        stdout.print(f"{failed.file}:{failed.line}: {failed.reason}", highlight=False)
    if report.safe:
        stdout.print("isolated", style="green", end=": ")
    elif report.findings:
        count = len(report.findings)
        stdout.print(f"{count} finding{'' if count == 1 else 's'}", style="red", end=": ")
    else:
        stdout.print("no verdict", style="red", end=": ")
    stdout.print(f"{closing(report)} ({target.label})", highlight=False)


def _not_judged(report: Report) -> Iterator[tuple[str, str]]:
    """Name what has no verdict: what probes gave up on, and relations without rows."""
    errors = {name for error in report.errors for name in error.members}
    seen = {left.object for left in report.not_judged} | errors
    yield from ((left.object, left.reason) for left in report.not_judged)
    for item in report.coverage:
        if item.status == "not judged" and item.table not in seen:
            yield item.table, item.reason


def closing(report: Report) -> str:
    """Return the counts: ``31 proven, 8 tested, 2 locked, 0 not judged; 9216 probes in 5.1 s``.

    The relations are counted, and beside them whatever else was not judged.
    """
    counts = dict.fromkeys(_STATES, 0)
    for item in report.coverage:
        counts[item.status] = counts.get(item.status, 0) + 1
    relations = {c.table for c in report.coverage}
    counts["not judged"] += sum(1 for n in report.not_judged if n.object not in relations)
    parts = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"{parts}; {report.probes} probes in {report.seconds:.1f} s"


def grid(matrix: Matrix, width: int) -> Iterator[str]:
    """Lay the matrix out in lines of at most ``width`` characters, names uncut.

    Where the people's names do not fit above their columns, columns are lettered and a legend
    comes first; where even that is too wide, the columns continue below.
    """
    names = [_short(table) for table, _ in matrix.rows]
    first = max(len(n) for n in [*names, "table"])
    heads = [actors.split("\n") for actors in matrix.actors]
    if first + sum(_GAP + _width(matrix, n, h) for n, h in enumerate(heads)) > width:
        heads = [[_letter(n)] for n in range(len(heads))]
        for (letter,), actors in zip(heads, matrix.actors, strict=True):
            yield from _folded(letter, actors.split("\n"), width)
        yield ""
    start = 0
    while start < len(heads):
        end, used = start, first
        while end < len(heads) and (
            end == start or used + _GAP + _width(matrix, end, heads[end]) <= width
        ):
            used += _GAP + _width(matrix, end, heads[end])
            end += 1
        yield from _block(matrix, names, first, heads, range(start, end))
        start = end
        if start < len(heads):
            yield ""


def _block(
    matrix: Matrix, names: list[str], first: int, heads: list[list[str]], columns: range
) -> Iterator[str]:
    widths = {n: _width(matrix, n, heads[n]) for n in columns}
    deep = max(len(heads[n]) for n in columns)
    for level in range(deep):
        # Heads stand on the line above the cells, however many names they hold.
        left = "table" if level == deep - 1 else ""
        cells = []
        for n in columns:
            skip = deep - len(heads[n])
            cells.append((heads[n][level - skip] if level >= skip else "").ljust(widths[n]))
        yield _join(left.ljust(first), cells)
    for name, (_, cells_) in zip(names, matrix.rows, strict=True):
        yield _join(name.ljust(first), [cells_[n].ljust(widths[n]) for n in columns])


def _join(left: str, cells: list[str]) -> str:
    return (" " * _GAP).join([left, *cells]).rstrip()


def _width(matrix: Matrix, column: int, head: list[str]) -> int:
    return max(len(text) for text in [*head, *(cells[column] for _, cells in matrix.rows)])


def _folded(letter: str, actors: list[str], width: int) -> Iterator[str]:
    line = f"{letter.rjust(2)} "
    for n, actor in enumerate(actors):
        part = actor + ("," if n < len(actors) - 1 else "")
        if len(line) + 1 + len(part) > width and line.strip() not in ("", letter):
            yield line
            line = "   "
        line += f" {part}"
    yield line


def _letter(number: int) -> str:
    letter = chr(ord("A") + number % 26)
    return letter if number < 26 else f"{chr(ord('A') + number // 26 - 1)}{letter}"


def _short(table: str) -> str:
    # A line break in a name would break the grid.
    return " ".join(table.removeprefix("public.").split())


def _finding(item: Finding) -> None:
    colour = "red" if item.is_breach else "yellow"
    stdout.print()
    stdout.print(item.severity, style=colour, end=" ")
    stdout.print(item.id, end=" ")
    stdout.print(item.title, highlight=False)
    for label, text in (("why", item.why), ("fix", item.fix)):
        stdout.print(f"  {label}: {text}", highlight=False)
    for line in item.evidence[:3]:
        stdout.print(f"  seen: {line}", highlight=False)
