"""The matrix over HTTP says what it says in SQL, and notices when it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fix_api import SECRET, reset_guard
from harmonia_cli.main import app
from psycopg import sql
from typer.testing import CliRunner

from harmonia_py.engines import Database, Engine
from harmonia_py.errors import UsageError
from harmonia_py.isolation.through import through_postgrest
from harmonia_py.postgrest import PostgREST

Server = tuple[Database, PostgREST]


@pytest.fixture
def server(engine: Engine, template_database: str, postgrest_binary: Path) -> Iterator[Server]:
    with (
        engine.database(template=template_database) as database,
        PostgREST(
            database.dsn_as("authenticator"),
            secret=SECRET,
            binary=postgrest_binary,
            settings={"PGRST_DB_TX_END": "commit-allow-override"},
        ) as postgrest,
    ):
        with database.connect() as conn:
            reset_guard(conn)
        yield database, postgrest


def rows(database: Database) -> dict[str, str]:
    """Return what the tables of the schema hold, each as one hash."""
    with database.connect() as conn:
        names = conn.execute(
            "select tablename from pg_catalog.pg_tables where schemaname = 'public'"
        ).fetchall()
        found = {}
        for (name,) in names:
            row = conn.execute(
                sql.SQL(
                    "select count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0)"
                    " from {} as t"
                ).format(sql.Identifier("public", name))
            ).fetchone()
            assert row is not None
            found[name] = row[0]
    assert found["contacts"][0] != "0"
    return found


def test_http_and_sql_agree_in_every_cell(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    database, postgrest = server
    before = rows(database)
    monkeypatch.setenv("PGRST_JWT_SECRET", SECRET)
    result = CliRunner().invoke(
        app,
        [
            "verify",
            "--through-postgrest",
            postgrest.url,
            "--db-url",
            database.owner_dsn,
            "-o",
            "json",
        ],
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)["data"]
    cells = report["cells"]
    assert len(cells) > 300
    assert all(cell["expected"] == cell["actual"] for cell in cells)
    assert {cell["command"] for cell in cells} == {"select", "insert", "update", "delete"}
    assert {cell["actual"] for cell in cells if cell["scope"] == "foreign"} == {"deny"}
    # The positive control: people do reach their own rows, by every command.
    allowed = {cell["command"] for cell in cells if cell["actual"] == "allow"}
    assert allowed == {"select", "insert", "update", "delete"}
    # And nothing stayed behind.
    assert rows(database) == before


def test_a_hole_and_a_difference_are_found(server: Server) -> None:
    database, postgrest = server
    with database.connect(autocommit=True) as conn:
        conn.execute("create policy hole on public.tags for select to authenticated using (true)")
        # The guard refuses over HTTP what SQL allows.
        conn.execute(
            "create or replace function private.pre_request() returns void language plpgsql as $$"
            " begin if current_setting('request.path') = '/pipelines' then"
            " perform private.fail(403, 'x', 'x'); end if; end $$"
        )
    report = through_postgrest(
        database.owner_dsn,
        postgrest.url,
        SECRET,
        tables=["public.tags", "public.pipelines", "public.contacts"],
    )
    assert report.exit_code() == 5
    assert {f.object for f in report.findings if f.is_breach} == {"public.tags"}
    differs = {f.object for f in report.findings if f.rule == "http.differs"}
    assert differs == {"public.pipelines"}


def test_a_server_that_keeps_writes_is_only_read(server: Server, postgrest_binary: Path) -> None:
    database, _ = server
    with PostgREST(
        database.dsn_as("authenticator"), secret=SECRET, binary=postgrest_binary
    ) as keeps:
        report = through_postgrest(database.owner_dsn, keeps.url, SECRET, tables=["public.tags"])
    assert {cell.command for cell in report.cells} == {"select"}
    assert any(item.object == "writes" for item in report.not_judged)
    with pytest.raises(UsageError):
        through_postgrest(database.owner_dsn, "https://db.example.com", SECRET)
