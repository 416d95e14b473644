"""Every operator mistake: one line that says what happened and to what, a remedy, an exit code."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import fix_cli
import pytest
from fix_migrations import WriteMigration
from harmonia_cli.main import app
from psycopg import sql
from typer.testing import CliRunner

from harmonia_py import dsn
from harmonia_py.engines import Database

SECRET = "not-the-passw0rd"


ANY = "a0000000-0000-7000-8000-000000000009"


class Harmonia:
    """Runs a command twice, for a person and for a machine, and holds both to the same story."""

    def __init__(self, supabase: Path) -> None:
        self.supabase = supabase

    def fails(self, exit_code: int, code: str, *arguments: str, url: str | None = None) -> str:
        command = list(arguments)
        if arguments[1] != "forget":  # which needs no file
            command += ["--supabase-dir", str(self.supabase)]
        if url is not None:
            command += ["--db-url", url]
        runner = CliRunner()
        env = {"DATABASE_URL": None, "COLUMNS": "200"}
        text = runner.invoke(app, command, env=env)
        machine = runner.invoke(app, [*command, "--output", "json"], env=env)
        assert (text.exit_code, machine.exit_code) == (exit_code, exit_code), text.output
        answer: dict[str, Any] = json.loads(machine.stdout)
        error = answer["error"]
        assert not answer["ok"] and error["code"] == code
        assert error["message"] and error["hint"], error
        assert text.stdout == ""
        assert error["message"] in text.stderr and error["hint"] in text.stderr
        assert "Traceback" not in text.output and SECRET not in text.output + machine.output
        return str(error["message"])

    def works(self, *arguments: str, url: str | None = None) -> Any:
        command = [*arguments, "--supabase-dir", str(self.supabase), "--output", "json"]
        if url is not None:
            command += ["--db-url", url]
        result = CliRunner().invoke(app, command, env={"DATABASE_URL": None})
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)["data"]


@pytest.fixture
def harmonia(folder: Path, write: WriteMigration) -> Harmonia:
    write("first", "create table public.first (id int);\n")
    (folder.parent / "policies").mkdir()
    (folder.parent / "seed.sql").write_text("insert into public.first values (1);\n")
    return Harmonia(folder.parent)


@contextmanager
def closing_listener() -> Iterator[int]:
    """A port where something answers that is not PostgreSQL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def answer() -> None:
            for _ in range(2):
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.recv(64)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]


def test_the_twin_the_same_project_applies(harmonia: Harmonia, plain_database: Database) -> None:
    url = plain_database.owner_dsn
    assert harmonia.works("migrate", "apply", url=url)["applied"] == ["20260101000001"]
    assert harmonia.works("migrate", "verify", url=url) == {"applied": 1}


def test_database_down(harmonia: Harmonia) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    url = f"postgresql://postgres:{SECRET}@127.0.0.1:{port}/postgres"
    message = harmonia.fails(1, "database.unreachable", "migrate", "apply", url=url)
    assert f"127.0.0.1:{port}/postgres" in message


def test_wrong_port(harmonia: Harmonia) -> None:
    with closing_listener() as port:
        url = f"postgresql://postgres:{SECRET}@127.0.0.1:{port}/postgres"
        message = harmonia.fails(1, "database.unreachable", "migrate", "status", url=url)
    assert f"127.0.0.1:{port}/postgres" in message


def test_wrong_password(harmonia: Harmonia, plain_database: Database) -> None:
    url = dsn.replace(plain_database.owner_dsn, password=SECRET)
    message = harmonia.fails(1, "database.unreachable", "migrate", "apply", url=url)
    assert "password authentication failed" in message


def test_wrong_database(harmonia: Harmonia, plain_database: Database) -> None:
    url = dsn.replace(plain_database.owner_dsn, dbname="nowhere")
    (harmonia.supabase / "policies" / "10_first.sql").write_text(
        "call private.lock_down('public.first');\n"
    )
    assert "nowhere" in harmonia.fails(1, "database.unreachable", "policies", "status", url=url)


