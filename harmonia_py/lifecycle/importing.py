"""Bring an exported organization into this database, identical, in one transaction.

Every file is checked against the manifest before the first row is written and again while it is
loaded; afterwards foreign keys are checked and fingerprints compared. Anything wrong: no change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from harmonia_py.connection import Connection, ConnectionOrDsn, session
from harmonia_py.errors import FileDamaged, Refused
from harmonia_py.lifecycle import catalog, stream
from harmonia_py.lifecycle import sql as statements
from harmonia_py.lifecycle.exporting import FORMAT, MANIFEST

__all__ = ["Imported", "import_organization", "read_manifest"]

Progress = Callable[[str, int], None]
# Of a manifest, and of a line about one person.
_LONGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Imported:
    """What was loaded. ``people_created`` did not exist here and have no password."""

    organization_id: UUID
    tables: int
    rows: int
    people_created: int


def read_manifest(folder: Path, *, key: bytes | None = None) -> dict[str, Any]:
    """Return the manifest of an export. Raises :class:`FileDamaged`."""
    path = folder / MANIFEST
    if not path.is_file():
        raise FileDamaged(
            f"{folder} holds no complete export: there is no {MANIFEST}",
            hint="an interrupted export goes on with: harmonia organization export --resume",
        )
    try:
        manifest = json.loads(b"".join(_no_longer_than(_LONGEST, path, stream.content(path, key))))
    except (ValueError, RecursionError):
        raise FileDamaged(
            f"{path} cannot be read", hint="an encrypted export needs --key"
        ) from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise FileDamaged(f"{path} is of a format this version does not read")
    try:
        _check_shape(manifest)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise FileDamaged(f"{path} does not describe an export") from None
    return manifest


def _check_shape(manifest: dict[str, Any]) -> None:
    """Raise some error unless everything an import reads is there and of its kind."""
    about, tables = manifest["organization"], manifest["tables"]
    UUID(about["id"])
    files = [manifest["people"], manifest["audit"], *(f for t in tables for f in t["files"])]
    texts = [
        about["slug"],
        manifest["schema_version"],
        manifest["exported_at"],
        *(file[name] for file in files for name in ("name", "sha256")),
        *(table[name] for table in tables for name in ("table", "fingerprint")),
        *(column for table in tables for column in table["columns"]),
    ]
    counts = [table["rows"] for table in tables]
    whole = all(
        table["files"] and len(set(table["columns"])) == len(table["columns"]) for table in tables
    )
    if not (
        whole
        and all(isinstance(text, str) for text in texts)
        and all(type(count) is int and count >= 0 for count in counts)
    ):
        raise ValueError


def _no_longer_than(limit: int, path: Path, blocks: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for block in blocks:
        size += len(block)
        if size > limit:
            raise FileDamaged(f"{path} is longer than any export makes it")
        yield block


def import_organization(
    target: ConnectionOrDsn,
    folder: Path,
    *,
    key: bytes | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Load an export. Raises :class:`FileDamaged` and :class:`Refused`; then nothing changed.

    Refused are an organization that exists here, another schema version, a short name that is
    taken, and people whose e-mail address belongs to somebody else here.
    """
    manifest = read_manifest(folder, key=key)
    _check_files(folder, manifest, key)
    organization_id = UUID(manifest["organization"]["id"])
    with session(target) as conn, conn.transaction():
        conn.execute(statements.load("settle"))
        _check_target(conn, manifest, organization_id)
        created = _people(conn, folder, manifest, key)
        tables = _match(conn, manifest)
        # Rows come as they were: no trigger may add to them. Foreign keys are checked below.
        conn.execute("set local session_replication_role = replica")
        for table, entry in tables:
            _load(conn, table, entry, folder, key)
            if progress:
                progress(entry["table"], entry["rows"])
        conn.execute("set local session_replication_role = origin")
        conn.execute("select private.rate_organization(%s)", [organization_id])
        for table, entry in tables:
            _check_foreign_keys(conn, table, organization_id)
            _check_fingerprint(conn, table, entry, organization_id)
        conn.execute(statements.load("import_closure"), {"organization": organization_id})
        conn.execute(
            "select private.audit_record(%s, 'organization.imported', %s::jsonb)",
            [organization_id, json.dumps({"exported_at": manifest["exported_at"]})],
        )
    rows = sum(entry["rows"] for entry in manifest["tables"])
    return Imported(organization_id, len(tables), rows, created)


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise FileDamaged(f"the manifest names a file outside the export: {name}")
    if not path.is_file():
        raise FileDamaged(f"there is no {name} in the export, or it is not a file")
    return path


def _check_files(folder: Path, manifest: dict[str, Any], key: bytes | None) -> None:
    files = [file for entry in manifest["tables"] for file in entry["files"]]
    for file in [*files, manifest["people"], manifest["audit"]]:
        digest = hashlib.sha256()
        for block in stream.content(_inside(folder, file["name"]), key):
            digest.update(block)
        if digest.hexdigest() != file["sha256"]:
            raise FileDamaged(f"{file['name']} is not the file that was exported")


