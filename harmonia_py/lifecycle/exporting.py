"""Take everything of an organization away: NDJSON and CSV per table, and a manifest.

One snapshot, streamed with COPY: memory does not grow with the rows. Each file is complete or
absent; the manifest is written last. An export that was interrupted goes on with ``resume``: what
it has already is kept where the table is still the same and so are its files, all of which are
read for it; so the result is again one snapshot.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import psycopg
from psycopg import sql

from harmonia_py.connection import Connection, session
from harmonia_py.errors import Busy, FileDamaged, NotWritable, Refused
from harmonia_py.lifecycle import catalog, partial
from harmonia_py.lifecycle import sql as statements
from harmonia_py.lifecycle.stream import Sealer, content, writing

__all__ = ["FORMAT", "MANIFEST", "Exported", "export_organization"]

FORMAT = 1
MANIFEST = partial.MANIFEST
# JSON text holds no control characters, so with these two CSV leaves each line as it is.
_PLAIN = sql.SQL("format csv, delimiter e'\\x02', quote e'\\x01'")
_CSV = sql.SQL("format csv, header true")
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. ``kept`` tables of an interrupted export were still the same.

    ``damaged`` are those of them whose files were not: they were written again.
    """

    path: Path
    tables: int
    rows: int
    manifest_sha256: str
    kept: int
    damaged: tuple[str, ...] = ()


class _Counting:
    """Pass bytes on while hashing and counting them."""

    def __init__(self, out: IO[bytes] | Sealer) -> None:
        self._out = out
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.digest.update(data)
        self.size += len(data)
        self._out.write(bytes(data))


def export_organization(
    url: str,
    organization_id: UUID,
    folder: Path,
    *,
    key: bytes | None = None,
    resume: bool = False,
    ndjson: bool = True,
    progress: Progress | None = None,
) -> Exported:
    """Write the organization into a new folder; with ``key`` every file is encrypted.

    Raises :class:`NotWritable` for a folder that exists (unless ``resume``) or a full disk, and
    :class:`Refused` for an organization that is unknown or gone, :class:`Busy` while another export
    of it is running.
    """
    identity = partial.Identity(organization_id, key, ndjson)
    # Before the database is asked for anything; what counts is what ``begun`` finds.
    partial.read(folder, identity, resume=resume)
    with session(url) as status, session(url) as conn, conn.transaction():
        export_id = _register(status, organization_id)
        try:
            conn.execute("set transaction isolation level repeatable read, read only")
            conn.execute(statements.load("settle"))
            about = catalog.organization(conn, organization_id)
            _check_whole(conn, organization_id, about["status"])
            job = _Job(conn, organization_id, folder, key, ndjson, identity)
            with partial.begun(folder, identity, resume=resume) as had:
                written = _tables(job, had, progress)
                digest = _manifest(job, about, written)
                partial.forget(folder)
        except BaseException as error:
            with suppress(psycopg.Error):
                _finish(status, organization_id, export_id, "failed", error=type(error).__name__)
            raise
        rows = sum(entry["rows"] for entry in written.entries)
        _finish(status, organization_id, export_id, "done", rows=rows, manifest=digest)
    return Exported(
        folder, len(written.entries), rows, digest, written.kept, tuple(written.damaged)
    )


@dataclass(frozen=True, slots=True)
class _Job:
    conn: Connection
    organization_id: UUID
    folder: Path
    key: bytes | None
    ndjson: bool
    identity: partial.Identity


@dataclass(slots=True)
class _Written:
    entries: list[dict[str, Any]]
    kept: int = 0
    damaged: list[str] = field(default_factory=list)


def _manifest(job: _Job, about: dict[str, Any], written: _Written) -> str:
    """Write the manifest, with which the export is complete; return its SHA-256."""
    manifest = {
        "format": FORMAT,
        "organization": about,
        "schema_version": catalog.schema_version(job.conn),
        "exported_at": _scalar(job.conn, "select now()").isoformat(),
        "encrypted": job.key is not None,
        "tables": written.entries,
        "people": _people(job),
        "files": _files(job.conn, job.organization_id),
        "audit": _audit(job),
    }
    text = json.dumps(manifest, indent=1, sort_keys=True).encode()
    with _target(job.folder / MANIFEST, job.key) as out:
        out.write(text)
    return hashlib.sha256(text).hexdigest()


