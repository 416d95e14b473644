"""SARIF output against the schema of the standard."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema
import pytest
from fix_npm import missing, npm_package

from harmonia_py.isolation import reports
from harmonia_py.isolation.finding import Finding, Report

PACKAGE, VERSION = "@microsoft/jest-sarif", "1.0.0-beta.0"


@cache
def schema() -> Any:
    modules = npm_package("sarif-schema", PACKAGE, VERSION, "--ignore-scripts", "--no-optional")
    if modules is None:
        missing(f"no SARIF schema: install npm, which fetches {PACKAGE}")
    path = modules / PACKAGE / "lib" / "schemas" / "sarif-2.1.0-rtm.5.json"
    return json.loads(path.read_text(encoding="utf-8"))


def problems(log: Any) -> list[str]:
    validator = jsonschema.validators.validator_for(schema())(schema())
    return [f"{e.json_path}: {e.message[:200]}" for e in validator.iter_errors(log)]


def finding(number: int, kind: str, severity: str, obj: str) -> Finding:
    return Finding(
        id=Finding.identify(kind, obj), rule=f"rule.{number}", kind=kind, severity=severity,  # type: ignore[arg-type]
        title=f"{obj} leaks", object=obj, commands=("select",), actors=("A.owner",),
        evidence=("seen \u2028 <b>&amp;", "\x00"), why="because", fix="", script="begin;",
    )  # fmt: skip


FULL = Report(
    findings=(
        finding(1, "breach", "critical", "public.notes"),
        finding(1, "breach", "high", 'public."<i>\n,:%"'),
        finding(2, "denied", "medium", "public.notes"),
        finding(3, "oracle", "low", "public.f(integer)"),
    ),
    errors=(finding(4, "error", "high", "public.odd"),),
    cells=(), coverage=(),
)  # fmt: skip


@pytest.mark.parametrize("report", [FULL, Report(findings=(), cells=(), coverage=())])
@pytest.mark.parametrize("places", [{}, {"public.notes": ("supabase/migrations/1 a.sql", 7)}])
def test_what_we_write_is_sarif(report: Report, places: dict[str, tuple[str, int]]) -> None:
    log = json.loads(reports.sarif(report, places))
    assert problems(log) == []
    results = log["runs"][0]["results"]
    assert len(results) == len((*report.findings, *report.errors))
    if results and places:
        place = results[0]["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "supabase/migrations/1%20a.sql"
        assert place["region"]["startLine"] == 7


@pytest.mark.parametrize(
    "spoil",
    [
        lambda log: log["runs"][0]["results"][0].update(level="fatal"),
        lambda log: log["runs"][0]["tool"].pop("driver"),
        lambda log: log["runs"][0]["results"][0].pop("message"),
        lambda log: log["runs"][0]["results"][0].update(location=[]),
        lambda log: log["runs"][0]["tool"]["driver"]["rules"][0].pop("id"),
    ],
)
def test_the_schema_refuses_what_is_not(spoil: Any) -> None:
    log = json.loads(reports.sarif(FULL))
    spoil(log)
    assert problems(log)


def test_every_result_names_a_rule_that_is_there() -> None:
    (run,) = json.loads(reports.sarif(FULL))["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in run["results"]} == rules
    prints = [result["partialFingerprints"]["harmonia/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
