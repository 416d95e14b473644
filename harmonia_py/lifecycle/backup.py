"""Encrypted backups: pg_dump through authenticated encryption, with a key outside the database.

The plaintext is a manifest (32-bit length, JSON: rows per table, the end of the audit record)
and pg_dump's custom format, both of one snapshot. A restore reads the whole file once to prove
that it is authentic before it changes anything, and compares with the manifest afterwards.
"""

from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from harmonia_py import audit, dsn
from harmonia_py.connection import Connection, told
from harmonia_py.engines import binaries
from harmonia_py.errors import (
    CheckFailed,
    FileDamaged,
    HarmoniaError,
    NotWritable,
    Refused,
    ToolMissing,
    UsageError,
)
from harmonia_py.lifecycle import sql as statements
from harmonia_py.lifecycle import stream

__all__ = [
    "SUFFIX",
    "Backup",
    "Pruned",
    "create",
    "environment",
    "listing",
    "prune",
    "restore",
    "verify",
]

SUFFIX = ".hbk"


@dataclass(frozen=True, slots=True)
class Backup:
    """One file. ``rows`` and ``tables`` are known only once it was opened."""

    path: Path
    created_at: datetime
    database: str
    size: int
    tables: int | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted, and what was not counted because the key does not open it."""

    deleted: list[Path]
    damaged: list[Path]


def create(url: str, folder: Path, key: bytes) -> Backup:
    """Dump the database into a new encrypted file in ``folder``.

    The file appears only when it is complete. Raises :class:`ToolMissing` without a pg_dump that
    is at least as new as the server, :class:`NotWritable` for a full disk, :class:`HarmoniaError`
    with pg_dump's own words.
    """
    now = datetime.now(UTC)
    with _connected(url) as conn:
        tool = _tool("pg_dump", conn.info.server_version // 10_000)
        conn.execute("set transaction isolation level repeatable read, read only")
        snapshot = _value(conn, "select pg_export_snapshot()")
        tables = _counts(conn)
        manifest = {
            "created_at": now.isoformat(),
            "tables": tables,
            "audit": _audit_end(conn),
            "roles": [row[0] for row in conn.execute(statements.load("roles"))],
        }
        header = {
            "kind": "backup",
            "created_at": now.isoformat(),
            "database": conn.info.dbname,
            "server_version": conn.info.server_version,
        }
        # A name of a database may hold a slash.
        name = quote(conn.info.dbname, safe=" ")
        path = folder / f"{name}-{now:%Y%m%dT%H%M%S%fZ}{SUFFIX}"
        text = json.dumps(manifest).encode()
        with stream.sealed(path, key, header) as out:
            out.write(struct.pack(">I", len(text)) + text)
            _dump(tool, url, str(snapshot), out)
    return Backup(
        path, now, str(header["database"]), path.stat().st_size, len(tables), sum(tables.values())
    )


def _dump(tool: str, url: str, snapshot: str, out: stream.Sealer) -> None:
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [tool, "--format=custom", "--no-password", f"--snapshot={snapshot}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment(url),
        )
        try:
            if process.stdout is None:
                raise AssertionError("stdout is a pipe")
            with process.stdout as pipe:
                while block := pipe.read(stream.BLOCK):
                    out.write(block)
            if process.wait() != 0:
                raise HarmoniaError(f"pg_dump failed: {_last(complaints)}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def verify(path: Path, key: bytes) -> Backup:
    """Read the whole file and prove that it is authentic and complete; changes nothing.

    Raises :class:`FileDamaged` for a wrong key, a changed byte, or a file that was cut off.
    """
    manifest, rest = _opened(path, key)
    for _ in rest:
        pass
    return _described(path, manifest)


def restore(path: Path, key: bytes, url: str) -> Backup:
    """Restore into the database that ``url`` names, which must be empty or not exist yet.

    The whole file is proved before the first change; one transaction. Afterwards rows per table
    and the audit record are compared with the manifest. Raises :class:`FileDamaged`,
    :class:`Refused` for a database that is not empty or a server without the roles, and
    :class:`CheckFailed` when what was restored is not what was saved.
    """
    verify(path, key)
    # Authentic since the line above.
    major = int(stream.read_header(path)["server_version"]) // 10_000
    tool = _tool("pg_restore", major)
    manifest, rest = _opened(path, key)
    _check_roles(url, manifest["roles"])
    _ensure_empty(url)
    _run_restore(tool, url, rest)
    with _connected(url) as conn:
        found, expected = _counts(conn), manifest["tables"]
        wrong = sorted(
            name for name in {*found, *expected} if found.get(name) != expected.get(name)
        )
        if wrong:
            raise CheckFailed(f"these tables are not what was saved: {', '.join(wrong)}")
        if _audit_end(conn) != manifest["audit"]:
            raise CheckFailed("the audit record ends elsewhere than when it was saved")
    report = audit.verify(url)
    if not report.ok:
        raise CheckFailed(f"the audit record does not verify: {report.found[0].message}")
    return _described(path, manifest)


@contextmanager
def _connected(url: str, *, autocommit: bool = False) -> Iterator[Connection]:
    with dsn.connect(url, autocommit=autocommit) as conn, told(url, conn):
        yield conn


def _opened(path: Path, key: bytes) -> tuple[dict[str, Any], Iterator[bytes]]:
    pieces = stream.opened(path, key)
    text = b""
    while len(text) < 4 or len(text) < 4 + struct.unpack(">I", text[:4])[0]:
        piece = next(pieces, None)
        if piece is None:
            raise FileDamaged(f"{path} holds no backup")
        text += piece
    length = 4 + struct.unpack(">I", text[:4])[0]

    def rest() -> Iterator[bytes]:
        yield text[length:]
        yield from pieces

    return json.loads(text[4:length]), rest()


def _run_restore(tool: str, url: str, pieces: Iterator[bytes]) -> None:
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [
                tool, "--format=custom", "--no-password", "--exit-on-error",
                "--single-transaction", "--dbname", make_conninfo(dbname=dsn.parse(url)["dbname"]),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            env=environment(url),
        )  # fmt: skip
        try:
            if process.stdin is None:
                raise AssertionError("stdin is a pipe")
            # When it ends early it says why on its own.
            with suppress(BrokenPipeError), process.stdin as pipe:
                for piece in pieces:
                    pipe.write(piece)
            if process.wait() != 0:
                raise HarmoniaError(
                    f"pg_restore failed, nothing was restored: {_last(complaints)}",
                    hint="restore as the role that owned the objects, or a superuser",
                )
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _check_roles(url: str, wanted: list[str]) -> None:
    """Refuse a server that lacks roles: a dump speaks of them and does not hold them."""
    with _connected(dsn.replace(url, dbname="postgres")) as conn:
        there = {row[0] for row in conn.execute("select rolname from pg_roles")}
    missing = [name for name in wanted if name not in there]
    if missing:
        raise Refused(
            f"the server has no role {', '.join(missing)}",
            code="restore.roles",
            status=409,
            hint="prepare another database of it with harmonia platform prepare; else: "
            + " ".join(f"create role {name} nologin;" for name in missing),
        )


def _ensure_empty(url: str) -> None:
    name = dsn.parse(url).get("dbname", "")
    with _connected(dsn.replace(url, dbname="postgres"), autocommit=True) as conn:
        exists = conn.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
        if exists is None:
            # Made meanwhile by another restore: then it is as any that exists.
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                conn.execute(
                    sql.SQL("create database {} template template0").format(sql.Identifier(name))
                )
    with _connected(url) as conn:
        count = _value(conn, statements.load("user_objects"))
        if count:
            raise Refused(
                f"{dsn.redact(url)} is not empty ({count} tables and schemas)",
                code="restore.not_empty",
                status=409,
                hint="name a database that does not exist; it is created",
            )


def listing(folder: Path) -> list[Backup]:
    """Return the backups of a folder, the newest first; files that are none are left out.

    Raises :class:`UsageError` for what may not be read: it could be the only backup there is.
    """
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder {folder}", hint="name the one that backups were written to"
        )
    found = []
    for path in _files(folder):
        try:
            found.append(_described(path, None))
        except FileDamaged:
            if path.is_file() and not os.access(path, os.R_OK):
                raise UsageError(
                    f"{path} may not be read", hint="run as its owner, or as who may read it"
                ) from None
    return sorted(found, key=lambda b: b.created_at, reverse=True)


def _files(folder: Path) -> list[Path]:
    try:
        # Not by a pattern: that finds nothing in a folder it may not read.
        return [folder / name for name in os.listdir(folder) if name.endswith(SUFFIX)]
    except OSError as error:
        raise UsageError(
            f"cannot read {folder}: {error.strerror}",
            hint="run as who may list it and read what is in it",
        ) from None


def prune(
    folder: Path,
    key: bytes,
    *,
    keep: timedelta,
    at_least: int = 3,
    now: datetime | None = None,
) -> Pruned:
    """Delete backups older than ``keep``, never the newest ``at_least`` whole ones of a database.

    Whole is what the key opens to its end: where anything is old enough, the newest are read for
    it, and damaged ones stay. Age is what the file says of itself: an mtime does not survive a
    copy. What interrupted backups left behind goes after a day. Raises :class:`NotWritable` for
    what cannot be deleted.
    """
    moment = now or datetime.now(UTC)
    databases: dict[str, list[Backup]] = {}
    for found in listing(folder):
        databases.setdefault(found.database, []).append(found)
    gone: list[Path] = []
    damaged: list[Path] = []
    for backups in databases.values():
        if moment - backups[-1].created_at > keep:
            kept, broken = _kept(backups, key, max(at_least, 1))
            damaged += broken
            gone += [b.path for b in backups[kept:] if moment - b.created_at > keep]
    gone += [
        path
        for path in folder.glob(f"*{SUFFIX}.partial")
        if (changed := _changed(path)) is not None and moment - changed > timedelta(days=1)
    ]
    for path in gone:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise NotWritable(f"cannot delete {path}: {error.strerror}") from None
    return Pruned(gone, damaged)


def _kept(backups: list[Backup], key: bytes, at_least: int) -> tuple[int, list[Path]]:
    """Return how many of the newest hold so many whole ones, and those of them that are not."""
    whole: set[datetime] = set()  # two of one moment are copies of one
    damaged: list[Path] = []
    for index, found in enumerate(backups):
        if len(whole) == at_least:
            return index, damaged
        try:
            whole.add(verify(found.path, key).created_at)
        except FileDamaged:
            damaged.append(found.path)
    return len(backups), damaged


def _changed(path: Path) -> datetime | None:
    """Return when a file changed; None for what is none, or was renamed meanwhile: it is whole."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return None
    return datetime.fromtimestamp(state.st_mtime, UTC) if stat.S_ISREG(state.st_mode) else None