def test_a_role_that_may_not_migrate(harmonia: Harmonia, plain_database: Database) -> None:
    url = plain_database.dsn_as("authenticator")
    message = harmonia.fails(1, "database.refused", "migrate", "apply", url=url)
    assert "permission denied" in message


def test_a_platform_that_may_not_be_built(plain_database: Database) -> None:
    admin = plain_database.admin_dsn
    assert admin is not None
    name = f"{plain_database.name}_closed"
    with plain_database.connect_admin(autocommit=True) as connection:
        create = sql.SQL("create database {} template template0").format(sql.Identifier(name))
        connection.execute(create)
        try:
            url = dsn.replace(admin, dbname=name)
            read_only = dsn.replace(url, options="-c default_transaction_read_only=on")
            error = fix_cli.answer("platform", "prepare", "--db-url", read_only, code=1)
            assert error["code"] == "database.refused" and name in error["message"]
            assert "read-only" in error["message"] and "primary" in error["hint"]
            done = fix_cli.answer("platform", "prepare", "--db-url", url)
            assert done["outcome"] == "built"
        finally:
            connection.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


def test_transaction_pooler(harmonia: Harmonia) -> None:
    url = f"postgresql://postgres:{SECRET}@127.0.0.1:6543/postgres"
    harmonia.fails(2, "dsn.transaction_pooler", "migrate", "apply", url=url)


def test_no_database_named(harmonia: Harmonia) -> None:
    harmonia.fails(2, "usage", "migrate", "apply")
    harmonia.fails(2, "dsn.invalid", "migrate", "apply", url=f"postgresql://[{SECRET}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("migrate", "apply"),
        ("migrate", "record", "20260101000001"),
        ("migrate", "forget", "20260101000001"),
        ("seed", "apply"),
    ],
)
def test_another_machine_needs_yes(harmonia: Harmonia, arguments: tuple[str, ...]) -> None:
    url = f"postgresql://postgres:{SECRET}@db.example.invalid/postgres"
    message = harmonia.fails(2, "consent.required", *arguments, url=url)
    assert "db.example.invalid:5432/postgres" in message
    # With --yes it goes on, and finds that there is no such host.
    harmonia.fails(1, "database.unreachable", *arguments, "--yes", url=url)


