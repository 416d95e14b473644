"""Compile, check, status and diff: what the carrier says is what the sources say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harmonia_py import migrations, policies, project
from harmonia_py.engines import Database, Engine
from harmonia_py.errors import PoliciesStale
from harmonia_py.migrations import read_folder
from harmonia_py.policies import carrier
from harmonia_py.project import Project

A = "call private.lock_down('public.a');\n"
B = "call private.lock_down('public.b');\n"
GRANT = "grant select on table public.a to authenticated;\n"


@pytest.fixture
def ours(tmp_path: Path) -> Project:
    supabase = tmp_path / "supabase"
    (supabase / "policies").mkdir(parents=True)
    (supabase / "migrations").mkdir()
    foundation = Path(__file__).resolve().parents[3] / "supabase" / "migrations"
    name = "20261101000100_foundation.sql"
    (supabase / "migrations" / name).write_bytes((foundation / name).read_bytes())
    (supabase / "migrations" / "20261101000200_tables.sql").write_text(
        "create table public.a (id int); call private.lock_down('public.a');\n"
        "create table public.b (id int); call private.lock_down('public.b');\n"
    )
    (supabase / "policies" / "10_a.sql").write_text(A)
    (supabase / "policies" / "20_b.sql").write_text(B)
    return project.find(supabase)


def compile_(ours: Project, *, amend: bool = False) -> policies.Compiled:
    return policies.compile_(ours.policies, ours.migrations, amend=amend)


def found(ours: Project) -> list[str]:
    return [item.migration.path.name for item in carrier.carriers(files(ours))]


def files(ours: Project) -> tuple[migrations.Migration, ...]:
    return read_folder(ours.migrations).migrations


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t.example", *arguments],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


def test_only_what_changed_is_written_and_the_header_names_all(ours: Project) -> None:
    first = compile_(ours)
    assert first.changed == ("10_a.sql", "20_b.sql")
    assert compile_(ours).path is None
    (ours.policies / "10_a.sql").write_text(A + GRANT)
    with pytest.raises(PoliciesStale, match=r"10_a\.sql"):
        policies.check(ours.policies, ours.migrations)
    second = compile_(ours)
    assert second.changed == ("10_a.sql",) and second.path and first.path
    assert second.path.name > first.path.name
    text = second.path.read_text()
    assert GRANT in text and B not in text and "20_b.sql sha256:" in text
    assert "set local lock_timeout = '4s';" in text
    assert set(policies.check(ours.policies, ours.migrations)) == {"10_a.sql", "20_b.sql"}


def test_a_removed_file_leaves_the_header(ours: Project) -> None:
    compile_(ours)
    (ours.policies / "20_b.sql").unlink()
    with pytest.raises(PoliciesStale, match=r"20_b\.sql"):
        policies.check(ours.policies, ours.migrations)
    compile_(ours)
    assert set(policies.check(ours.policies, ours.migrations)) == {"10_a.sql"}


def test_windows_line_endings_are_the_same_file(ours: Project) -> None:
    compile_(ours)
    (ours.policies / "10_a.sql").write_bytes(A.replace("\n", "\r\n").encode())
    policies.check(ours.policies, ours.migrations)


def test_an_edited_carrier_is_found_and_healed(ours: Project) -> None:
    path = compile_(ours).path
    assert path
    path.write_text(path.read_text() + "grant select on table public.b to anon;\n")
    with pytest.raises(PoliciesStale, match=r"by hand: 20_b\.sql"):
        policies.check(ours.policies, ours.migrations)
    assert compile_(ours).changed == ("20_b.sql",)
    policies.check(ours.policies, ours.migrations)


def test_amend_keeps_one_carrier_that_sorts_last(ours: Project) -> None:
    first = compile_(ours)
    (ours.policies / "10_a.sql").write_text(A + GRANT)
    second = compile_(ours, amend=True)
    assert second.path == first.path and found(ours) == [second.path.name if second.path else ""]
    assert compile_(ours, amend=True).path is None
    (ours.migrations / "29990101000000_later.sql").write_text("select 1;")
    third = compile_(ours, amend=True)
    assert found(ours) == ["29990101000001_policies.sql"]
    assert third.changed == ("10_a.sql", "20_b.sql")
    policies.check(ours.policies, ours.migrations)


def test_two_branches_that_both_compiled_are_named_and_healed(ours: Project) -> None:
    compile_(ours)
    (ours.policies / "10_a.sql").write_text(A + GRANT)
    mine = compile_(ours).path
    assert mine
    kept = mine.read_text()
    mine.unlink()
    (ours.policies / "10_a.sql").write_text(A)
    (ours.policies / "20_b.sql").write_text(B + "grant select on public.b to authenticated;\n")
    theirs = compile_(ours).path
    assert theirs
    (theirs.parent / f"{int(theirs.name.split('_')[0]) - 1}_policies.sql").write_text(kept)
    (ours.policies / "10_a.sql").write_text(A + GRANT)  # the merge has both sources
    with pytest.raises(PoliciesStale, match=r"10_a\.sql"):
        policies.check(ours.policies, ours.migrations)
    assert compile_(ours).path
    policies.check(ours.policies, ours.migrations)


@pytest.mark.parametrize("how", ["tag", "upstream"])
def test_amend_refuses_what_others_may_have_applied(
    ours: Project, tmp_path_factory: pytest.TempPathFactory, how: str
) -> None:
    compile_(ours)
    git(ours.root, "init", "-q", "-b", "main")
    git(ours.root, "add", ".")
    git(ours.root, "commit", "-qm", "first")
    (ours.policies / "10_a.sql").write_text(A + GRANT)
    compile_(ours, amend=True)  # committed here only: still ours to replace
    assert len(found(ours)) == 1
    git(ours.root, "commit", "-qam", "second")
    if how == "tag":
        git(ours.root, "tag", "v1.0.0")
    else:
        remote = tmp_path_factory.mktemp("remote")
        git(remote, "init", "-q", "--bare")
        git(ours.root, "remote", "add", "origin", str(remote))
        git(ours.root, "push", "-q", "-u", "origin", "main")
    (ours.policies / "10_a.sql").write_text(A)
    with pytest.raises(PoliciesStale, match="upstream branch or in a release"):
        compile_(ours, amend=True)
    assert len(found(ours)) == 1
    compile_(ours)
    assert len(found(ours)) == 2
    (ours.policies / "10_a.sql").write_text(A + GRANT)
    compile_(ours, amend=True)  # the second is new, so it may be replaced: back to the first
    policies.check(ours.policies, ours.migrations)
    assert len(found(ours)) <= 2


def test_status_reads_what_is_live_from_the_history(
    ours: Project, plain_database: Database
) -> None:
    url = plain_database.owner_dsn
    assert policies.status(url, ours.policies).states == {
        "10_a.sql": "absent",
        "20_b.sql": "absent",
    }
    compile_(ours)
    migrations.apply(url, ours.migrations)
    (ours.policies / "10_a.sql").write_text(A + GRANT)
    (ours.policies / "20_b.sql").unlink()
    live = policies.status(url, ours.policies)
    assert live.states == {"10_a.sql": "stale", "20_b.sql": "removed"}
    compile_(ours)
    migrations.apply(url, ours.migrations)
    assert policies.status(url, ours.policies).states == {"10_a.sql": "live"}


def test_diff_shows_what_a_dashboard_changed(
    ours: Project, plain_database: Database, engine: Engine
) -> None:
    compile_(ours)
    assert policies.diff_sources(ours) == {}
    (ours.policies / "10_a.sql").write_text(A + GRANT)
    assert f"+{GRANT}" in policies.diff_sources(ours)["10_a.sql"]
    compile_(ours)
    url = plain_database.owner_dsn
    migrations.apply(url, ours.migrations)
    assert policies.diff_database(url, engine, ours) == []
    with plain_database.connect(autocommit=True) as connection:
        connection.execute("create policy dashboard on public.b to anon using (true)")
    (difference,) = policies.diff_database(url, engine, ours)
    assert difference.name == "public.b: dashboard" and difference.expected is None
