"""The runner: one transaction per file, nothing half applied, nothing twice."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fix_cli import command, environment
from fix_migrations import WriteMigration

from harmonia_py import dsn, migrations
from harmonia_py.engines import Database
from harmonia_py.errors import (
    DatabaseUnreachable,
    LockNotObtained,
    MigrationDrift,
    MigrationFailed,
    MigrationPending,
    MigrationRefused,
    MigrationSyntax,
    PoolerRefused,
    UnknownVersion,
)
from harmonia_py.migrations import Event, Options, State, history
from harmonia_py.migrations.apply import check_syntax

V1, V2, V3 = (f"2026010100000{n}" for n in (1, 2, 3))


def one(database: Database, query: str) -> Any:
    with database.connect() as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def exists(database: Database, table: str) -> bool:
    return bool(one(database, f"select to_regclass('{table}') is not null"))


def states(database: Database, folder: Path) -> dict[str, State]:
    plan = migrations.status(database.owner_dsn, folder)
    return {f"{entry.version}_{entry.name}": entry.state for entry in plan.entries}


def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def test_applies_in_order_up_to_a_version(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("a", "create table public.a (id int);", number=1)
    write("b", "insert into public.a values (1);", number=2)
    write("c", "insert into public.a values (2);", number=3)
    url = plain_database.owner_dsn
    assert migrations.apply(url, folder, dry_run=True).applied == (V1, V2, V3)
    assert not exists(plain_database, "supabase_migrations.schema_migrations")
    assert migrations.apply(url, folder, to=V2).applied == (V1, V2)
    assert one(plain_database, "select count(*) from public.a") == 1
    with pytest.raises(MigrationPending, match="03_c"):
        migrations.verify(url, folder)
    assert migrations.apply(url, folder).applied == (V3,)
    assert migrations.apply(url, folder).applied == ()
    migrations.verify(url, folder)
    with pytest.raises(UnknownVersion):
        migrations.apply(url, folder, to="20990101000000")


def test_a_syntax_error_anywhere_applies_nothing(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("good", "create table public.good (id int);", number=1)
    write("bad", "select 1;\n\n  create tabel public.x (id int);\n", number=2)
    with pytest.raises(MigrationSyntax) as caught:
        migrations.apply(plain_database.owner_dsn, folder)
    lines = caught.value.message.splitlines()
    assert lines[0] == '20260101000002_bad.sql:3:10: syntax error at or near "tabel"'
    assert lines[1].index("tabel") == lines[2].index("^")
    assert caught.value.line == 3
    assert not exists(plain_database, "public.good")
    assert not exists(plain_database, "supabase_migrations.schema_migrations")


def test_a_failing_file_rolls_back_whole_and_names_the_statement(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("good", "create table public.good (id int unique);", number=1)
    write(
        "bad",
        "create table public.half (id int);\ninsert into public.good values (1);\n"
        "-- twice\ninsert into public.good values (1);\n",
        number=2,
    )
    with pytest.raises(MigrationFailed) as caught:
        migrations.apply(plain_database.owner_dsn, folder)
    assert caught.value.sqlstate == "23505" and caught.value.line == 3
    assert "the 1 before it stay applied" in str(caught.value.hint)
    assert not exists(plain_database, "public.half")
    assert one(plain_database, "select count(*) from public.good") == 0
    assert states(plain_database, folder) == {
        f"{V1}_good": State.applied,
        f"{V2}_bad": State.pending,
    }


def test_the_caret_counts_characters_not_bytes(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("bad", "-- größer\nselect 'größe', nowhere from pg_class;\n")
    with pytest.raises(MigrationFailed, match=r"_bad\.sql:2:17: column \"nowhere\"") as caught:
        migrations.apply(plain_database.owner_dsn, folder)
    lines = caught.value.message.splitlines()
    assert lines[1].index("nowhere") == lines[2].index("^")


def test_detects_what_changed_after_it_was_applied(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    url = plain_database.owner_dsn
    path = write("a", "select 1;\nselect 2;\n", number=2)
    migrations.apply(url, folder)
    path.write_text("select 1;\n\nselect 3;\n")
    with pytest.raises(MigrationDrift, match=r"02_a\.sql:3: changed after") as caught:
        migrations.apply(url, folder)
    assert f"record {V2}" in str(caught.value.hint)
    migrations.record(url, folder, V2)
    migrations.verify(url, folder)

    moved = path.rename(folder / f"{V2}_renamed.sql")
    with pytest.raises(MigrationDrift, match="was applied as"):
        migrations.verify(url, folder)
    moved.rename(path)

    late = write("late", "select 1;", number=1)
    with pytest.raises(MigrationDrift, match="older than"):
        migrations.apply(url, folder)
    assert migrations.apply(url, folder, include_all=True).applied == (V1,)
    late.unlink()
    with pytest.raises(MigrationDrift, match="not in the folder"):
        migrations.apply(url, folder)
    migrations.forget(url, V1)
    migrations.verify(url, folder)
    with pytest.raises(UnknownVersion):
        migrations.forget(url, V1)

    write("twin", "select 1;", number=2)
    with pytest.raises(MigrationDrift, match="share a version"):
        migrations.apply(url, folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("begin; select 1; commit;", ":1: `begin`"),
        ("select 1;\ncommit;", ":2: `commit`"),
        ("savepoint a;", "`savepoint`"),
        ("lock table pg_class;", "lock table"),
        ("create table public.t (id int);\ncreate index concurrently on public.t (id);", ":2: "),
        ("copy public.t from stdin;", "copy"),
        ("-- pg-delta: transaction=false\nselect 1; select 2;", "half applied"),
        ("\ufeffselect 1;", "byte order mark"),
        ("select 1;\n-- why\rcommit", ":2: a carriage return"),
        ("create index concurrently i on public.first (id)\n\0 where id > 1", ":2: a zero byte"),
    ],
)
def test_refuses_what_would_break_one_file_one_transaction(
    plain_database: Database, folder: Path, write: WriteMigration, text: str, says: str
) -> None:
    write("first", "create table public.first (id int);", number=1)
    write("odd", text, number=2)
    with pytest.raises(MigrationRefused, match=says) as caught:
        migrations.apply(plain_database.owner_dsn, folder)
    assert caught.value.hint
    assert not exists(plain_database, "public.first")


@pytest.mark.parametrize("kind", ["dangling", "loop", "folder"])
def test_what_is_named_like_a_migration_and_is_no_file_is_not_passed_over(
    folder: Path, write: WriteMigration, kind: str
) -> None:
    odd = folder / "20260101000002_odd.sql"
    if kind == "folder":
        odd.mkdir()
    else:
        odd.symlink_to(odd if kind == "loop" else folder / "nowhere")
    with pytest.raises(MigrationRefused, match=r"02_odd\.sql has the name"):
        migrations.read_folder(folder)
    odd.rmdir() if kind == "folder" else odd.unlink()
    odd.symlink_to(write("kept", "select 1;").rename(folder / ".elsewhere"))
    (folder / "archive").mkdir()
    assert [found.name for found in migrations.read_folder(folder).migrations] == ["odd"]


def test_checking_runs_nothing_whatever_is_in_the_file(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("keep", "create table public.keep (id int);", number=1)
    migrations.apply(plain_database.owner_dsn, folder)
    odd = write("odd", "rollback; drop table public.keep;", number=2)
    found = migrations.read_folder(folder).migrations[1]
    with plain_database.connect(autocommit=True) as connection:
        check_syntax(connection, [found])
        odd.write_text("rollback; drop table public.keep; drop tabel public.keep;")
        with pytest.raises(MigrationSyntax, match=r":1:40: .*tabel"):
            check_syntax(connection, [migrations.read_folder(folder).migrations[1]])
    assert exists(plain_database, "public.keep")


def test_a_carriage_return_outside_a_comment_is_taken(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("dos", "-- why\r\ncreate table public.t (id text default '-- \r');\r\n")
    migrations.apply(plain_database.owner_dsn, folder)
    assert exists(plain_database, "public.t")


def test_concurrently_alone_in_its_file_runs_outside_a_transaction(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("t", "create table public.t (id int);", number=1)
    write("i", "-- why\ncreate index concurrently t_id_idx on public.t (id);\n", number=2)
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(migrations.apply, plain_database.owner_dsn, folder) for _ in range(3)]
        results = [run.result(timeout=60) for run in runs]
    assert exists(plain_database, "public.t_id_idx")
    assert sorted(v for result in results for v in result.applied) == [V1, V2]
    migrations.verify(plain_database.owner_dsn, folder)


def test_two_runners_one_waits_and_nothing_runs_twice(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("t", "create table public.t (id int);", number=1)
    write(
        "slow",
        "insert into public.t values (1);"
        " do $$ begin while not exists (select from public.go) loop perform pg_sleep(0.02);"
        " end loop; end $$;",
        number=2,
    )
    events: list[Event] = []

    def run() -> Any:
        return migrations.apply(plain_database.owner_dsn, folder, listener=events.append)

    with plain_database.connect(autocommit=True) as conn, ThreadPoolExecutor() as pool:
        conn.execute("create table public.go (id int)")
        runs = [pool.submit(run), pool.submit(run)]
        try:
            # The first is held in its second file until the other has come, however late.
            until(
                lambda: "waiting" in {e.kind for e in events} or any(r.done() for r in runs),
                seconds=60,
            )
        finally:
            conn.execute("insert into public.go values (1)")
        results = [run.result(timeout=60) for run in runs]
    assert "waiting" in {event.kind for event in events}
    assert one(plain_database, "select count(*) from public.t") == 1
    assert sorted(v for result in results for v in result.applied) == [V1, V2]
    with pytest.raises(LockNotObtained), plain_database.connect() as holder:
        holder.execute("lock table supabase_migrations.schema_migrations in exclusive mode")
        write("more", "select 1;", number=3)
        migrations.apply(plain_database.owner_dsn, folder, options=Options(wait=0.3))


def test_a_runner_that_saw_no_history_waits_for_the_one_that_made_it(
    plain_database: Database,
    folder: Path,
    write: WriteMigration,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other made it after we looked and is at work: its lock is no failure of ours."""
    url = plain_database.owner_dsn
    write("first", "create table public.first (id int);", number=1)
    migrations.apply(url, folder)
    write("second", "create table public.second (id int);", number=2)
    # It is not there as the history is read, nor as we set about making it.
    columns, looks = history._columns, iter([set[str](), set[str]()])
    monkeypatch.setattr(history, "_columns", lambda conn: next(looks, {"*"}) and columns(conn))
    events: list[Event] = []
    with plain_database.connect() as holder, ThreadPoolExecutor() as pool:
        holder.execute(
            "lock table supabase_migrations.schema_migrations in share row exclusive mode"
        )
        run = pool.submit(migrations.apply, url, folder, listener=events.append)
        until(lambda: "waiting" in {event.kind for event in events} or run.done())
        holder.rollback()
        result = run.result(timeout=60)
    assert (result.skipped, result.applied) == ((V1,), (V2,))
    assert "waiting" in {event.kind for event in events}


