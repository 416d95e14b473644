"""The stock Supabase CLI and Harmonia are interchangeable."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fix_supabase_cli import SupabaseCli, url

from harmonia_py import migrations, project
from harmonia_py.engines import Database, Engine
from harmonia_py.migrations import read_folder, split
from harmonia_py.seed.apply import apply as apply_seeds

HISTORY = "select version, statements, name from supabase_migrations.schema_migrations order by 1"
SEEDS = "select path, hash from supabase_migrations.seed_files order by 1"


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(query.encode()).fetchall()


def run_sql(database: Database, statement: str) -> None:
    with database.connect(autocommit=True) as connection:
        connection.execute(statement.encode())


def advisors(cli: SupabaseCli, folder: Path, database: Database, *, fails: bool) -> Any:
    arguments = ["--type", "all", "--level", "warn", "--fail-on", "warn"]
    found = cli.run(folder, "db", "advisors", "--remote", url(database), *arguments, fails=fails)
    return found["results"]


@pytest.mark.slow
def test_push_and_apply_give_the_same_database(
    supabase_cli: SupabaseCli, engine: Engine, project_copy: Path
) -> None:
    with engine.database() as pushed, engine.database() as applied:
        supabase_cli.push(project_copy, pushed)
        ours = project.find(project_copy / "supabase")
        migrations.apply(applied.owner_dsn, ours.migrations)
        apply_seeds(applied.owner_dsn, ours)

        def diff(older: Database, newer: Database) -> str:
            found = supabase_cli.run(
                project_copy, "db", "diff", "--use-pg-delta",
                "--from", url(older), "--to", url(newer),
            )  # fmt: skip
            return str(found["diff"])

        # Both ways, should the comparison overlook what only the first of the two has.
        assert (diff(applied, pushed), diff(pushed, applied)) == ("", "")
        assert rows(applied, HISTORY) == rows(pushed, HISTORY)
        assert rows(applied, SEEDS) == rows(pushed, SEEDS)
        # The twin: the comparison sees one privilege more.
        run_sql(pushed, "grant select on public.contacts to anon")
        assert "grant" in diff(applied, pushed).lower()
        assert "revoke" in diff(pushed, applied).lower()
        assert rows(applied, HISTORY), "and two empty histories would be alike too"


@pytest.mark.slow
def test_list_agrees_and_advisors_find_nothing(
    supabase_cli: SupabaseCli, database: Database, project_copy: Path
) -> None:
    for migration in read_folder(project_copy / "supabase" / "migrations").migrations:
        migrations.record(database.owner_dsn, migration.path.parent, migration.version)
    listed = supabase_cli.run(project_copy, "migration", "list", "--remote", url(database))
    versions = [m.version for m in read_folder(project_copy / "supabase/migrations").migrations]
    assert [(row["local"], row["remote"]) for row in listed["migrations"]] == [
        (version, version) for version in versions
    ]
    assert advisors(supabase_cli, project_copy, database, fails=False) == []
    # The twin: a table without row level security is found.
    run_sql(database, "create table public.open_door (id int); grant all on open_door to anon")
    assert advisors(supabase_cli, project_copy, database, fails=True) != []


@pytest.mark.slow
def test_either_tool_continues_where_the_other_stopped(
    supabase_cli: SupabaseCli, engine: Engine, project_copy: Path
) -> None:
    folder = project_copy / "supabase" / "migrations"
    files = [migration.path for migration in read_folder(folder).migrations]
    half = len(files) // 2
    with engine.database() as ours_first, engine.database() as theirs_first:
        migrations.apply(ours_first.owner_dsn, folder, to=files[half].name.split("_")[0])
        pushed = supabase_cli.push(project_copy, ours_first)
        assert pushed["migrations"] == [path.name for path in files[half + 1 :]]
        migrations.verify(ours_first.owner_dsn, folder)

        (project_copy / "supabase" / "seed.sql").write_text("")
        later = project_copy / "later"
        later.mkdir()
        for path in files[half + 1 :]:
            shutil.move(path, later / path.name)
        supabase_cli.push(project_copy, theirs_first)
        for path in files[half + 1 :]:
            shutil.move(later / path.name, path)
        result = migrations.apply(theirs_first.owner_dsn, folder)
        assert list(result.applied) == [path.name.split("_")[0] for path in files[half + 1 :]]
        assert rows(ours_first, HISTORY) == rows(theirs_first, HISTORY)
        again = supabase_cli.push(project_copy, theirs_first)
        assert again["migrations"] == []


@pytest.mark.slow
@pytest.mark.parametrize("first", ["harmonia", "supabase"])
def test_nothing_runs_twice_beside_a_push(
    supabase_cli: SupabaseCli, plain_database: Database, tmp_path: Path, first: str
) -> None:
    """Both tools are in the middle of the same file; it is done once, whoever comes first."""
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    (tmp_path / "supabase" / "config.toml").write_text('project_id = "small"\n')
    (folder / "20260101000000_marks.sql").write_text("create table public.marks (id int);\n")
    migrations.apply(plain_database.owner_dsn, folder)
    slow = folder / "20260101000001_slow.sql"
    # It waits until the test lets go, which is when both are there.
    slow.write_text("insert into public.marks select 1 from pg_advisory_xact_lock_shared(4861);\n")

    def waiting() -> int:
        query = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        return int(rows(plain_database, query + " and datname = current_database()")[0][0])

    def ours() -> Any:
        return migrations.apply(plain_database.owner_dsn, folder)

    push = ["db", "push", "--remote", url(plain_database), "--yes"]
    with ThreadPoolExecutor() as pool:
        with plain_database.connect() as holder:
            holder.execute("select pg_advisory_xact_lock(4861)")
            if first == "harmonia":
                mine = pool.submit(ours)
                _until(lambda: waiting() == 1)
                theirs = supabase_cli.start(tmp_path, *push)
            else:
                theirs = supabase_cli.start(tmp_path, *push)
                _until(lambda: waiting() == 1)
                mine = pool.submit(ours)
            _until(lambda: waiting() == 2)
        result = mine.result(timeout=60)
        out, err = theirs.communicate(timeout=60)
    assert rows(plain_database, "select count(*) from public.marks") == [(1,)], out + err
    # One of the two applied it. The other waited for our lock on the history, met the row, and
    # rolled back whatever it had done.
    assert (result.applied == ("20260101000001",)) != (theirs.returncode == 0), out + err
    if theirs.returncode:
        assert "schema_migrations_pkey" in out + err
    migrations.verify(plain_database.owner_dsn, folder)


def _until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


ODD = r"""-- a comment; with a semicolon
select 'a;b' as "c;d", $$;$$, $x$ ; $x$, E'it\'s;' ; ;;
/* block ; /* nested ; */ still */ select 1;
create function public.f(a int) returns int language sql
begin atomic select case when a > 1 then 2 else 3 end; select 4; end;
create rule r as on insert to public.t do also (select 1; select 2);
select 1 -- no semicolon at the end ; here
"""


@pytest.mark.slow
def test_the_splitter_records_what_the_cli_records(
    supabase_cli: SupabaseCli, plain_database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    (tmp_path / "supabase" / "config.toml").write_text('project_id = "small"\n')
    texts = {"odd": ODD, "crlf": ODD.replace("\n", "\r\n"), "open": "select 'never closed ; \n"}
    for number, (name, text) in enumerate(texts.items()):
        (folder / f"2026010100000{number}_{name}.sql").write_bytes(text.encode())
    versions = [migration.version for migration in read_folder(folder).migrations]
    supabase_cli.run(
        tmp_path, "migration", "repair", "--status", "applied", *versions,
        "--remote", url(plain_database), "--yes",
    )  # fmt: skip
    recorded = {name: statements for _, statements, name in rows(plain_database, HISTORY)}
    assert recorded == {name: split(text) for name, text in texts.items()}
