"""Values made of the constants of a policy: of the column's type, few, and the likeliest first."""

from __future__ import annotations

from typing import Any

import pytest

from harmonia_py.isolation.catalog import Column
from harmonia_py.isolation.suggestions import suggestions


def column(base: str, category: str, **more: Any) -> Column:
    return Column("c", 1, base, base, category, not_null=False, **more)


@pytest.mark.parametrize(
    ("base", "category", "constants", "wanted"),
    [
        ("text", "S", ["demo%"], "demo"),
        ("text", "S", ["^x.*$"], "x"),
        ("text", "S", ["3"], "xxx"),
        ("text", "S", ["@acme.example"], "hzw@acme.example"),
        ("numeric", "N", ["100"], 99),
        ("numeric", "N", ["0.5"], 1.5),
        ("integer", "N", [], 0),
        ("text[]", "A", ["public"], ["public"]),
        ("jsonb", "U", ['{"public": true}'], {"public": True}),
        ("jsonb", "U", ["{a,b}"], {"a": {"b": True}}),
        ("jsonb", "U", ["kind", "x"], {"kind": "x"}),
        ("date", "D", ["2030-05-06"], "2030-05-06T00:00:00"),
    ],
)
def test_what_is_suggested(base: str, category: str, constants: list[str], wanted: object) -> None:
    assert wanted in suggestions(column(base, category), constants)


def test_an_enumerated_type_has_its_labels() -> None:
    assert suggestions(column("mood", "E", labels=("low", "high")), ["x"]) == ["low", "high"]


@pytest.mark.parametrize(("base", "category"), [("bytea", "U"), ("uuid", "U"), ("inet", "I")])
def test_nothing_is_made_up_for_other_types(base: str, category: str) -> None:
    assert suggestions(column(base, category), ["1", "x"]) == []


def test_they_are_few_and_different() -> None:
    found = suggestions(column("text", "S"), [f"w{n}" for n in range(50)] * 2)
    assert len(found) == len(set(found)) == 32


def test_texts_that_are_no_dates_are_passed_over() -> None:
    assert len(suggestions(column("date", "D"), ["soon", "9999-12-31", "0001-01-01"])) >= 5
