"""The public registry of sub-processors."""

from __future__ import annotations

from datetime import date
from typing import Any

from psycopg.rows import dict_row

from harmonia_py.connection import ConnectionOrDsn, session
from harmonia_py.lifecycle.refusal import translate

__all__ = ["announce", "listing", "put"]


def put(
    target: ConnectionOrDsn,
    key: str,
    *,
    name: str,
    purpose: str,
    location: str,
    effective_from: date,
    url: str | None = None,
    effective_to: date | None = None,
) -> int:
    """Add a sub-processor or a new version of one; return the version."""
    with session(target) as conn, translate():
        row = conn.execute(
            "select private.set_subprocessor(%s, %s, %s, %s, %s, %s, %s)",
            [key, name, purpose, location, url, effective_from, effective_to],
        ).fetchone()
    return int(row[0]) if row else 0


def announce(target: ConnectionOrDsn) -> int:
    """Put a notice of every change that is ahead into the outbox; return how many messages."""
    with session(target) as conn, translate():
        row = conn.execute("select private.announce_subprocessors()").fetchone()
    return int(row[0]) if row else 0


def listing(target: ConnectionOrDsn) -> list[dict[str, Any]]:
    """Return every version of every sub-processor."""
    with session(target) as conn, conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute("select * from public.subprocessors order by key, version")
        return cursor.fetchall()
