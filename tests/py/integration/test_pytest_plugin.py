"""The pytest plugin, in the tests of a small project that has nothing else to do with Harmonia."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator

import pytest
from fix_database import ROOT

from harmonia_py.engines import Engine

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

SCHEMA = """
create table public.teams (id uuid primary key default gen_random_uuid(), name text not null);
create table public.members (
    team_id uuid not null references public.teams (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    primary key (team_id, user_id)
);
create table public.notes (
    id uuid primary key default gen_random_uuid(),
    team_id uuid not null references public.teams (id) on delete cascade,
    author_id uuid not null default auth.uid(),
    body text not null check (body <> '')
);
alter table public.teams enable row level security;
alter table public.members enable row level security;
alter table public.notes enable row level security;
create schema private;
grant usage on schema private to authenticated;
create function private.teams() returns setof uuid
language sql stable security definer set search_path = ''
as 'select m.team_id from public.members as m where m.user_id = auth.uid()';
create policy teams_read on public.teams for select to authenticated
using (id in (select private.teams()));
create policy members_read on public.members for select to authenticated
using (team_id in (select private.teams()));
create policy notes_read on public.notes for select to authenticated
using ({read});
create policy notes_add on public.notes for insert to authenticated
with check (team_id in (select private.teams()) and author_id = (select auth.uid()));
create policy notes_edit on public.notes for update to authenticated
using (team_id in (select private.teams())) with check (team_id in (select private.teams()));
create function public.refuse() returns void language plpgsql security invoker
set search_path = '' as $$ begin raise exception 'no' using errcode = 'PT403'; end $$;
"""
OWN_TEAM = "team_id in (select private.teams())"
SEED = "insert into public.teams (name) values ('From the seed');"

USES = """
    import pytest

    @pytest.fixture
    def world(harmonia_db):
        db = harmonia_db
        world = {}
        for name in ("ann", "bob"):
            user = db.create_user(f"{name}@example.test", nickname=name)
            (team,) = db.all("insert into teams (name) values (%s) returning id", [name])
            db.execute("insert into members values (%s, %s)", [team, user.id])
            (note,) = db.all(
                "insert into notes (team_id, author_id, body) values (%s, %s, 'hi') returning id",
                [team, user.id],
            )
            world[name] = {"user": user, "team": team, "note": note}
        return world

    NOTE = "select from notes where id = %s"
    EDIT = "update notes set body = 'changed' where id = %s"
    ADD = "insert into notes (team_id, body) values (%s, 'new')"

    def test_who_sees_what(world, as_user, as_anon, assert_visible, assert_invisible):
        with as_user("Ann@example.test") as ann:
            assert_visible(ann, NOTE, [world["ann"]["note"]], rows=1)
            assert_invisible(ann, NOTE, [world["bob"]["note"]])
            assert ann.all("select current_user::text") == ["authenticated"]
            assert ann.all("select session_user::text") == ["authenticator"]
        with as_user(world["bob"]["user"].id) as bob:
            assert_visible(bob, NOTE, [world["bob"]["note"]])
            assert_invisible(bob, NOTE, [world["ann"]["note"]])
        with as_anon() as anon:
            assert_invisible(anon, NOTE, [world["ann"]["note"]])
            assert anon.all("select auth.uid() is null") == [True]

    def test_who_changes_what(world, as_user, assert_rejected, harmonia_db):
        with as_user(world["ann"]["user"]) as ann:
            assert_rejected(ann, EDIT, [world["bob"]["note"]])
            assert_rejected(ann, ADD, [world["bob"]["team"]])
            assert_rejected(ann, "select refuse()", code="PT403")
            ann.execute(EDIT, [world["ann"]["note"]])
            ann.execute(ADD, [world["ann"]["team"]])
        assert harmonia_db.all("select body from notes order by body") == ["changed", "hi", "new"]

    def test_a_failed_request_leaves_nothing(world, as_user, harmonia_db):
        with pytest.raises(ZeroDivisionError), as_user(world["ann"]["user"]) as ann:
            ann.execute(ADD, [world["ann"]["team"]])
            1 / 0
        assert len(harmonia_db.all("select id from notes")) == 2

    def test_each_test_has_its_own_database(harmonia_db):
        assert harmonia_db.all("select name from teams") == ["From the seed"]
        assert harmonia_db.all("select id from notes") == []

    def test_claims(world, as_user):
        with as_user(world["ann"]["user"], aal="aal2", org="x", email=None) as ann:
            got = ann.all("select auth.jwt()")[0]
        assert (got["aal"], got["org"], got["user_metadata"]) == ("aal2", "x", {"nickname": "ann"})
        assert "email" not in got

    def test_isolated(assert_isolated, harmonia_db):
        report = assert_isolated(strict=True)
        assert report.probes > 50
        assert harmonia_db.all("select id from auth.users") == []
"""

# Each of these must fail, because it would prove nothing or is not true.
MISUSES = """
    import pytest
    from test_uses import world, NOTE, EDIT, ADD

    MISSING = "00000000-0000-4000-8000-000000000000"

    @pytest.fixture
    def ann(world, as_user):
        with as_user("ann@example.test") as session:
            yield session

    def test_invisible_but_visible(ann, world, assert_invisible):
        assert_invisible(ann, NOTE, [world["ann"]["note"]])

    def test_invisible_because_missing(ann, assert_invisible):
        assert_invisible(ann, NOTE, [MISSING])

    def test_visible_but_not(ann, world, assert_visible):
        assert_visible(ann, NOTE, [world["bob"]["note"]])

    def test_visible_but_more(ann, assert_visible):
        assert_visible(ann, "select from notes", rows=2)

    def test_rejected_but_allowed(ann, world, assert_rejected):
        assert_rejected(ann, EDIT, [world["ann"]["note"]])

    def test_rejected_but_nothing_there(ann, assert_rejected):
        assert_rejected(ann, EDIT, [MISSING])

    def test_rejected_for_everybody(ann, world, assert_rejected):
        assert_rejected(
            ann, "insert into notes (team_id, body) values (%s, '')", [world["ann"]["team"]]
        )

    def test_rejected_with_another_code(ann, world, assert_rejected):
        assert_rejected(ann, ADD, [world["bob"]["team"]], code="PT403")

    def test_nobody(as_user):
        with as_user("nobody@example.test"):
            pass

    def test_leaky_by_hand(harmonia_db, assert_isolated):
        harmonia_db.execute("create policy oops on notes for delete to authenticated using (true)")
        assert_isolated()
"""


@pytest.fixture
def run(
    pytester: pytest.Pytester, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Run tests of the foreign project in a pytest of their own, on this session's server."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(test_uses=USES)

    def go(*arguments: str, read: str = OWN_TEAM) -> pytest.RunResult:
        folder = pytester.path / "supabase" / "migrations"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "20260101000000_all.sql").write_text(SCHEMA.replace("{read}", read))
        (folder.parent / "seed.sql").write_text(SEED)
        plugin = ["-p", "harmonia_py.pytest_plugin", "-p", "no:cacheprovider"]
        return pytester.runpytest_subprocess(*plugin, *arguments)

    with engine.database() as database:
        monkeypatch.setenv("HARMONIA_DB_URL", database.admin_dsn or database.owner_dsn)
        yield go


def test_a_good_project_passes(run: Run) -> None:
    run().assert_outcomes(passed=6)


def test_a_leaky_project_fails_where_it_leaks(run: Run) -> None:
    result = run(read="true")
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(["*ann@example.test sees 1 row(s) of: select from notes*"])
    result.stdout.fnmatch_lines(
        ["harmonia verify: * finding*", "*public.notes*", "*set local role*"]
    )


def test_no_assertion_is_green_by_accident(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_misuses=MISUSES)
    result = run("test_misuses.py")
    outcomes = result.parseoutcomes()
    assert outcomes == {"failed": 10}, result.stdout.str()
    for line in (
        "nobody sees a row, so this proves nothing",
        "there is nothing to change, so this proves nothing",
        "refused, but not for want of privilege: 23514",
        "can do this (1 row(s) affected)",
        "there is no user nobody@example.test",
    ):
        result.stdout.fnmatch_lines([f"*{line}*"])


def test_the_default_engine_needs_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARMONIA_DB_URL")
    run("-k", "own_database").assert_outcomes(passed=1, deselected=5)


def test_a_broken_migration_is_told_in_two_lines(run: Run, pytester: pytest.Pytester) -> None:
    result = run("-k", "own_database", read="no_such_column")
    result.assert_outcomes(errors=1, deselected=5)
    result.stdout.fnmatch_lines(["migration.failed: 20260101000000_all.sql*no_such_column*"])
    assert "During handling" not in result.stdout.str()


def test_it_costs_nothing_when_unused() -> None:
    code = (
        "import sys, harmonia_py.pytest_plugin;"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " ('psycopg', 'pglast', 'z3', 'rich', 'typer', 'httpx', 'cryptography')"
        " or m.startswith('harmonia_py.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['harmonia_py.pytest_plugin']"


def test_pytest_finds_it_by_its_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"harmonia": "harmonia_py.pytest_plugin"}
    assert "Framework :: Pytest" in project["classifiers"]
