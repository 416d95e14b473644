"""Migrations of other people's projects apply, with every help reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmonia_py import platform
from harmonia_py.engines import Database
from harmonia_py.platform.projects import ProjectApplied, apply_project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "migrations"
    path.mkdir()
    return path


def apply(
    database: Database, folder: Path, *files: str, keep_going: bool = False
) -> ProjectApplied:
    for number, text in enumerate(files, start=1):
        (folder / f"{number:03d}_step.sql").write_text(text)
    return apply_project(database, folder, keep_going=keep_going)


def said(result: ProjectApplied) -> list[str]:
    return [entry.said for entry in result.remedied]


# A statement that needs help, a query that is true afterwards, and what the report must say.
HELPED = {
    "dump header": (
        "\\restrict abc\nSET transaction_timeout = 0;\nSET no_such_setting = 0;\n"
        "create table public.t (id integer);\n\\unrestrict abc\n",
        "select to_regclass('public.t') is not null",
        "psql",
    ),
    "extension with a version": (
        "create extension if not exists pg_trgm with schema extensions version '9.9';",
        "select exists (select from pg_extension where extname = 'pg_trgm')",
        "version of pg_trgm",
    ),
    "extension that is nowhere": (
        'create extension if not exists "no_such_thing" with schema extensions;',
        "select true",
        "no_such_thing is not here",
    ),
    "cron enabled in the dashboard": (
        "select cron.schedule('nightly', '0 3 * * *', 'select 1');",
        "select count(*) = 1 from cron.job",
        "pg_cron enabled",
    ),
    "net enabled in the dashboard": (
        "do $$ begin perform net.http_post('http://example.com'); end $$;",
        "select count(*) = 1 from net.http_request_queue",
        "pg_net enabled",
    ),
    "vector enabled in the dashboard": (
        "create table public.docs (id integer, embedding extensions.vector(3));\n"
        "create index on public.docs using hnsw (embedding extensions.vector_cosine_ops)"
        " with (m = 16, ef_construction = 64);",
        "select count(*) = 1 from pg_indexes where tablename = 'docs'",
        "vector enabled",
    ),
    "trigrams enabled in the dashboard": (
        "create table public.t (name text);\n"
        "create index t_name on public.t using gin (name gin_trgm_ops);",
        "select to_regclass('public.t_name') is not null",
        "pg_trgm enabled",
    ),
    "event trigger": (
        "create function public.watch() returns event_trigger language plpgsql as"
        " 'begin end';\ncreate event trigger watch on ddl_command_end execute function"
        " public.watch();",
        "select exists (select from pg_event_trigger where evtname = 'watch')",
        "platform's rights",
    ),
    "setting of the database": (
        "alter database postgres set app.settings.key = 'value';",
        "select count(*) = 1 from pg_db_role_setting as s join pg_database as d"
        " on d.oid = s.setdatabase where datname = current_database()",
        "this database",
    ),
    "transaction control": (
        "begin;\ncreate table public.t (id integer);\ncommit;",
        "select to_regclass('public.t') is not null",
        "one transaction",
    ),
    "concurrently": (
        "create table public.t (id integer);\ncreate index concurrently t_id on public.t (id);",
        "select to_regclass('public.t_id') is not null",
        "concurrently",
    ),
    "default privileges of another role": (
        "alter default privileges for role supabase_admin in schema public grant select on tables"
        " to anon;",
        "select true",
        "platform's rights",
    ),
    "deleting stored files": (
        "delete from storage.objects where bucket_id = 'old';",
        "select true",
        "stored files",
    ),
    "role of the platform": (
        "grant usage on schema public to supabase_privileged_role;",
        "select exists (select from pg_roles where rolname = 'supabase_privileged_role')",
        "supabase_privileged_role created",
    ),
    "fixed schema": (
        "create extension pgmq with schema extensions;",
        "select to_regnamespace('pgmq') is not null",
        "schema of pgmq",
    ),
}


@pytest.mark.parametrize("name", HELPED)
def test_a_remedy_helps_and_is_reported(plain_database: Database, folder: Path, name: str) -> None:
    text, query, words = HELPED[name]
    result = apply(plain_database, folder, text)
    assert result.failed == []
    assert any(words in entry for entry in said(result)), said(result)
    assert all(entry.file == "001_step.sql" for entry in result.remedied)
    with plain_database.connect() as conn:
        assert conn.execute(query.encode()).fetchone() == (True,)


def test_what_needs_no_help_gets_none(plain_database: Database, folder: Path) -> None:
    result = apply(
        plain_database,
        folder,
        "create table public.notes (id uuid primary key default gen_random_uuid(),"
        " user_id uuid references auth.users on delete cascade);\n"
        "alter table public.notes enable row level security;\n"
        "create policy p on public.notes using (auth.uid() = user_id);\n"
        "create policy p on storage.objects for select using (bucket_id = 'b');\n"
        "insert into storage.buckets (id, name) values ('b', 'b');\n"
        "create extension if not exists pgcrypto;\ncreate extension if not exists pg_cron;\n",
    )
    assert (result.failed, result.remedied) == ([], [])
    with plain_database.connect() as conn:
        owner = conn.execute("select tableowner from pg_tables where tablename = 'notes'")
        assert owner.fetchone() == ("postgres",)
        assert "pg_cron" in platform.stand_ins(conn)


@pytest.mark.parametrize(
    "text",
    [
        "create table public.t (id integer);\nselect no_such_column from public.t;",
        "create table public.t (id integer);\nalter role postgres superuser;",
        "create table public.t (id integer);\nset role supabase_admin;",
        "create table public.t (id integer);\ncopy public.t from program 'true';",
        "create table public.t (id integer);\nselect pg_read_file('/etc/passwd');",
    ],
)
def test_what_the_platform_refuses_fails_and_leaves_nothing(
    plain_database: Database, folder: Path, text: str
) -> None:
    result = apply(plain_database, folder, text, "create table public.after (id integer);")
    assert [(entry.file, entry.line) for entry in result.failed] == [("001_step.sql", 2)]
    assert result.applied == []
    with plain_database.connect() as conn:
        assert conn.execute("select to_regclass('public.t')").fetchone() == (None,)
        assert conn.execute("select to_regclass('public.after')").fetchone() == (None,)


def test_keep_going_applies_the_rest(plain_database: Database, folder: Path) -> None:
    result = apply(
        plain_database,
        folder,
        "select 1 / 0;",
        "set search_path = ''; create table public.after (id integer);",
        "create table still_public (id integer);",
        keep_going=True,
    )
    assert result.applied == ["002_step.sql", "003_step.sql"]
    assert [(entry.reason, entry.statement) for entry in result.failed] == [
        ("division by zero", "select 1 / 0")
    ]
    with plain_database.connect() as conn:
        assert conn.execute("select to_regclass('public.still_public')::text").fetchone() == (
            "still_public",
        )


def test_file_names_the_cli_would_skip(plain_database: Database, folder: Path) -> None:
    (folder / "notes.sql").write_text("create table public.never (id integer);")
    result = apply(plain_database, folder, "create table public.t (id integer);")
    assert (result.skipped, result.applied) == (["notes.sql"], ["001_step.sql"])


def test_policies_keep_their_schema(plain_database: Database, folder: Path) -> None:
    apply(
        plain_database,
        folder,
        "create table public.t (user_id uuid);\n"
        "create policy p on public.t using (user_id = auth.uid());",
    )
    with plain_database.connect() as conn:
        row = conn.execute("select qual from pg_policies where tablename = 't'").fetchone()
        assert row == ("(user_id = auth.uid())",)


ENCODED = {
    "byte order mark": (
        "create table public.t (id integer);\r\n".encode("utf-8-sig"),
        "byte order",
    ),
    "UTF-16": ("create table public.t (id integer);".encode("utf-16"), "read as UTF-16"),
    "not UTF-8": (b"create table public.t (id integer); -- caf\xe9\n", "not UTF-8"),
    "NUL": (b"create table public.t (id integer);\0\0\n", "NUL"),
}


@pytest.mark.parametrize("name", ENCODED)
def test_files_of_any_editor_are_read(plain_database: Database, folder: Path, name: str) -> None:
    data, words = ENCODED[name]
    (folder / "001_step.sql").write_bytes(data)
    result = apply_project(plain_database, folder)
    assert result.failed == []
    assert any(words in entry for entry in said(result)), said(result)
    with plain_database.connect() as conn:
        assert conn.execute("select to_regclass('public.t') is not null").fetchone() == (True,)


def test_a_project_may_read_its_own_history(plain_database: Database, folder: Path) -> None:
    result = apply(
        plain_database,
        folder,
        "create function public.latest() returns text language sql stable security definer"
        " set search_path = '' as"
        " 'select max(version) from supabase_migrations.schema_migrations';",
        "create table public.t as select public.latest() as seen;",
        "select 1/0;",
        keep_going=True,
    )
    assert [f.file for f in result.failed] == ["003_step.sql"]
    with plain_database.connect() as conn:
        assert conn.execute("select seen from public.t").fetchone() == ("001",)
        assert conn.execute("select public.latest()").fetchone() == ("002",)