def test_a_blocked_file_is_tried_again_and_then_called_busy(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("t", "create table public.t (id int);", number=1)
    url = plain_database.owner_dsn
    migrations.apply(url, folder)
    write("alter", "alter table public.t add column name text;", number=2)
    events: list[Event] = []
    options = Options(lock_timeout=0.2, tries=2)
    with plain_database.connect() as holder:
        holder.execute("select count(*) from public.t")
        with pytest.raises(LockNotObtained, match="lock timeout in 2 tries"):
            migrations.apply(url, folder, options=options, listener=events.append)
        assert [event.kind for event in events].count("retry") == 1
        holder.execute("insert into public.t values (1)")

        def release(event: Event) -> None:
            if event.kind == "retry":
                holder.rollback()

        assert migrations.apply(url, folder, options=options, listener=release).applied == (V2,)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_leaves_nothing_half_applied(
    plain_database: Database, folder: Path, write: WriteMigration, sent: signal.Signals
) -> None:
    write("t", "create table public.t (id int);", number=1)
    write("slow", "create table public.half (id int);\nselect pg_sleep(3);", number=2)
    process = subprocess.Popen(
        command("migrate", "apply"),
        cwd=folder,
        env=environment({"DATABASE_URL": plain_database.owner_dsn}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    sleeping = (
        "select count(*) from pg_stat_activity where query like 'select pg_sleep%'"
        " and state = 'active'"
    )
    until(lambda: one(plain_database, sleeping))
    process.send_signal(sent)
    _, story = process.communicate(timeout=30)
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
    assert process.returncode == codes[sent]
    if sent is not signal.SIGKILL:
        assert "interrupted" in story and "Traceback" not in story
    assert exists(plain_database, "public.t")
    assert not exists(plain_database, "public.half")
    assert states(plain_database, folder)[f"{V2}_slow"] is State.pending
    # The next run waits for the abandoned statement, if the server still works on it.
    assert migrations.apply(plain_database.owner_dsn, folder).applied == (V2,)
    assert exists(plain_database, "public.half")


def test_a_deferred_constraint_fails_with_its_file(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write(
        "late",
        "create table public.p (id int primary key);\n"
        "create table public.c (p int references public.p deferrable initially deferred);\n"
        "insert into public.c values (1);\n",
    )
    with pytest.raises(MigrationFailed, match=r"_late\.sql:3:.*foreign key"):
        migrations.apply(plain_database.owner_dsn, folder)
    assert not exists(plain_database, "public.p")


_DEFERRED = """
create table public.t (id int);
create function public.refuse() returns trigger language plpgsql as
$$ begin raise exception 'not with me'; end $$;
create constraint trigger late after insert on public.t deferrable initially deferred
for each row execute function public.refuse();
insert into public.t values (1);
"""


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        (_DEFERRED, "b.sql:7:1: not with me", "rolled back"),
        ("drop schema supabase_migrations cascade;", "b.sql:1:1: .* does not exist", "rolled back"),
        ("reindex schema public;", "b.sql:1:1: .* transaction block", "-- pg-delta: transaction="),
    ],
)
def test_what_fails_after_the_statements_is_the_file_s_failure_too(
    plain_database: Database, folder: Path, write: WriteMigration, text: str, says: str, hint: str
) -> None:
    write("a", "create table public.a (id int);", number=1)
    write("b", text, number=2)
    with pytest.raises(MigrationFailed, match=says) as caught:
        migrations.apply(plain_database.owner_dsn, folder)
    assert hint in (caught.value.hint or "")
    assert states(plain_database, folder) == {f"{V1}_a": State.applied, f"{V2}_b": State.pending}


def test_what_cannot_run_in_a_transaction_runs_below_its_line(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("b", "-- pg-delta: transaction=false\nreindex schema public;")
    assert migrations.apply(plain_database.owner_dsn, folder).applied == (V1,)


def test_a_lost_connection_is_not_the_file_s_failure(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("a", "create table public.a (id int); select pg_sleep(60);")
    admin = plain_database.connect_admin(autocommit=True)
    with admin, ThreadPoolExecutor() as pool:
        run = pool.submit(migrations.apply, plain_database.owner_dsn, folder)
        until(
            lambda: admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where query like '%pg_sleep(60)' and pid <> pg_backend_pid()"
            ).fetchone()
        )
        with pytest.raises(DatabaseUnreachable, match="was lost"):
            run.result(timeout=30)
    assert not exists(plain_database, "public.a")


def test_settings_of_one_file_do_not_reach_the_next(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("a", "set search_path = extensions; set role anon;", number=1)
    write("b", "create table public.b as select current_user::text who;", number=2)
    migrations.apply(plain_database.owner_dsn, folder)
    assert one(plain_database, "select who from public.b") == "postgres"


def test_a_correction_does_not_wait_for_a_runner_for_ever(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    url = plain_database.owner_dsn
    write("a", "create table public.a (id int);")
    migrations.apply(url, folder)
    with plain_database.connect() as runner:
        runner.execute(
            "lock table supabase_migrations.schema_migrations in share row exclusive mode"
        )
        with pytest.raises(LockNotObtained, match="a migration runner"):
            migrations.record(url, folder, V1)
        with pytest.raises(LockNotObtained, match="a migration runner"):
            migrations.forget(url, V1)
    assert migrations.record(url, folder, V1).version == V1
    migrations.forget(url, V1)
    assert states(plain_database, folder) == {f"{V1}_a": State.pending}


def test_a_question_that_is_locked_out_may_be_asked_again(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    write("a", "create table public.a (id int);")
    migrations.apply(plain_database.owner_dsn, folder)
    hurried = dsn.replace(plain_database.owner_dsn, options="-c lock_timeout=100ms")
    with plain_database.connect() as other:
        other.execute("lock table supabase_migrations.schema_migrations")
        with pytest.raises(LockNotObtained, match="lock timeout"):
            migrations.status(hurried, folder)
    migrations.status(hurried, folder)


def test_a_history_of_an_older_supabase_cli_is_read(
    plain_database: Database, folder: Path, write: WriteMigration
) -> None:
    with plain_database.connect(autocommit=True) as connection:
        connection.execute("create schema if not exists supabase_migrations")
        connection.execute(
            "create table supabase_migrations.schema_migrations (version text primary key)"
        )
        connection.execute(
            "insert into supabase_migrations.schema_migrations values (%s), ('20250101000000')",
            [V1],
        )
    write("a", "create table public.a (id int);", number=1)
    write("b", "create table public.b (id int);", number=2)
    assert states(plain_database, folder) == {
        "20250101000000_": State.missing,
        f"{V1}_a": State.applied,
        f"{V2}_b": State.pending,
    }
    with pytest.raises(MigrationDrift, match="20250101000000_"):
        migrations.apply(plain_database.owner_dsn, folder)
    migrations.forget(plain_database.owner_dsn, "20250101000000")
    assert migrations.apply(plain_database.owner_dsn, folder).applied == (V2,)
    migrations.verify(plain_database.owner_dsn, folder)
    assert not exists(plain_database, "public.a")


def test_refuses_the_transaction_pooler(plain_database: Database, folder: Path) -> None:
    with pytest.raises(PoolerRefused):
        migrations.apply(dsn.replace(plain_database.owner_dsn, port="6543"), folder)


def test_a_service_that_leads_to_the_transaction_pooler_is_refused(
    plain_database: Database, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = dsn.parse(plain_database.owner_dsn)
    lines = [f"{name}={value}\n" for name, value in values.items()]
    (tmp_path / "services").write_text("[here]\n" + "".join(lines))
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    migrations.status("service=here", folder)
    monkeypatch.setattr(dsn, "TRANSACTION_POOLER_PORT", values["port"])
    with pytest.raises(PoolerRefused, match="service here"):
        migrations.status("service=here", folder)


def test_a_file_is_utf_8_whatever_the_environment_says(
    plain_database: Database,
    folder: Path,
    write: WriteMigration,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("name", "create table public.t as select 'é' as name;")
    monkeypatch.setenv("PGCLIENTENCODING", "latin1")
    migrations.apply(plain_database.owner_dsn, folder)
    monkeypatch.delenv("PGCLIENTENCODING")
    assert one(plain_database, "select name from public.t") == "é"
    migrations.verify(plain_database.owner_dsn, folder)


def test_new_sorts_last_even_after_a_future_version(folder: Path) -> None:
    first = migrations.new(folder, "add_birthday")
    second = migrations.new(folder, "add_birthday_too")
    assert second.name > first.name
    (folder / "29990101000000_far.sql").write_text("select 1;")
    assert migrations.new(folder, "later").name == "29990101000001_later.sql"
    assert first.read_text() == "set local lock_timeout = '4s';\n"
    with pytest.raises(MigrationRefused):
        migrations.new(folder, "No Spaces")
