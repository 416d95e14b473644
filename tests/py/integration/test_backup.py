"""Backups: what comes back, and what is refused before anything is restored."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fix_database import make_engine
from fix_disk import full
from fix_killed import eventually, killable
from psycopg import sql

from harmonia_py import audit, dsn
from harmonia_py.connection import session
from harmonia_py.engines import Database, Engine, binaries
from harmonia_py.errors import (
    DatabaseRefused,
    FileDamaged,
    HarmoniaError,
    NotWritable,
    Refused,
    ToolMissing,
    UsageError,
)
from harmonia_py.isolation import runner
from harmonia_py.isolation.model import load
from harmonia_py.lifecycle import backup, catalog, stream

ROOT = Path(__file__).resolve().parents[3]
KEY = bytes(range(32))
SIGNING = Ed25519PrivateKey.from_private_bytes(KEY)


def admin_of(database: Database) -> str:
    assert database.admin_dsn is not None
    return database.admin_dsn


def everything(url: str) -> dict[str, object]:
    with session(url) as conn:
        orgs = [r[0] for r in conn.execute("select id from public.organizations order by id")]
        return {
            f"{t.name} {o}": catalog.fingerprint(conn, t, o)
            for t in catalog.tables(conn, exported=False)
            for o in orgs
        }


def test_backup_wipe_restore(database: Database, engine: Engine, tmp_path: Path) -> None:
    url = admin_of(database)
    audit.seal(url, SIGNING)
    before = everything(url)
    made = backup.create(url, tmp_path, KEY)
    assert made.rows and made.rows > 100
    assert [b.path for b in backup.listing(tmp_path)] == [made.path]
    assert backup.verify(made.path, KEY) == made
    name = database.name
    engine.drop_database(name)
    done = backup.restore(made.path, KEY, url)
    assert done.rows == made.rows and everything(url) == before
    report = audit.verify(url, public_key=SIGNING.public_key())
    assert report.ok and report.sealed_events == report.events > 0
    with session(url) as conn:
        open_tables = conn.execute(
            "select count(*) from pg_class where relnamespace in ('public'::regnamespace,"
            " 'private'::regnamespace, 'audit'::regnamespace) and relkind in ('r', 'p')"
            " and not (relrowsecurity and relforcerowsecurity)"
        ).fetchone()
        assert open_tables == (0,)
    # What keeps tenants apart came back as well, and the judge leaves the rows as they were.
    verdict = runner.verify(database.owner_dsn, model=load(ROOT / "harmonia.toml"))
    assert verdict.exit_code() == 0 and verdict.findings == () and len(verdict.cells) > 1000
    assert everything(url) == before
    with pytest.raises(Refused, match="not empty"):
        backup.restore(made.path, KEY, url)
    content = made.path.read_bytes()
    assert b"alder" not in content and b"PGDMP" not in content


def test_damage_is_refused_before_anything_is_restored(database: Database, tmp_path: Path) -> None:
    url = admin_of(database)
    made = backup.create(url, tmp_path, KEY)
    target = dsn.replace(url, dbname=f"scratch_{uuid4().hex[:8]}")
    good = made.path.read_bytes()
    chance = random.Random(7)  # the same places in every run
    size = len(good)
    places = [0, 4, 7, 8, 20, 60, 100, 200, size // 2, size - 17, size - 1]
    for place in places + [chance.randrange(size) for _ in range(40)]:
        made.path.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        with pytest.raises(FileDamaged):
            backup.restore(made.path, KEY, target)
    for end in (0, 3, 50, size // 3, size - 16, size - 1):
        made.path.write_bytes(good[:end])
        with pytest.raises(FileDamaged):
            backup.restore(made.path, KEY, target)
    made.path.write_bytes(good + b"x")
    with pytest.raises(FileDamaged):
        backup.restore(made.path, KEY, target)
    made.path.write_bytes(good)
    with pytest.raises(FileDamaged):
        backup.restore(made.path, bytes(32), target)
    with session(url) as conn:
        left = conn.execute(
            "select count(*) from pg_database where datname = %s", [dsn.parse(target)["dbname"]]
        ).fetchone()
    assert left == (0,)
    assert backup.verify(made.path, KEY)


def test_a_restore_that_fails_restores_nothing(database: Database, tmp_path: Path) -> None:
    """As a role that may not give objects away: one transaction, so the target stays empty."""
    made = backup.create(admin_of(database), tmp_path, KEY)
    target = dsn.replace(database.owner_dsn, dbname=f"scratch_{uuid4().hex[:8]}")
    with pytest.raises(HarmoniaError, match="pg_restore failed"):
        backup.restore(made.path, KEY, target)
    admin = dsn.replace(admin_of(database), dbname=dsn.parse(target)["dbname"])
    done = backup.restore(made.path, KEY, admin)
    assert done.rows == made.rows
    with session(admin_of(database)) as conn:
        conn.execute(f'drop database "{dsn.parse(target)["dbname"]}"'.encode())


def test_retention_by_age(database: Database, tmp_path: Path) -> None:
    url = admin_of(database)
    made = [backup.create(url, tmp_path, KEY) for _ in range(3)]
    (tmp_path / f"old{backup.SUFFIX}").write_bytes(b"not one of ours")
    # Another database's, made long ago: the last there is of it stays, whatever else is there.
    other = tmp_path / f"other-1{backup.SUFFIX}"
    for path, header in (
        (other, {"database": "other", "created_at": "2020-01-01T00:00:00+00:00"}),
        (tmp_path / f"odd{backup.SUFFIX}", {"database": "odd", "created_at": 7}),
        (tmp_path / f"bare{backup.SUFFIX}", {"created_at": "2020-01-01T00:00:00"}),
    ):
        with stream.sealed(path, KEY, {"kind": "backup", **header}) as out:
            out.write(b"x")
    later = made[-1].created_at + timedelta(days=31)
    assert backup.prune(tmp_path, KEY, keep=timedelta(days=60), at_least=1, now=later).deleted == []
    gone = backup.prune(tmp_path, KEY, keep=timedelta(days=30), at_least=2, now=later)
    assert (gone.deleted, gone.damaged) == ([made[0].path], [other])
    assert [b.path for b in backup.listing(tmp_path)] == [made[2].path, made[1].path, other]


NOW = datetime(2026, 6, 1, tzinfo=UTC)


def saved(folder: Path, days: int, *, key: bytes = KEY, name: str = "crm") -> Path:
    """Return a backup of an empty database, made so many days ago."""
    made = NOW - timedelta(days=days)
    path = folder / f"{name}-{days}{backup.SUFFIX}"
    header = {"kind": "backup", "created_at": made.isoformat(), "database": name}
    manifest = json.dumps({"tables": {}}).encode()
    with stream.sealed(path, key, header) as out:
        out.write(struct.pack(">I", len(manifest)) + manifest)
    return path


def pruned(folder: Path, *, at_least: int, key: bytes = KEY) -> backup.Pruned:
    return backup.prune(folder, key, keep=timedelta(days=30), at_least=at_least, now=NOW)


@pytest.mark.parametrize("how", ["cut off", "a byte", "the header", "another key"])
def test_damaged_backups_do_not_count(tmp_path: Path, how: str) -> None:
    """They did, and the last good ones were deleted beside them."""
    paths = {days: saved(tmp_path, days) for days in (1, 2, 40, 50, 60, 70)}
    damaged = [paths[1], paths[40]]
    for path in damaged:
        good = path.read_bytes()
        if how == "cut off":
            path.write_bytes(good[:-1])
        elif how == "a byte":
            path.write_bytes(good[:-20] + bytes([good[-20] ^ 1]) + good[-19:])
        elif how == "the header":
            path.write_bytes(good.replace(b"+00:00", b"+00:01", 1))
        else:
            path.unlink()
            saved(tmp_path, int(path.stem.partition("-")[2]), key=bytes(32))
    assert pruned(tmp_path, at_least=5) == backup.Pruned([], damaged)
    assert pruned(tmp_path, at_least=3) == backup.Pruned([paths[70]], damaged)
    assert pruned(tmp_path, at_least=2) == backup.Pruned([paths[60]], damaged)
    left = [backup.verify(paths[days], KEY).path for days in (2, 50)]
    assert set(tmp_path.iterdir()) == {*left, *damaged}


def test_the_wrong_key_deletes_nothing(tmp_path: Path) -> None:
    paths = [saved(tmp_path, days) for days in (1, 40, 50)]
    assert pruned(tmp_path, at_least=1, key=bytes(32)) == backup.Pruned([], paths)
    assert pruned(tmp_path, at_least=1) == backup.Pruned(paths[1:], [])


def test_a_copy_of_a_backup_is_no_second_one(tmp_path: Path) -> None:
    first, old = saved(tmp_path, 1), saved(tmp_path, 40)
    shutil.copy(first, tmp_path / f"copy{backup.SUFFIX}")
    assert pruned(tmp_path, at_least=2).deleted == []
    saved(tmp_path, 2)
    assert pruned(tmp_path, at_least=2).deleted == [old]


def test_where_nothing_is_old_enough_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, 1)
    saved(tmp_path, 40, name="other")
    read: list[Path] = []
    opened = stream.opened

    def noted(path: Path, key: bytes) -> Iterator[bytes]:
        read.append(path)
        return opened(path, key)

    monkeypatch.setattr(stream, "opened", noted)
    assert pruned(tmp_path, at_least=1) == backup.Pruned([], [])
    assert read == [tmp_path / "other-40.hbk"]


def test_what_else_lies_in_the_folder_stops_no_pruning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder, a link that leads nowhere, and a backup that becomes whole as one looks."""
    (tmp_path / "a.hbk.partial").mkdir()
    (tmp_path / "b.hbk.partial").symlink_to("/nowhere")
    for name in ("c.hbk.partial", "d.hbk.partial"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (0, 0))
    glob = Path.glob

    def and_then(folder: Path, pattern: str) -> list[Path]:
        found = list(glob(folder, pattern))
        (tmp_path / "d.hbk.partial").rename(tmp_path / "d.whole")
        return found

    monkeypatch.setattr(Path, "glob", lambda f, p: and_then(f, p) if "partial" in p else glob(f, p))
    assert backup.prune(tmp_path, KEY, keep=timedelta(days=30)).deleted == [
        tmp_path / "c.hbk.partial"
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.hbk.partial",
        "b.hbk.partial",
        "d.whole",
    ]


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_may_not_be_read_is_not_taken_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A folder of backups was an empty one to whoever may not list it."""
    old, _ = saved(tmp_path, 40), saved(tmp_path, 1)

    def refused(path: object, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        if what == "folder":
            patch.setattr(os, "listdir", refused)
        else:
            # Root may read it: as if it were not.
            patch.setattr(Path, "open", refused)
            patch.setattr(os, "access", lambda *_: False)
        for act in (lambda: backup.listing(tmp_path), lambda: pruned(tmp_path, at_least=1)):
            with pytest.raises(UsageError, match=r"cannot read .*: Permission|may not be read"):
                act()
    assert pruned(tmp_path, at_least=1).deleted == [old]


def test_what_cannot_be_deleted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.hbk.partial").write_bytes(b"x")
    os.utime(tmp_path / "a.hbk.partial", (0, 0))

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        with pytest.raises(NotWritable, match=r"cannot delete .*a\.hbk\.partial: Permission"):
            backup.prune(tmp_path, KEY, keep=timedelta(days=30))
    assert backup.prune(tmp_path, KEY, keep=timedelta(days=30)).deleted == [
        tmp_path / "a.hbk.partial"
    ]


def test_a_slash_in_the_name_of_a_database_leads_to_no_other_folder(
    engine: Engine, tmp_path: Path
) -> None:
    with engine.database() as empty:
        assert empty.admin_dsn is not None
        url = dsn.replace(empty.admin_dsn, dbname=f"../{uuid4()}")
        with session(empty.admin_dsn) as conn:
            name = sql.Identifier(dsn.parse(url)["dbname"])
            conn.execute(sql.SQL("create database {}").format(name))
        try:
            (tmp_path / "in").mkdir()
            made = backup.create(url, tmp_path / "in", KEY)
            assert made.path.parent == tmp_path / "in"
            assert backup.listing(tmp_path / "in")[0].database == dsn.parse(url)["dbname"]
            assert backup.verify(made.path, KEY).database == dsn.parse(url)["dbname"]
        finally:
            with session(empty.admin_dsn) as conn:
                conn.execute(sql.SQL("drop database {}").format(name))


def test_a_full_disk_leaves_no_backup(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(monkeypatch)
    with pytest.raises(NotWritable, match="No space left"):
        backup.create(admin_of(database), tmp_path, KEY)
    assert list(tmp_path.iterdir()) == []


def test_restored_on_another_server_it_stands(
    database: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The machine is gone: a new server with the environment, and the file."""
    url = admin_of(database)
    audit.seal(url, SIGNING)
    before = everything(url)
    made = backup.create(url, tmp_path, KEY)
    another = make_engine(request.config)
    try:
        with another.database() as prepared:
            assert prepared.admin_dsn is not None
            with prepared.connect_admin() as admin:
                missing = admin.execute(
                    "select 1 from pg_roles where rolname = 'harmonia_vault'"
                ).fetchone()
            target = dsn.replace(prepared.admin_dsn, dbname="crm_again")
            if missing is None:
                with pytest.raises(HarmoniaError, match="harmonia_vault"):
                    backup.restore(made.path, KEY, target)
                with prepared.connect_admin(autocommit=True) as admin:
                    admin.execute("create role harmonia_vault nologin noinherit")
            done = backup.restore(made.path, KEY, target)
            assert done.rows == made.rows and everything(target) == before
            report = audit.verify(target, public_key=SIGNING.public_key())
            assert report.ok and report.sealed_events > 0
    finally:
        another.close()


