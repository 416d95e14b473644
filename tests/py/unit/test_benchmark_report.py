"""Figures go between the marks of their section and nowhere else."""

import argparse
import re
import sys
from pathlib import Path

import pytest

from benchmarks import postgres, report
from harmonia_py.engines import binaries

ROOT = Path(__file__).resolve().parents[3]
PAGE = (
    "before\n<!-- a -->\n\nold\n\n<!-- end of a -->\nbetween\n<!-- b -->\n<!-- end of b -->\nend\n"
)


def test_only_the_named_section_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    report.keep("a", "new\n", page)
    assert page.read_text() == PAGE.replace("old", "new")
    report.keep("a", "new", page)
    assert page.read_text() == PAGE.replace("old", "new"), "writing twice changes nothing"


@pytest.mark.parametrize(
    "text",
    [
        "no marks",
        "<!-- a --> without its end",
        "<!-- end of a --> <!-- a -->",
        "<!-- a --> <!-- end of a --> <!-- a --> <!-- end of a -->",
    ],
)
def test_a_page_without_the_section_is_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="one section"):
        report.keep("a", "new", page)
    assert page.read_text() == text


def test_published_figures_are_printed_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    parser = argparse.ArgumentParser()
    report.add_option(parser)
    assert parser.parse_args([]).into is None
    into = parser.parse_args(["--into", str(page)]).into
    report.publish("b", report.table(("x", "y"), [(1, "2 x")]), into)
    wanted = "| x | y |\n| --- | --- |\n| 1 | 2 x |\n"
    assert wanted in capsys.readouterr().out
    assert wanted in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rounds", "0"], "0 is less than 1"),
        (["--rounds", "many"], "many is no whole number from 1 on"),
        (["--into", "nowhere/page.md"], "there is no page nowhere/page.md"),
    ],
)
def test_what_cannot_be_measured_or_kept_is_refused_before(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=report.at_least_one, default=5)
    report.add_option(parser)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert parser.parse_args(["--rounds", "1"]).rounds == 1


def test_the_command_is_named_without_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["x.py", "--rows", "5", "--into", "page.md", "--quick"])
    line = report.made_by("PostgreSQL 18.6")
    assert "--rows 5 --quick`: PostgreSQL 18.6, " in line
    assert "page.md" not in line


def test_every_mark_of_the_documentation_has_its_end() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    seen = 0
    for page in pages:
        text = page.read_text(encoding="utf-8")
        begun = re.findall(r"<!-- (?!end of )([\w-]+) -->", text)
        assert begun == re.findall(r"<!-- end of ([\w-]+) -->", text), page
        seen += len(begun)
    assert seen


def test_programs_that_are_not_there_end_a_benchmark_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = argparse.ArgumentParser()
    postgres.add_option(parser)
    monkeypatch.delenv("HARMONIA_PG_BIN", raising=False)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--pg-bin", str(tmp_path)])
    assert isinstance(ended.value.code, str)  # what Python writes to stderr; the exit code is 1
    assert str(tmp_path) in ended.value.code and "\n" not in ended.value.code
    assert parser.parse_args([]).pg_bin is None
    there = binaries.find().bin_dir
    assert parser.parse_args(["--pg-bin", str(there)]).pg_bin == there
    monkeypatch.setenv("HARMONIA_PG_BIN", str(tmp_path))
    with pytest.raises(SystemExit, match=str(tmp_path)):
        parser.parse_args([])
