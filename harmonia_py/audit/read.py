"""Read the record, take it away, and erase personal data from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any
from uuid import UUID

from psycopg.rows import dict_row

from harmonia_py.audit import sql
from harmonia_py.connection import Connection, ConnectionOrDsn, session
from harmonia_py.lifecycle.refusal import translate

__all__ = ["erase_payload", "export", "tail"]


def tail(
    target: ConnectionOrDsn, organization_id: UUID, *, limit: int = 20
) -> list[dict[str, Any]]:
    """Return the latest events of an organization with their numbers, the newest last."""
    with session(target) as conn, conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(sql.load("tail"), {"organization_id": organization_id, "limit": limit})
        return list(reversed(cursor.fetchall()))


def export(target: ConnectionOrDsn, organization_id: UUID, out: IO[str]) -> int:
    """Write every event of an organization as one JSON line each; return how many.

    Holds digests, salts and links' hashes, so that the file can be verified by itself.
    """
    count = 0
    with session(target) as conn, conn.transaction():
        conn.execute("set transaction isolation level repeatable read, read only")
        for row in _stream(conn, organization_id):
            out.write(json.dumps(row, default=_text, ensure_ascii=False) + "\n")
            count += 1
    return count


def _stream(conn: Connection, organization_id: UUID) -> Iterator[dict[str, Any]]:
    with conn.cursor(name="harmonia_audit_export", row_factory=dict_row) as cursor:
        cursor.execute(sql.load("export"), {"organization_id": organization_id})
        yield from cursor


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def erase_payload(
    target: ConnectionOrDsn, organization_id: UUID, number: int, *, reason: str
) -> None:
    """Erase the payload of one event and record that it was erased.

    Raises :class:`harmonia_py.errors.Refused` for an unknown event or one already erased.
    """
    with session(target) as conn, translate(), conn.transaction():
        conn.execute("select audit.erase_payload(%s, %s, %s)", [organization_id, number, reason])