def _check_whole(conn: Connection, organization_id: UUID, status: str) -> None:
    """Refuse what is purged or being purged: a part of it must not pass for the whole."""
    if status == "purged":
        raise Refused("this organization is purged", code="organization.purged", status=409)
    row = conn.execute("select private.is_being_purged(%s)", [organization_id]).fetchone()
    if row is not None and row[0]:
        raise Refused(
            "this organization is being deleted; what is left is not the whole",
            code="organization.purging",
            status=409,
            hint="restore a backup into another database and export from there",
        )


def _tables(job: _Job, had: partial.Entries, progress: Progress | None) -> _Written:
    written = _Written([])
    earlier = {entry["table"]: entry for entry in had}
    for table in catalog.tables(job.conn):
        rows, digest = catalog.fingerprint(job.conn, table, job.organization_id)
        name = f"{table.schema}.{table.name}"
        before = earlier.get(name)
        entry = {
            "table": name,
            "tenant": table.tenant,
            "columns": list(table.columns),
            "rows": rows,
            "fingerprint": digest,
        }
        same = before is not None and all(before.get(key) == entry[key] for key in entry)
        if before is not None and same and _is_whole(job, table, before["files"]):
            entry["files"] = before["files"]
            written.kept += 1
        else:
            if same:
                written.damaged.append(name)
            entry["files"] = _write(job, table)
        written.entries.append(entry)
        partial.keep(job.folder, job.identity, written.entries)
        if progress:
            progress(name, rows)
    return written


def _is_whole(job: _Job, table: catalog.Table, files: list[dict[str, Any]]) -> bool:
    """Tell whether the files of a table are those that were written: all of them is read."""
    if [file["name"] for file in files] != [_file_name(job, name) for name in _names(job, table)]:
        return False
    return all(_digest(job.folder / file["name"], job.key) == file["sha256"] for file in files)


def _digest(path: Path, key: bytes | None) -> str | None:
    digest = hashlib.sha256()
    try:
        if path.is_symlink():  # it leads out of what is taken away
            return None
        for block in content(path, key):
            digest.update(block)
    except FileDamaged:
        return None
    return digest.hexdigest()


def _names(job: _Job, table: catalog.Table) -> list[str]:
    base = f"data/{table.schema}.{table.name}"
    return [f"{base}.csv", f"{base}.ndjson"] if job.ndjson else [f"{base}.csv"]


def _file_name(job: _Job, name: str) -> str:
    return name if job.key is None else f"{name}.hxf"


def _write(job: _Job, table: catalog.Table) -> list[dict[str, Any]]:
    columns = sql.SQL(", ").join(sql.Identifier("t", name) for name in table.columns)
    query = table.rows(columns, order=True)
    lines = sql.SQL("select row_to_json(r)::text from ({}) as r").format(query)
    forms = ((query, _CSV), (lines, _PLAIN))
    return [
        _copy(job, what, form, name)
        for (what, form), name in zip(forms, _names(job, table), strict=False)
    ]


def _copy(job: _Job, query: sql.Composed, options: sql.SQL, name: str) -> dict[str, Any]:
    path = _cleared(job, name)
    statement = sql.SQL("copy ({}) to stdout with ({})").format(query, options)
    with _target(path, job.key) as out:
        counting = _Counting(out)
        with job.conn.cursor().copy(statement, {"organization": job.organization_id}) as copy:
            for block in copy:
                counting.write(block)
    return {
        "name": str(path.relative_to(job.folder)),
        "size": path.stat().st_size,
        "bytes": counting.size,
        "sha256": counting.digest.hexdigest(),
    }