def test_missing_folders(harmonia: Harmonia, plain_database: Database, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = Harmonia(tmp_path / "empty")
    url = plain_database.owner_dsn
    for arguments in (("migrate", "apply"), ("migrate", "status"), ("seed", "apply")):
        empty.fails(2, "project.folder_missing", *arguments, url=url)
    empty.fails(2, "project.folder_missing", "migrate", "new", "x")
    empty.fails(2, "project.folder_missing", "policies", "compile")
    empty.fails(2, "project.folder_missing", "policies", "check")
    nowhere = Harmonia(tmp_path / "nowhere")
    assert "nowhere" in nowhere.fails(2, "project.folder_missing", "policies", "diff")


def test_syntax_error(harmonia: Harmonia, plain_database: Database, write: WriteMigration) -> None:
    write("typo", "select 1;\ncreate tabel t ();\n", number=2)
    message = harmonia.fails(
        1, "migration.syntax", "migrate", "apply", url=plain_database.owner_dsn
    )
    assert message.splitlines() == [
        '20260101000002_typo.sql:2:8: syntax error at or near "tabel"',
        "    create tabel t ();",
        "           ^",
    ]
    listed = harmonia.works("migrate", "status", url=plain_database.owner_dsn)["migrations"]
    assert [row["state"] for row in listed] == ["pending", "pending"]


def test_edited_applied_migration(
    harmonia: Harmonia, plain_database: Database, write: WriteMigration
) -> None:
    url = plain_database.owner_dsn
    harmonia.works("migrate", "apply", url=url)
    write("first", "create table public.first (id bigint);\n")
    for command in ("apply", "verify"):
        message = harmonia.fails(3, "migration.drift", "migrate", command, url=url)
        assert "20260101000001_first.sql:1" in message


def test_pending_and_unknown_versions(harmonia: Harmonia, plain_database: Database) -> None:
    url = plain_database.owner_dsn
    harmonia.fails(3, "migration.pending", "migrate", "verify", url=url)
    harmonia.fails(2, "migration.unknown_version", "migrate", "apply", "--to", "7", url=url)
    harmonia.fails(2, "migration.unknown_version", "migrate", "record", "7", url=url)
    harmonia.fails(2, "migration.unknown_version", "migrate", "forget", "7", url=url)
    harmonia.fails(2, "migration.refused", "migrate", "new", "Not A Name")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("call private.lock_down('public.first');\ngrant select on public.first to", ":2: "),
        (
            "call private.lock_down('public.first');\ncreate policy p on public.first using (tr",
            ":2:",
        ),
        ("call private.lock_down('public.first');\ncomment on table public.first is 'never", ":2:"),
        ("create policy p on public.first using (true);", "before the table is locked down"),
        ("grant select on public.first to anon;", "before the table is locked down"),
        (
            "call private.lock_down('public.first');\n"
            "create policy a on public.first using (true);\n"
            "create policy b on public.first as restrictive using (false);",
            ":3: a restrictive policy",
        ),
        ("call private.lock_down('public.first'); commit;", "`commit` has no place"),
        ("create table public.second (id int);", "belongs in a migration"),
        ("do $$ begin end $$;", "belongs in a migration"),
        ("alter table public.first disable row level security;", "belongs in a migration"),
        ("grant select on all tables in schema public to anon;", "everything in a schema"),
        ("drop policy p on public.first;", "fails the second time"),
        ("create function public.f() returns int language sql as 'select 1';", "second time"),
        ("", "is empty"),
        ("drop table if exists public.first;", "belongs in a migration"),
        ("drop function if exists public.f() cascade;", "what is not named"),
        ("alter default privileges grant select on tables to anon;", "belongs in a migration"),
        ("-- why\rcall private.lock_down('public.first'); create table public.x ();", "more than"),
        ("call private.lock_down('public.first');\n-- ==== 20_second.sql ====\n", ":2: a line"),
    ],
)
def test_half_written_policy_file(harmonia: Harmonia, text: str, says: str) -> None:
    path = harmonia.supabase / "policies" / "10_first.sql"
    path.write_text(text)
    for command in (("compile",), ("compile", "--dry-run"), ("check",)):
        message = harmonia.fails(1, "policies.syntax", "policies", *command)
        assert "10_first.sql:" in message and says in message
    assert not list(harmonia.supabase.glob("migrations/*_policies.sql"))


def test_a_policy_file_whose_name_holds_a_space(harmonia: Harmonia) -> None:
    path = harmonia.supabase / "policies" / "10 first.sql"
    text = "-- ==== no section: it goes on\ncall private.lock_down('public.first');\n"
    path.write_text(text + "drop function if exists public.f();\n")
    assert "10 first.sql" in harmonia.fails(1, "policies.syntax", "policies", "compile")
    path.rename(path.with_name("10_first.sql"))
    harmonia.works("policies", "compile")
    harmonia.works("policies", "check")


def test_stale_policies(harmonia: Harmonia) -> None:
    path = harmonia.supabase / "policies" / "10_first.sql"
    path.write_text("call private.lock_down('public.first');\n")
    harmonia.fails(3, "policies.stale", "policies", "check")
    harmonia.works("policies", "compile")
    harmonia.works("policies", "check")
    path.write_text(
        "call private.lock_down('public.first');\ngrant select on public.first to anon;\n"
    )
    assert "10_first.sql" in harmonia.fails(3, "policies.stale", "policies", "check")


@pytest.mark.parametrize("arguments", [("migrate", "new", "x"), ("policies", "compile", "--amend")])
def test_disk_not_writable(harmonia: Harmonia, arguments: tuple[str, ...]) -> None:
    """The file size limit is a disk that takes nothing, for root as well."""
    policy = harmonia.supabase / "policies" / "10_first.sql"
    policy.write_text("call private.lock_down('public.first');\n")
    harmonia.works("policies", "compile")
    policy.write_text("call private.lock_down('public.first'); -- again\n")
    before = {path: path.read_bytes() for path in harmonia.supabase.rglob("*.sql")}
    error = fix_cli.harmonia(
        *arguments,
        *("--supabase-dir", str(harmonia.supabase), "--output", "json"),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        first=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        code=1,
    ).answer
    assert error["code"] == "path.not_writable", error
    assert str(harmonia.supabase) in error["message"] and error["hint"]
    assert {path: path.read_bytes() for path in harmonia.supabase.rglob("*.sql")} == before
    assert not list(harmonia.supabase.rglob(".*.tmp"))


