"""How the benchmark counts: nothing is detected by silence, by noise or by the wrong object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from isolation_bench import peer_tools, peers
from isolation_bench.__main__ import main
from isolation_bench.actors import claims_of, substitute
from isolation_bench.measure import Verdict, channels, clean_result, judge, table
from isolation_bench.result import Result
from isolation_bench.variants import Variant, parse, variants

from harmonia_py.engines import Database


def a_variant(kind: str, obj: str = "public.notes") -> Variant:
    return Variant("helpdesk", kind, "x", "read", obj, "It leaks.", "select 1", (), "rows")


def a_verdict(exit_code: int, *findings: dict[str, Any]) -> Verdict:
    return Verdict(exit_code, 1.0, findings, (), "")


OLD = {"id": "HX-1", "object": "public.tags", "title": "old"}
NEW = {"id": "HX-2", "object": "public.notes", "title": "new"}
ELSEWHERE = {"id": "HX-3", "object": "public.tags", "title": "elsewhere"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--only", "no such leak"], "no variant has no such leak in its id"),
        (["measure", "--schema", "fleet", "--only", "helpdesk/"], "no variant has helpdesk/"),
        (["measure", "--jobs", "0"], "0 is less than 1"),
        (["peers", "--tool", "nobody"], "invalid choice: 'nobody'"),
        (["validate", "--only", "x"], "unrecognized arguments"),
    ],
)
def test_a_run_of_nothing_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_what_is_chosen_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    name = next(variants(schema="fleet")).id
    assert main(["list", "--only", name]) == 0
    assert name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verdict", "detected"),
    [
        (a_verdict(5, OLD, NEW), True),
        (a_verdict(3, OLD, NEW), False),  # a leak is not a mere over-restriction
        (a_verdict(5, OLD), False),  # said on the clean schema as well
        (a_verdict(5, OLD, ELSEWHERE), False),  # about something nobody touched
        (a_verdict(0), False),
        (a_verdict(-1), False),
    ],
)
def test_a_leak_needs_exit_5_and_a_new_finding_about_it(verdict: Verdict, detected: bool) -> None:
    assert judge(a_variant("leaks"), a_verdict(0, OLD), verdict).signalled is detected


def test_a_helper_is_named_through_what_it_protects() -> None:
    helper = a_variant("leaks", "private.is_member")
    assert judge(helper, a_verdict(0), a_verdict(5, ELSEWHERE)).signalled


@pytest.mark.parametrize(("exit_code", "detected"), [(3, True), (5, True), (0, False), (1, False)])
def test_an_over_restriction_needs_exit_3_or_5(exit_code: int, detected: bool) -> None:
    verdict = judge(a_variant("restrictions"), a_verdict(0), a_verdict(exit_code, NEW))
    assert verdict.signalled is detected


@pytest.mark.parametrize(
    ("verdict", "alarm"),
    [(a_verdict(0), False), (a_verdict(3, NEW), True), (a_verdict(1), True), (a_verdict(-1), True)],
)
def test_anything_new_on_a_harmless_change_is_an_alarm(verdict: Verdict, alarm: bool) -> None:
    assert judge(a_variant("harmless"), a_verdict(0), verdict).signalled is alarm


def test_the_clean_schema_must_exit_0() -> None:
    assert clean_result("helpdesk", a_verdict(1)).signalled
    assert not clean_result("helpdesk", a_verdict(0)).signalled


def test_tables_count_what_they_are_given() -> None:
    results = [
        clean_result("helpdesk", a_verdict(0)),
        judge(a_variant("leaks"), a_verdict(0), a_verdict(5, NEW)),
        judge(a_variant("leaks"), a_verdict(0), a_verdict(0)),
        judge(a_variant("harmless"), a_verdict(0), a_verdict(0)),
    ]
    assert "| helpdesk | 0 | 1 of 2 | 0 of 0 | 0 of 1 | 1.0 (1.0) | 1.0 (1.0) |" in table(results)
    assert "| read | 1 of 2 |" in channels(results)


def test_a_gate_that_is_red_on_correct_code_guards_nothing() -> None:
    def result(kind: str, *, gate: bool) -> Result:
        return Result("tool", "helpdesk", kind, "x", "read", True, gate, 1, 2.0, 1)

    text = peers.table([result("clean", gate=True), result("leaks", gate=False)])
    assert "| tool | 1 of 1 | 0 of 1 | 0 of 0 | 0 of 0 | 0 of 1 | 1 | 2.0 (2.0) | 0 |" in text


def test_a_new_table_keeps_the_lines_of_tools_that_were_not_run_again() -> None:
    def result(tool: str, *, signalled: bool) -> Result:
        return Result(tool, "helpdesk", "leaks", "x", "read", signalled, False, 1, 2.0, 1)

    both = [result("harmonia", signalled=False), result("other", signalled=False)]
    page = f"# Title\n\n{peers.table(both)}\nand more\n"
    text = peers.with_others(peers.table([result("harmonia", signalled=True)]), page)
    assert [line.split("|")[1:3] for line in text.splitlines()[2:]] == [
        [" harmonia ", " 1 of 1 "],
        [" other ", " 0 of 1 "],
    ]


def test_a_comparison_goes_on_where_it_ended_and_repeats_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "peers.json"
    done = Result("pgrls lint", "helpdesk", "leaks", "x", "read", True, False, 1, 2.0, 0, "", "m1")
    first = peers.Ledger(path, deadline=float("inf"))
    first.add(done)
    first.close()
    again = peers.Ledger(path, deadline=float("inf"))
    assert again.results() == [done]
    assert again.has("pgrls lint", "helpdesk/leaks/x", "m1")
    assert not again.has("pgrls lint", "helpdesk/leaks/x", "m2")  # another patch, another version
    assert not again.has("rlsgrid", "helpdesk/leaks/x", "m1")


def test_no_run_begins_after_the_time_is_up() -> None:
    late, early = peers.Ledger(None, deadline=0.0), peers.Ledger(None, deadline=float("inf"))
    assert late.is_late()
    assert late.left == 1
    assert not early.is_late()
    assert early.left == 0


def test_peers_in_a_folder_named_from_here_are_found_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tools" / "pgrls" / "bin" / "pgrls"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$1 in $PWD"\n')
    program.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(tmp_path)
    url = "postgresql://postgres:secret@127.0.0.1:5432/db"
    target = peer_tools.Target(Database("db", "embedded", 180000, url), work / "snapshot", work)
    answer = peer_tools.Peers(Path("tools")).call("pgrls", target, "lint")
    assert answer == (0, f"lint in {work}\n", "")


def test_a_variant_without_proof_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "leaks" / "x.sql"
    path.parent.mkdir()
    path.write_text("-- channel: read\n-- object: public.x\n-- says: No proof.\nselect 1;\n")
    with pytest.raises(ValueError, match="no proof"):
        parse(path)


def test_every_variant_names_known_people() -> None:
    for variant in variants():
        for step in variant.steps:
            assert claims_of(step.actor, {}, step.changes) is not None, variant.id


def test_names_become_ids_but_casts_and_times_do_not() -> None:
    assert substitute("select :alice") == "select 'a0000001-0000-4000-8000-000000000000'::uuid"
    assert substitute("x::date, '10:adam'") == "x::date, '10:adam'"
    assert substitute("'{org_a}/f'") == "'aaaaaaaa-0000-4000-8000-000000000000/f'"
