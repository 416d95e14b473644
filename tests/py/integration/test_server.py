"""A throw-away server leaves nothing behind, whatever happens to the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from harmonia_py import dsn, platform
from harmonia_py.engines import Database, EmbeddedEngine, Engine, binaries, catalogue, cluster
from harmonia_py.engines.server import Server
from harmonia_py.engines.url import CannotCreateDatabase, UrlEngine
from harmonia_py.errors import BinariesNotFound, DatabaseUnreachable, PoolerRefused

ROOT = Path(__file__).resolve().parents[3]
START = """
import sys
from harmonia_py.engines import binaries
from harmonia_py.engines.server import Server
server = Server(binaries.find())
print(server.pid, server.root, flush=True)
sys.stdin.read()
"""


def gone(pid: int, root: Path) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        running = Path(f"/proc/{pid}/cmdline")
        if not root.exists() and not (running.exists() and running.read_bytes()):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_dies_with_its_parent(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid, root = parent.stdout.readline().split(" ", 1)
        assert Path(root.strip()).is_dir()
        parent.send_signal(number)
        parent.wait(30)
    assert gone(int(pid), Path(root.strip()))


def test_stops_when_a_block_raises() -> None:
    with pytest.raises(ZeroDivisionError), Server(binaries.find()) as server:
        pid, root = server.pid, server.root
        raise ZeroDivisionError
    assert pid is not None
    assert gone(pid, root)


@pytest.mark.parametrize("durable", [True, False])
def test_a_durable_engine_waits_for_the_disk(durable: bool) -> None:
    """Measurements rest on it: what the command line says cannot be changed by ALTER SYSTEM."""
    names = ["fsync", "synchronous_commit", "full_page_writes"]
    with EmbeddedEngine(durable=durable) as engine, engine.database() as database:
        with database.connect_admin() as admin:
            rows = admin.execute(
                "select setting from pg_settings where name = any(%s)", [names]
            ).fetchall()
            where = admin.execute("select current_setting('data_directory')").fetchone()
    assert {row[0] for row in rows} == {"on" if durable else "off"}
    assert where is not None
    if durable:
        assert not where[0].startswith("/dev/shm")


def test_asks_for_a_password_over_tcp() -> None:
    with EmbeddedEngine() as engine:
        database = engine.create_database()
        with pytest.raises(DatabaseUnreachable, match="password authentication failed") as caught:
            dsn.connect(dsn.replace(database.owner_dsn, password="wrong"))
        assert "wrong" not in str(caught.value)
        with dsn.connect(database.dsn_as("authenticator")) as conn:
            row = conn.execute("select current_user::text").fetchone()
            assert row == ("authenticator",)


def test_wished_binaries_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(BinariesNotFound, match=str(tmp_path)) as caught:
        binaries.find(tmp_path)
    assert "--pg-bin" in (caught.value.hint or "")


def test_binaries_that_are_too_old(tmp_path: Path) -> None:
    for name in ("initdb", "postgres", "pg_ctl"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.11'\n")
        program.chmod(0o755)
    with pytest.raises(BinariesNotFound, match="15 or newer"):
        binaries.find(tmp_path)


def test_no_binaries_at_all_says_where_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARMONIA_PG_BIN", raising=False)
    monkeypatch.setattr(binaries, "_places", lambda: iter([(Path("/nowhere"), "path")]))
    with pytest.raises(BinariesNotFound, match="/nowhere"):
        binaries.find()


def test_url_engine_makes_and_drops_its_own_database(plain_database: Database) -> None:
    assert plain_database.admin_dsn is not None
    engine = UrlEngine(plain_database.admin_dsn)
    with engine.database() as made:
        assert made.name != plain_database.name
        with made.connect() as conn:
            assert conn.execute("select auth.uid()").fetchone() == (None,)
    with plain_database.connect() as conn:
        left = conn.execute("select from pg_database where datname = %s", [made.name]).fetchone()
    assert left is None
    with pytest.raises(CannotCreateDatabase):
        engine.drop_database(plain_database.name)


def test_url_engine_without_the_right_to_create(plain_database: Database) -> None:
    engine = UrlEngine(plain_database.dsn_as("authenticator"))
    with pytest.raises(CannotCreateDatabase, match="authenticator"), engine.database():
        pytest.fail("a database was made")
    assert engine.target().admin_dsn is None


def test_url_engine_refuses_the_transaction_pooler() -> None:
    with pytest.raises(PoolerRefused):
        UrlEngine("postgresql://ann@pooler.example.com:6543/postgres")


def test_dropping_ends_open_sessions(engine: Engine) -> None:
    database = engine.create_database()
    with database.connect():
        engine.drop_database(database.name)
        engine.drop_database(database.name)
    with pytest.raises(DatabaseUnreachable, match="does not exist"):
        database.connect()


def test_a_server_made_by_postgres_can_be_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ADMIN", "postgres")
    with Server(binaries.find()) as server:
        url = make_conninfo(
            "", host=str(server.socket_dir), port=server.port, user="postgres", dbname="postgres"
        )
        with dsn.connect(url) as conn:
            result = platform.prepare(conn)
            assert (result.outcome, result.superuser_owner) == (platform.Outcome.built, True)
            assert platform.prepare(conn).outcome is platform.Outcome.current
            owner = conn.execute(
                "select pg_get_userbyid(relowner) from pg_class"
                " where oid = 'realtime.subscription'::regclass"
            ).fetchone()
            assert owner == ("supabase_admin",)


def test_a_server_without_extension_paths_gets_stand_ins_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue, "complete", lambda *_: {})
    with EmbeddedEngine() as engine, engine.database() as database, database.connect() as conn:
        assert "supabase_vault" in platform.stand_ins(conn)
        assert conn.execute("select vault.create_secret('s', 'n') is not null").fetchone() == (
            True,
        )