def _cleared(job: _Job, name: str) -> Path:
    """Return the path of a file, where nothing of an interrupted export lies any more."""
    path = job.folder / _file_name(job, name)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise NotWritable(f"cannot write {path}: {error.strerror}") from None
    return path


@contextmanager
def _target(path: Path, key: bytes | None) -> Iterator[IO[bytes] | Sealer]:
    with writing(path) as file:
        if key is None:
            yield file
        else:
            with Sealer(file, key, {"kind": "export", "name": path.name}) as sealer:
                yield sealer


def _people(job: _Job) -> dict[str, Any]:
    """Write who is named in the rows: id, e-mail address and display name."""
    conn, key = job.conn, job.key
    known = {(t.schema, t.name): t for t in catalog.tables(conn)}
    people: set[UUID] = set()
    for schema, name, column in conn.execute(statements.load("people_columns")).fetchall():
        table = known.get((schema, name))
        if table is not None:
            query = sql.SQL("select distinct {} from ({}) as r where {} is not null").format(
                sql.Identifier(column), table.rows(sql.SQL("t.*")), sql.Identifier(column)
            )
            people |= {row[0] for row in conn.execute(query, {"organization": job.organization_id})}
    rows = conn.execute(statements.load("people"), {"people": list(people)}).fetchall()
    path = _cleared(job, "data/people.ndjson")
    with _target(path, key) as out:
        counting = _Counting(out)
        for id_, email, display_name in rows:
            line = {"id": str(id_), "email": email, "display_name": display_name}
            counting.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    return {
        "name": str(path.relative_to(job.folder)),
        "size": path.stat().st_size,
        "rows": len(rows),
        "sha256": counting.digest.hexdigest(),
    }


def _files(conn: Connection, organization_id: UUID) -> list[dict[str, Any]]:
    """Return the stored objects: bucket, path and size. Their content stays in Storage."""
    if not _scalar(conn, "select to_regclass('storage.objects') is not null"):
        return []
    rows = conn.execute(
        "select bucket_id, name, metadata ->> 'size', metadata ->> 'mimetype'"
        " from storage.objects where (storage.foldername(name))[1] = %s order by 1, 2",
        [str(organization_id)],
    )
    return [
        {"bucket": bucket, "path": path, "size": size, "type": mime}
        for bucket, path, size, mime in rows
    ]


def _audit(job: _Job) -> dict[str, Any]:
    """Write the audit record, for reading; an import does not replay it."""
    query = sql.SQL(
        "select row_to_json(r)::text from (select e.* from audit.events as e"
        " where e.organization_id = {} order by e.at, e.statement, e.position) as r"
    ).format(sql.Placeholder("organization"))
    return _copy(job, query, _PLAIN, "data/audit.events.ndjson")


def _scalar(conn: Connection, query: str) -> Any:
    row = conn.execute(query.encode()).fetchone()
    return row[0] if row else None


def _register(status: Connection, organization_id: UUID) -> UUID:
    """Take the export lock, which lasts as long as the session, and open or take over a row."""
    catalog.organization(status, organization_id)
    locked = status.execute(
        "select pg_try_advisory_lock(486104, private.export_lock(%s))", [organization_id]
    ).fetchone()
    if locked is None or not locked[0]:
        raise Busy(
            "an export of this organization is running", hint="run this again when it is done"
        )
    row = status.execute(
        statements.load("export_start"), {"organization": organization_id}
    ).fetchone()
    if row is None:
        raise AssertionError("one of the two branches has a row")
    return UUID(str(row[0]))


def _finish(
    status: Connection,
    organization_id: UUID,
    export_id: UUID,
    state: str,
    *,
    rows: int | None = None,
    manifest: str | None = None,
    error: str | None = None,
) -> None:
    status.execute(
        "update public.organization_exports set status = %s, finished_at = now(), row_count = %s,"
        " manifest_sha256 = %s, error = %s where organization_id = %s and id = %s",
        [state, rows, manifest, error, organization_id, export_id],
    )
