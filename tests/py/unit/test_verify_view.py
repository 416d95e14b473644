"""The matrix stays readable on narrow and wide terminals."""

from __future__ import annotations

import pytest
from harmonia_cli.verify_view import closing, grid

from harmonia_py.isolation.finding import Coverage, NotJudged, Report
from harmonia_py.isolation.matrix import Matrix

PEOPLE = ("A.owner", "A.admin\nboth", "A.member", "A.viewer", "A.suspended\nstranger\nanon")
TABLES = ("public.activities", "public.custom_field_definitions", "crm.x", 'public."\n"')


def matrix(columns: int = 5, cell: str = "rcud") -> Matrix:
    actors = tuple(PEOPLE[n % 5] if n < 5 else f"A.role number {n}" for n in range(columns))
    return Matrix(actors, tuple((t, (cell,) * columns) for t in TABLES))


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("columns", [1, 5, 14, 40])
def test_no_name_is_cut_and_no_line_too_long(width: int, columns: int) -> None:
    shown = matrix(columns)
    lines = list(grid(shown, width))
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert all(any(line.split()[:1] == [n] for line in lines) for n in (
        "activities", "custom_field_definitions", "crm.x",
    ))  # fmt: skip
    assert "public." not in text
    for actors in shown.actors:
        for name in actors.split("\n"):
            assert name in text
    assert text.count("rcud") == 4 * columns


def test_people_stand_above_their_columns_where_they_fit() -> None:
    lines = list(grid(matrix(), 120))
    assert lines[0].split() == ["A.suspended"]
    assert lines[2].split() == ["table", "A.owner", "both", "A.member", "A.viewer", "anon"]
    assert lines[3].split() == ["activities", *["rcud"] * 5]
    assert lines[3].index("rcud") == lines[2].index("A.owner")


def test_a_legend_names_them_where_they_do_not() -> None:
    lines = list(grid(matrix(14), 80))
    assert lines[:2] == [" A  A.owner", " B  A.admin, both"]
    head = next(line for line in lines if line.startswith("table"))
    assert head.split()[:4] == ["table", "A", "B", "C"]


def test_the_closing_line_counts_every_state() -> None:
    report = Report(
        findings=(), cells=(), probes=7, seconds=1.24,
        coverage=(
            Coverage("a", "table", "proven"), Coverage("b", "table", "tested"),
            Coverage("c", "table", "not judged"),
        ),
        not_judged=(NotJudged("c", "why"), NotJudged("public.f()", "why")),
    )  # fmt: skip
    assert closing(report) == "1 proven, 1 tested, 0 locked, 2 not judged; 7 probes in 1.2 s"
