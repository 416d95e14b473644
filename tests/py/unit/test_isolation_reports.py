"""Reports say what the verdict says, and hostile names stay text."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from harmonia_py.errors import BaselineError
from harmonia_py.isolation import reports
from harmonia_py.isolation.finding import Cell, Coverage, Finding, NotJudged, Report
from harmonia_py.isolation.verdict.baseline import load_baseline
from harmonia_py.isolation.verdict.places import locate, places

HOSTILE = 'public."<script>alert(1)</script>"\n::error::%25'


def finding(rule: str = "cross_tenant", kind: str = "breach", obj: str = "public.notes") -> Finding:
    return Finding(
        id=Finding.identify(rule, obj), rule=rule, kind=kind, severity="critical",  # type: ignore[arg-type]
        title=f"{obj} leaks", object=obj, commands=("select",), actors=("A.owner",),
        evidence=("A.owner saw 1 row of B",), why="because", fix="do this",
        script="begin;\nselect 1;\nrollback;\x00",
    )  # fmt: skip


def report(*found: Finding, errors: tuple[Finding, ...] = ()) -> Report:
    return Report(
        findings=found,
        errors=errors,
        cells=(
            Cell("public.notes", "select", "A.owner", "own", "allow", "allow"),
            Cell("public.notes", "select", "A.owner", "foreign", "deny", "allow"),
        ),
        coverage=(
            Coverage("public.notes", "table", "tested", 4, ("select",)),
            Coverage("public.tags", "table", "proven", 4, ("select",)),
            Coverage("public.odd", "table", "not judged", 0, (), "no rows"),
        ),
        not_judged=(NotJudged("public.odd", "no rows"),),
        server="180006",
    )


def test_junit_counts_findings_as_failures_and_unknown_as_skipped() -> None:
    suite = Xml.fromstring(reports.junit(report(finding()))).find("testsuite")
    assert suite is not None
    assert suite.attrib | {"time": ""} == {
        "name": "harmonia verify", "tests": "3", "failures": "1", "errors": "0", "skipped": "1",
        "time": "",
    }  # fmt: skip
    names = [case.get("name") for case in suite]
    assert "public.notes is tested" not in names, "a relation with a finding does not also pass"
    clean = Xml.fromstring(reports.junit(report())).find("testsuite")
    assert clean is not None and clean.get("failures") == "0"


def test_hostile_names_stay_text() -> None:
    bad = report(finding(obj=HOSTILE))
    Xml.fromstring(reports.junit(bad))
    page = reports.html(bad)
    assert "<script>" not in page and "&lt;script&gt;" in page
    lines = reports.github(bad).splitlines()
    assert len(lines) == 2 and lines[0].startswith("::error title=")


def test_github_points_at_the_line_and_tells_breaches_from_remarks() -> None:
    known = {"public.notes": ("supabase/migrations/1_a.sql", 7)}
    lines = reports.github(report(finding(), finding("slow", "denied")), known).splitlines()
    assert lines[0].startswith("::error file=supabase/migrations/1_a.sql,line=7,title=")
    assert lines[1].startswith("::warning file=")


def test_the_page_is_self_contained() -> None:
    page = reports.html(report(finding()))
    assert (
        "1 isolation breach<" in page
        and "src=" not in page
        and "http" not in page.replace("http-equiv", "")
    )
    assert "No tenant reaches another" in reports.html(report())
    unknown = reports.html(report(errors=(finding("seed", "error"),)))
    assert "No verdict" in unknown and "No tenant reaches another" not in unknown


def test_places_find_the_last_definition(tmp_path: Path) -> None:
    first, second = tmp_path / "1.sql", tmp_path / "2.sql"
    first.write_text("\ncreate table public.notes (id int);\ncreate function f(a int) returns int")
    second.write_text(
        'CREATE OR REPLACE FUNCTION\n  "app" . "F g"(a int)\ncreate table tags (id int)'
    )
    found = places(tmp_path, [first, second])
    assert found["public.notes"] == ("1.sql", 2)
    assert found["app.F g"] == ("2.sql", 2)
    assert found["public.tags"] == ("2.sql", 3)
    assert locate(found, "public.f(integer)") == ("1.sql", 3)


def entry(identity: str, until: str = "2027-01-31") -> str:
    return f'[[accept]]\nid = "{identity}"\nreason = "public by design"\nuntil = {until}\n'


def test_a_baseline_accepts_by_id_until_a_day(tmp_path: Path) -> None:
    leak = finding()
    path = tmp_path / "baseline.toml"
    path.write_text(entry(leak.id) + entry("HX-0000000000"))
    baseline = load_baseline(path)
    kept, remarks = baseline.apply(report(leak), today=date(2027, 1, 31))
    assert (kept.findings, kept.exit_code()) == ((), 0)
    assert remarks == ["HX-0000000000 matches no finding"]
    late, remarks = baseline.apply(report(leak), today=date(2027, 2, 1))
    assert (late.findings, late.exit_code()) == ((leak,), 5)
    assert any("ran out" in remark for remark in remarks)


def test_errors_cannot_be_accepted(tmp_path: Path) -> None:
    unknown = finding("seed", "error")
    path = tmp_path / "baseline.toml"
    path.write_text(entry(unknown.id))
    kept, _ = load_baseline(path).apply(report(errors=(unknown,)), today=date(2026, 12, 1))
    assert kept.exit_code() == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[accept]]\nid = 'a'\nuntil = 2027-01-31", "needs reason"),
        ("[[accept]]\nid = 'a'\nreason = ' '\nuntil = 2027-01-31", "needs reason"),
        ("[[accept]]\nid = 'a'\nreason = 'b'", "needs until"),
        ("[[accept]]\nid = 'a'\nreason = 'b'\nuntil = 2027-01-31T00:00:00Z", "needs until"),
        ("accept = 3", "must be a list"),
        ("[[accept", "not valid TOML"),
    ],
)
def test_a_wrong_baseline_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text(text)
    with pytest.raises(BaselineError, match=message):
        load_baseline(path)
