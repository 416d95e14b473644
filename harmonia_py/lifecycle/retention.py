"""Closing, legal holds and the purge with its certificate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from psycopg import sql
from psycopg.rows import dict_row

from harmonia_py.connection import Connection, ConnectionOrDsn, session
from harmonia_py.errors import Busy, CheckFailed, Refused
from harmonia_py.lifecycle import catalog, keys
from harmonia_py.lifecycle import sql as statements
from harmonia_py.lifecycle.refusal import translate

__all__ = [
    "Certificate",
    "Due",
    "certificate",
    "certify",
    "check_certificate",
    "complete",
    "holds",
    "place_hold",
    "plan",
    "purge",
    "release_hold",
    "stored_objects",
    "uncertified",
]

BATCH = 5_000
_LOCK = 486103
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Due:
    """One organization on its way out. ``blocked`` says why it cannot be purged now."""

    organization_id: UUID
    name: str
    status: str
    purge_after: datetime
    blocked: str | None
    rows: int
    stored_objects: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was deleted, signed. ``document`` is canonical JSON; the signature is over it."""

    organization_id: UUID
    document: str
    key_id: str
    signature: bytes


def plan(target: ConnectionOrDsn) -> list[Due]:
    """Return every organization that is closing or closed, the first due first; changes nothing."""
    with session(target) as conn:
        rows = conn.execute(statements.load("retention_plan")).fetchall()
        return [
            Due(id_, name, status, after, blocked, _count(conn, id_), stored_objects(conn, id_))
            for id_, name, status, after, blocked in rows
        ]


def _count(conn: Connection, organization_id: UUID) -> int:
    count = sql.SQL("count(*)")
    return sum(
        _one(conn, table.rows(count), organization=organization_id)
        for table in catalog.tables(conn, exported=False)[1:]
    )


def stored_objects(conn: Connection, organization_id: UUID) -> int:
    """Return how many objects lie under the organization's folder in Supabase Storage."""
    row = conn.execute(
        "select count(*) from storage.objects where (storage.foldername(name))[1] = %s",
        [str(organization_id)],
    ).fetchone()
    return int(row[0]) if row else 0