def test_a_role_that_may_not_is_told_so(database: Database, tmp_path: Path) -> None:
    url, role = admin_of(database), f"r{uuid4().hex}"
    theirs = dsn.replace(url, user=role, password="x")
    made = backup.create(url, tmp_path, KEY)
    with session(url) as conn:
        conn.execute(sql.SQL("create role {} login password 'x'").format(sql.Identifier(role)))
        try:
            with pytest.raises(DatabaseRefused, match="permission denied for"):
                backup.create(theirs, tmp_path, KEY)
            with pytest.raises(DatabaseRefused, match="permission denied to create database"):
                backup.restore(made.path, KEY, dsn.replace(theirs, dbname=role))
        finally:
            conn.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
    assert list(tmp_path.iterdir()) == [made.path]


def test_of_several_restores_at_once_one_is_done(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = admin_of(database)
    made = backup.create(url, tmp_path, KEY)
    target = dsn.replace(url, dbname=f"r{uuid4().hex}")
    together, check = Barrier(3, timeout=30), backup._check_roles

    def checked(*given: Any) -> None:
        check(*given)
        together.wait()

    monkeypatch.setattr(backup, "_check_roles", checked)
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(backup.restore, made.path, KEY, target) for _ in range(3)]
        failures = [run.exception() for run in runs]
    assert failures.count(None) == 1, failures
    assert all(isinstance(failure, HarmoniaError | None) for failure in failures), failures
    assert everything(target) == everything(url)