def _described(path: Path, manifest: dict[str, Any] | None) -> Backup:
    header = stream.read_header(path)
    if header.get("kind") != "backup":
        raise FileDamaged(f"{path} is not a backup")
    try:
        created = datetime.fromisoformat(header["created_at"]).astimezone(UTC)
        database = str(header["database"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise FileDamaged(f"the header of {path} is damaged") from None
    tables = manifest["tables"] if manifest else None
    return Backup(
        path,
        created,
        database,
        _size(path),
        len(tables) if tables is not None else None,
        sum(tables.values()) if tables is not None else None,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:  # pruned by another
        raise FileDamaged(f"cannot read {path}: {error.strerror}") from None


def _counts(conn: Connection) -> dict[str, int]:
    names = conn.execute(statements.load("saved_tables")).fetchall()
    return {
        f"{schema}.{name}": int(
            _value(conn, sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name)))
        )
        for schema, name in names
    }


def _audit_end(conn: Connection) -> list[Any]:
    try:
        with conn.transaction():
            row = conn.execute("select count(*), max(number)::bigint from audit.seals").fetchone()
    except psycopg.errors.UndefinedTable:
        return []
    return list(row) if row else []


def _value(conn: Connection, query: str | bytes | sql.Composed) -> Any:
    row = conn.execute(query if not isinstance(query, str) else query.encode()).fetchone()
    return row[0] if row else None


def _tool(name: str, server_major: int) -> str:
    """Return the program of the nearest version that is not older than the server."""
    found = [
        b for b in binaries.installed() if b.major >= server_major and (b.bin_dir / name).is_file()
    ]
    if not found:
        seen = ", ".join(sorted({b.version for b in binaries.installed()})) or "none"
        raise ToolMissing(
            f"no {name} for PostgreSQL {server_major} on this machine (found: {seen})",
            hint=f"install postgresql-client-{server_major}, or set HARMONIA_PG_BIN",
        )
    return min(found, key=lambda b: b.major).path(name)


def environment(url: str) -> dict[str, str]:
    """Return the environment of libpq programs: a password is never an argument."""
    names = {
        option.keyword.decode(): option.envvar.decode()
        for option in Conninfo.get_defaults()
        if option.envvar
    }
    given = {names[k]: v for k, v in dsn.parse(url).items() if k in names}
    # The rest as our own session has it: a password file, a client certificate.
    return {**os.environ, **given}


def _last(complaints: Any) -> str:
    complaints.seek(0)
    lines = complaints.read().decode(errors="replace").strip().splitlines()
    return lines[0] if lines else "it gave no reason"