def typed(*arguments: str, code: int = 2) -> fix_cli.Done:
    """Run the installed program in a narrow terminal."""
    return fix_cli.harmonia(*arguments, env={"COLUMNS": "60"}, code=code)


@pytest.mark.parametrize("output", ["text", "json"])
def test_no_room_for_the_result_is_said(harmonia: Harmonia, output: str) -> None:
    path = harmonia.supabase / "policies" / "10_first.sql"
    path.write_text("call private.lock_down('public.first');\n")
    arguments = ["policies", "compile", "--dry-run", "--output", output]
    arguments += ["--supabase-dir", str(harmonia.supabase)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            fix_cli.command(*arguments),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert b"path.not_writable" in done.stderr and b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert harmonia.works("policies", "compile", "--dry-run")["changed"] == ["10_first.sql"]


def test_a_reference_of_no_checkout_or_no_schema(plain_database: Database, tmp_path: Path) -> None:
    env = {"DATABASE_URL": plain_database.owner_dsn}
    error = fix_cli.answer("reference", "--root", str(tmp_path), env=env, code=2)
    assert error["code"] == "project.folder_missing" and "--root" in error["hint"]
    error = fix_cli.answer("reference", "--check", "--root", str(tmp_path), env=env, code=1)
    assert error["code"] == "database.refused" and "migrate status" in error["hint"]


@pytest.mark.parametrize("arguments", [("status",), ("migrate", "status"), ("up",)])
def test_a_working_directory_that_was_deleted(arguments: tuple[str, ...], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    url = {"DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    done = fix_cli.harmonia(
        *arguments, "--output", "json", cwd=gone, env=url, code=2, first=gone.rmdir
    )
    assert done.answer["code"] == "project.folder_missing"
    assert "working directory" in done.answer["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("api-keys", "list", "--organization", ANY, "--as", "olga.owner@alder.example"),
        ("api-keys", "revoke", ANY, "--organization", ANY, "--as", "olga.owner@alder.example"),
        ("token", "--as", "olga.owner@alder.example", "--secret-env", "SIGNING"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_database_without_users_is_told_so(
    plain_database: Database, arguments: tuple[str, ...]
) -> None:
    with plain_database.connect_admin() as conn:
        conn.execute("drop table auth.users cascade")
    env = {"DATABASE_URL": plain_database.owner_dsn, "SIGNING": "x" * 32}
    error = fix_cli.answer(*arguments, env=env, code=1)
    assert error["code"] == "database.refused" and "migrate status" in error["hint"], error


@pytest.mark.parametrize(
    ("arguments", "says", "hint"),
    [
        (("migrate", "frobnicate"), "No such command 'frobnicate'.", "harmonia migrate --help"),
        (("nonsense",), "No such command 'nonsense'.", "harmonia --help"),
        (("up", "--port", "1"), "'--port'", "harmonia up --help"),
        (("migrate", "new"), "Missing argument", "harmonia migrate new --help"),
        (("seed", "generate", "--organizations", "many"), "integer", "seed generate --help"),
        # Each was a list in memory without end, or an error that nobody had expected.
        (("seed", "generate", "--contacts", "9" * 23), "'--contacts'", "seed generate --help"),
        (("seed", "generate", "--members", "9" * 23), "'--members'", "seed generate --help"),
        (
            ("keys", "rotate-organization", "--organization", ANY, "--pause-ms", "9" * 23),
            "'--pause-ms'",
            "keys rotate-organization --help",
        ),
        (("verify", "--timeout", "nan"), "'--timeout'", "harmonia verify --help"),
        (("verify", "--timeout", "1e308"), "'--timeout'", "harmonia verify --help"),
        (
            ("backup", "prune", "--folder", "/", "--key", "x", "--days", "9999999999"),
            "'--days'",
            "prune --help",
        ),
        (("migrate", "apply", "--no-such"), "--no-such", "harmonia migrate apply --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_parsed(arguments: tuple[str, ...], says: str, hint: str) -> None:
    text = typed(*arguments)
    assert text.text == ""
    message, remedy = text.story.splitlines()
    assert message.startswith("error (usage): ") and says in message
    assert remedy.startswith("hint: ") and hint in remedy
    for option in (("--output", "json"), ("-o", "json"), ("--output=json",), ("-ojson",)):
        machine = typed(*arguments, *option)
        assert machine.story == ""
        error = machine.answer
        assert error["code"] == "usage" and says in error["message"] and hint in error["hint"]


def test_an_option_without_its_argument() -> None:
    """Click does not say of which command it is."""
    text = typed("seed", "generate", "--organizations", "1", "--seed")
    assert "'--seed' requires an argument" in text.story
    assert "`harmonia seed generate --help`" in text.story
    machine = typed("seed", "generate", "-o", "json", "--seed").answer
    assert machine["hint"] == "see `harmonia seed generate --help`"
    # As before where no command is known.
    assert "`harmonia --help`" in typed("--no-such").story


def test_no_command_at_all_shows_the_help() -> None:
    bare = typed()
    assert (bare.text + bare.story).count("Usage: harmonia") == 1
    typed("--version", code=0)
    typed("migrate", "--help", code=0)


GENERATE = ("seed", "generate", "--organizations", "1", "--contacts", "1")


def fails_alike(exit_code: int, code: str, *arguments: str) -> str:
    """Return the message with which a command fails for a person and for a machine."""
    story = typed(*arguments, code=exit_code).story
    error = typed(*arguments, "-o", "json", code=exit_code).answer
    assert error["code"] == code and error["hint"]
    assert error["message"] in story
    return str(error["message"])


def test_generating_where_it_cannot_be(plain_database: Database) -> None:
    url = plain_database.owner_dsn
    message = fails_alike(1, "database.refused", *GENERATE, "--db-url", url)
    assert "public.organizations" in message
    wrong = dsn.replace(url, password=SECRET)
    message = fails_alike(1, "database.unreachable", *GENERATE, "--db-url", wrong)
    assert "password authentication failed" in message and SECRET not in message
    pooler = "postgresql://postgres@127.0.0.1:6543/postgres"
    fails_alike(2, "dsn.transaction_pooler", *GENERATE, "--db-url", pooler)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_generating_leaves_no_half_organization(
    database: Database, sent: signal.Signals, code: int
) -> None:
    arguments = ["--organizations", "400", "--contacts", "200000", "--db-url", database.owner_dsn]
    process = subprocess.Popen(
        fix_cli.command("seed", "generate", *arguments),
        env=fix_cli.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with database.connect(autocommit=True) as conn:
        begun = "select exists (select from public.organizations where slug like 'generated-%')"
        for _ in range(400):
            if conn.execute(begun.encode()).fetchone() == (True,):
                break
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(sent)
        _, story = process.communicate(timeout=60)
        assert process.returncode == code, story
        assert "interrupted" in story and "Traceback" not in story
        counted = conn.execute(
            "select distinct (select count(*) from public.contacts as c"
            " where c.organization_id = o.id) from public.organizations as o"
            " where o.slug like 'generated-%' order by 1"
        ).fetchall()
    assert counted in ([(0,)], [(0,), (500,)])


def test_policies_without_a_file(harmonia: Harmonia) -> None:
    for command in ("compile", "check"):
        message = harmonia.fails(2, "project.folder_missing", "policies", command)
        assert str(harmonia.supabase / "policies") in message
    (harmonia.supabase / "policies" / "10_first.sql").write_text(
        "call private.lock_down('public.first');\n"
    )
    assert harmonia.works("policies", "compile")["changed"] == ["10_first.sql"]