def _check_target(conn: Connection, manifest: dict[str, Any], organization_id: UUID) -> None:
    about = manifest["organization"]
    found = conn.execute(
        "select id, slug from public.organizations where id = %s or slug = %s",
        [organization_id, about["slug"]],
    ).fetchone()
    if found is not None:
        what = "organization" if found[0] == organization_id else "short name"
        raise Refused(
            f"this {what} exists here already ({found[1]})", code="import.exists", status=409
        )
    version = catalog.schema_version(conn)
    if version != manifest["schema_version"]:
        raise Refused(
            f"the export is of schema {manifest['schema_version']}, this database is {version}",
            code="import.schema",
            status=409,
            hint="bring both to the same version with harmonia migrate apply",
        )


def _people(conn: Connection, folder: Path, manifest: dict[str, Any], key: bytes | None) -> int:
    created = 0
    path = _inside(folder, manifest["people"]["name"])
    for person in _persons(path, key):
        other = conn.execute(statements.load("person_other"), person).fetchone()
        if other is not None:
            raise Refused(
                f"{person['email'] or person['id']} is another person here",
                code="import.person",
                status=409,
                hint="the accounts must be made one before the import",
            )
        new = conn.execute(statements.load("person_create"), person).rowcount
        created += new
        # Who has an account here says what they are called here.
        if new and person["display_name"] is not None:
            conn.execute(
                "insert into public.profiles (user_id, display_name) values (%s, %s)"
                " on conflict do nothing",
                [person["id"], person["display_name"]],
            )
    return created


def _persons(path: Path, key: bytes | None) -> Iterator[dict[str, Any]]:
    """Yield one person per line, holding no more than a line at a time."""
    rest = b""
    for block in stream.content(path, key):
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > _LONGEST:
            raise FileDamaged(f"{path} is not a list of people")
        for line in lines:
            yield _person(path, line)
    if rest:
        yield _person(path, rest)


def _person(path: Path, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
        person = {name: found[name] for name in ("id", "email", "display_name")}
        person["id"] = UUID(person["id"])
        if not all(isinstance(person[n], str | None) for n in ("email", "display_name")):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FileDamaged(f"{path} is not a list of people") from None
    return person


def _match(
    conn: Connection, manifest: dict[str, Any]
) -> list[tuple[catalog.Table, dict[str, Any]]]:
    entries = {entry["table"]: entry for entry in manifest["tables"]}
    matched = []
    for table in catalog.tables(conn):
        entry = entries.pop(f"{table.schema}.{table.name}", None)
        if entry is None or set(entry["columns"]) != set(table.columns):
            raise Refused(
                f"{table.schema}.{table.name} has other columns here",
                code="import.schema",
                status=409,
            )
        matched.append((table, entry))
    if entries:
        raise Refused(
            f"there is no {', '.join(sorted(entries))} here", code="import.schema", status=409
        )
    return matched


def _load(
    conn: Connection,
    table: catalog.Table,
    entry: dict[str, Any],
    folder: Path,
    key: bytes | None,
) -> None:
    file = entry["files"][0]
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in entry["columns"])
    statement = sql.SQL("copy {} ({}) from stdin with (format csv, header match)").format(
        table.identifier, columns
    )
    digest = hashlib.sha256()
    with conn.cursor() as cursor:
        try:
            with cursor.copy(statement) as copy:
                for block in stream.content(_inside(folder, file["name"]), key):
                    digest.update(block)
                    copy.write(block)
        except psycopg.errors.UniqueViolation as error:
            raise Refused(
                f"a row exists here already: {error.diag.constraint_name}",
                code="import.exists",
                status=409,
            ) from None
        except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as error:
            # Not the server's words: they repeat the row.
            rule = error.diag.constraint_name or type(error).__name__
            raise FileDamaged(f"{file['name']} holds a row that is not allowed: {rule}") from None
        if digest.hexdigest() != file["sha256"] or cursor.rowcount != entry["rows"]:
            raise FileDamaged(f"{file['name']} changed while it was read")


def _check_foreign_keys(conn: Connection, table: catalog.Table, organization_id: UUID) -> None:
    name = f"{table.schema}.{table.name}"
    for constraint, schema, parent, here, there in conn.execute(
        statements.load("foreign_keys"), {"relation": name}
    ).fetchall():
        pairs = list(zip(here, there, strict=True))
        query = sql.SQL(
            "select 1 from ({}) as r where {} and not exists (select 1 from {} as p where {})"
            " limit 1"
        ).format(
            table.rows(sql.SQL("t.*")),
            sql.SQL(" and ").join(
                sql.SQL("r.{} is not null").format(sql.Identifier(h)) for h, _ in pairs
            ),
            sql.Identifier(schema, parent),
            sql.SQL(" and ").join(
                sql.SQL("p.{} = r.{}").format(sql.Identifier(t), sql.Identifier(h))
                for h, t in pairs
            ),
        )
        if conn.execute(query, {"organization": organization_id}).fetchone() is not None:
            raise FileDamaged(f"{name} refers to rows that are not in the export ({constraint})")


def _check_fingerprint(
    conn: Connection, table: catalog.Table, entry: dict[str, Any], organization_id: UUID
) -> None:
    found = catalog.fingerprint(conn, table, organization_id)
    if found != (entry["rows"], entry["fingerprint"]):
        raise FileDamaged(
            f"{table.schema}.{table.name} is not what was exported: {found[0]} rows instead of"
            f" {entry['rows']}, or another content"
        )