def purge(
    target: ConnectionOrDsn,
    organization_id: UUID,
    *,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> int:
    """Purge an organization that is due; return the rows deleted so far, earlier runs included.

    Each batch is a transaction of its own; killed at any point, the next call goes on. One purge
    at a time: :class:`Busy`. Raises :class:`Refused` for an organization that is active, on hold,
    inside its export window, being exported, or purged already.
    """
    with session(target) as conn, translate():
        row = conn.execute("select pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
        if row is None or not row[0]:
            raise Busy("another purge is running", hint="run this again when it is done")
        try:
            conn.execute("select private.start_purge(%s)", [organization_id])
            conn.execute("select private.shred_organization_keys(%s)", [organization_id])
            _delete(conn, organization_id, batch, progress)
            while _one(conn, "select private.erase_audit_payloads(%s, %s)", organization_id, batch):
                pass
            conn.execute("select private.finish_purge(%s)", [organization_id])
        finally:
            conn.execute("select pg_advisory_unlock(%s)", [_LOCK])
        return _one(
            conn,
            "select coalesce(sum(rows), 0)::bigint from private.purge_progress"
            " where organization_id = %s",
            organization_id,
        )


def _delete(conn: Connection, organization_id: UUID, batch: int, progress: Progress | None) -> None:
    tables = [
        row[0]
        for row in conn.execute(
            "select relation::text from private.tenant_tables() order by place desc, 1"
        )
    ]
    deleted = True
    # Rows that refer to each other across tables may need another round.
    while deleted:
        deleted = False
        for table in tables:
            while True:
                count = _one(
                    conn, "select private.purge_batch(%s, %s, %s)", organization_id, table, batch
                )
                deleted = deleted or count > 0
                if count and progress:
                    progress(table, count)
                if count < batch:
                    break


def _one(conn: Connection, query: str | sql.Composed, *given: object, **named: object) -> int:
    row = conn.execute(
        query.encode() if isinstance(query, str) else query, named or given
    ).fetchone()
    return int(row[0]) if row else 0


def uncertified(target: ConnectionOrDsn) -> list[UUID]:
    """Return the organizations that are purged and have no certificate: interrupted, or by cron."""
    with session(target) as conn:
        return [row[0] for row in conn.execute(statements.load("uncertified"))]


def complete(
    target: ConnectionOrDsn,
    organization_id: UUID,
    key: Ed25519PrivateKey,
    *,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> Certificate:
    """Purge what is left to purge, then certify it. Safe to repeat, whenever it was killed.

    Raises what :func:`purge` and :func:`certify` raise; an organization that is purged already
    only gets its certificate, or keeps the one it has.
    """
    try:
        purge(target, organization_id, batch=batch, progress=progress)
    except Refused as refused:
        if refused.database_code != "organization.purged":
            raise
    return certify(target, organization_id, key)


def certify(target: ConnectionOrDsn, organization_id: UUID, key: Ed25519PrivateKey) -> Certificate:
    """Sign what was deleted, after counting that nothing is left. Safe to repeat.

    Raises :class:`Refused` for an organization that is not purged, and :class:`CheckFailed` when
    rows or stored objects are left.
    """
    with session(target) as conn, conn.transaction():
        closure = conn.execute(
            statements.load("certificate"), {"organization": organization_id}
        ).fetchone()
        if closure is None:
            raise Refused(
                "this organization is not purged", code="organization.not_purged", status=409
            )
        left = _count(conn, organization_id)
        objects = stored_objects(conn, organization_id)
        if left or objects:
            raise CheckFailed(
                f"{left} rows and {objects} stored objects are left",
                hint="purge again; delete the organization's folder through the Storage API",
            )
        document = json.dumps(
            {
                "certificate": "harmonia.deletion.v1",
                "organization_id": str(organization_id),
                "rows_left": left,
                "stored_objects_left": objects,
                **closure[0],
            },
            sort_keys=True,
            separators=(",", ":"),
        )
        signature = key.sign(document.encode())
        conn.execute(
            "insert into private.deletion_certificates (organization_id, document, key_id,"
            " signature) values (%s, %s, %s, %s) on conflict (organization_id) do nothing",
            [organization_id, document, keys.key_id(key.public_key()), signature],
        )
        return certificate(conn, organization_id)


def certificate(target: ConnectionOrDsn, organization_id: UUID) -> Certificate:
    """Return the certificate that was signed. Raises :class:`Refused`."""
    query = (
        "select document, key_id, signature from private.deletion_certificates"
        " where organization_id = %s"
    )
    if isinstance(target, str):
        with session(target) as conn:
            row = conn.execute(query, [organization_id]).fetchone()
    else:
        row = target.execute(query, [organization_id]).fetchone()
    if row is None:
        raise Refused("there is no certificate", code="certificate.unknown", status=404)
    return Certificate(organization_id, row[0], row[1], bytes(row[2]))


def check_certificate(certificate: Certificate, key: Ed25519PublicKey) -> dict[str, Any]:
    """Return what the certificate says. Raises :class:`CheckFailed` for another signature."""
    if not keys.signed_by(key, certificate.signature, certificate.document.encode()):
        raise CheckFailed("this certificate is not signed by the given key")
    content: dict[str, Any] = json.loads(certificate.document)
    return content


def place_hold(
    target: ConnectionOrDsn, organization_id: UUID, *, reason: str, placed_by: str
) -> UUID:
    """Keep everything of an organization from being deleted."""
    with session(target) as conn, translate():
        row = conn.execute(
            "select private.place_hold(%s, %s, %s)", [organization_id, reason, placed_by]
        ).fetchone()
    if row is None:
        raise AssertionError("a function returns one row")
    return UUID(str(row[0]))


def release_hold(
    target: ConnectionOrDsn, organization_id: UUID, hold_id: UUID, *, reason: str, released_by: str
) -> None:
    """Release a hold. Raises :class:`Refused` for one that is not live."""
    with session(target) as conn, translate():
        conn.execute(
            "select private.release_hold(%s, %s, %s, %s)",
            [organization_id, hold_id, reason, released_by],
        )


def holds(target: ConnectionOrDsn) -> list[dict[str, Any]]:
    """Return every hold, the live ones first."""
    with session(target) as conn, conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "select organization_id, id, reason, placed_by, placed_at, released_at, released_by,"
            " release_reason from private.legal_holds order by released_at nulls first, placed_at"
        )
        return cursor.fetchall()