def test_nowhere_to_write_and_nothing_to_write_with(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = admin_of(database)
    with pytest.raises(NotWritable, match="there is no folder"):
        backup.create(url, tmp_path / "missing", KEY)
    monkeypatch.setattr(binaries, "installed", list)
    with pytest.raises(ToolMissing, match="no pg_dump for PostgreSQL"):
        backup.create(url, tmp_path, KEY)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys, time
from pathlib import Path
from harmonia_py.isolation import runner
from harmonia_py.isolation.model import load
from harmonia_py.lifecycle import backup, stream

opened, calls = stream.opened, []

def slowly(path, key):
    calls.append(path)
    for piece in opened(path, key):
        if len(calls) == 2:  # the first reading proves the file, the second restores
            yield piece[:20000]
            print("restoring", flush=True)
            time.sleep(60)
        yield piece

stream.opened = slowly
backup.restore(Path(sys.argv[1]), bytes(range(32)), sys.stdin.readline().strip())
"""


def test_a_restore_killed_in_the_middle_starts_again(database: Database, tmp_path: Path) -> None:
    url = admin_of(database)
    made = backup.create(url, tmp_path, KEY)
    target = dsn.replace(url, dbname=f"scratch_{uuid4().hex[:8]}")
    with killable(KILLED, target, str(made.path)) as lines:
        assert next(lines) == "restoring\n"
    done = eventually(lambda: backup.restore(made.path, KEY, target))
    assert done.rows == made.rows
    with session(url) as conn:
        conn.execute(f'drop database "{dsn.parse(target)["dbname"]}" with (force)'.encode())


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """Opening a pipe would wait for whoever writes into it."""
    os.mkfifo(tmp_path / "pipe.hbk")
    with pytest.raises(FileDamaged, match="not a file"):
        backup.verify(tmp_path / "pipe.hbk", KEY)
    assert backup.listing(tmp_path) == []
    assert backup.prune(tmp_path, KEY, keep=timedelta(days=1)).deleted == []


def test_the_programs_connect_as_we_do(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password file, as libpq has it: in the environment or in the URL."""
    url = admin_of(database)
    values = dsn.parse(url)
    password = values.pop("password")
    passwords = tmp_path / "passwords"
    passwords.write_text(f"*:*:*:*:{password}\n")
    passwords.chmod(0o600)
    assert "PGPASSFILE" not in os.environ
    without = " ".join(f"{key}={value}" for key, value in values.items())
    assert backup.create(f"{without} passfile={passwords}", tmp_path, KEY).rows
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    made = backup.create(without, tmp_path, KEY)
    there = dsn.replace(without, dbname="restored 'a=b'")
    assert backup.restore(made.path, KEY, there).rows == made.rows
    with session(url) as conn:
        conn.execute(b"drop database \"restored 'a=b'\" with (force)")
