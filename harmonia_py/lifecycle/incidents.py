"""Incidents: whom they concern, telling them, and the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from harmonia_py.connection import ConnectionOrDsn, session
from harmonia_py.errors import Refused
from harmonia_py.lifecycle import sql as statements
from harmonia_py.lifecycle.refusal import translate

__all__ = [
    "assess",
    "close",
    "listing",
    "notify",
    "open_incident",
    "template",
    "timeline",
    "unreached",
]


def template() -> str:
    """Return the message that owners get when none is given.

    ``{organization}``, ``{events}``, ``{first_at}`` and ``{last_at}`` are filled in.
    """
    return (files(__package__) / "incident.txt").read_text(encoding="utf-8")


def open_incident(
    target: ConnectionOrDsn,
    *,
    title: str,
    summary: str,
    window: tuple[datetime, datetime],
    opened_by: str,
    tables: Sequence[str] | None = None,
    actors: Sequence[UUID] | None = None,
) -> UUID:
    """Open an incident over a window of time, some tables and some actors (all when ``None``)."""
    with session(target) as conn, translate():
        row = conn.execute(
            "select private.open_incident(%s, %s, %s, %s, %s, %s, %s)",
            [
                title,
                summary,
                *window,
                list(tables) if tables else None,
                list(actors) if actors else None,
                opened_by,
            ],
        ).fetchone()
    if row is None:
        raise AssertionError("a function returns one row")
    return UUID(str(row[0]))


def assess(target: ConnectionOrDsn, incident_id: UUID) -> list[UUID]:
    """Return the organizations concerned, found in the audit record. Safe to repeat."""
    with session(target) as conn, translate():
        conn.execute("select private.assess_incident(%s)", [incident_id])
        return [
            row[0]
            for row in conn.execute(
                "select organization_id from private.incident_organizations"
                " where incident_id = %s order by 1",
                [incident_id],
            )
        ]


def notify(
    target: ConnectionOrDsn, incident_id: UUID, *, subject: str, body: str | None = None
) -> int:
    """Put one message per owner into the outbox; return how many are new. Safe to repeat."""
    with session(target) as conn, translate(), conn.transaction():
        summary = conn.execute(
            "select summary from private.incidents where id = %s", [incident_id]
        ).fetchone()
        text = (body or template()).replace("{summary}", summary[0] if summary else "")
        row = conn.execute(
            "select private.notify_incident(%s, %s, %s)", [incident_id, subject, text]
        ).fetchone()
    return int(row[0]) if row else 0


def unreached(target: ConnectionOrDsn, incident_id: UUID) -> list[UUID]:
    """Return the organizations concerned of which nobody could be told by e-mail."""
    with session(target) as conn:
        rows = conn.execute(statements.load("incident_unreached"), {"incident": incident_id})
        return [row[0] for row in rows]


def close(target: ConnectionOrDsn, incident_id: UUID, *, resolution: str) -> None:
    """Close an incident."""
    with session(target) as conn, translate():
        conn.execute("select private.close_incident(%s, %s)", [incident_id, resolution])


def listing(target: ConnectionOrDsn) -> list[dict[str, Any]]:
    """Return every incident with how many organizations and messages it has."""
    with session(target) as conn, conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "select i.id, i.title, i.status, i.opened_at, (select count(*)"
            " from private.incident_organizations as o where o.incident_id = i.id)"
            " as organizations from private.incidents as i order by i.opened_at desc"
        )
        return cursor.fetchall()


def timeline(target: ConnectionOrDsn, incident_id: UUID) -> dict[str, Any]:
    """Return the incident, its timeline, whom it concerns and the state of each message."""
    with session(target) as conn, conn.cursor(row_factory=dict_row) as cursor:
        incident = cursor.execute(
            "select * from private.incidents where id = %s", [incident_id]
        ).fetchone()
        if incident is None:
            raise Refused("there is no such incident", code="incident.unknown", status=404)
        events = cursor.execute(
            "select at, event, detail from private.incident_events"
            " where incident_id = %s order by id",
            [incident_id],
        ).fetchall()
        organizations = cursor.execute(
            "select organization_id, events, first_at, last_at"
            " from private.incident_organizations where incident_id = %s order by 1",
            [incident_id],
        ).fetchall()
        messages = cursor.execute(
            "select organization_id, recipient, status, attempts, sent_at, last_error"
            " from private.notifications where kind = 'incident' and dedupe_key like %s"
            " order by 1, 2",
            [f"incident {incident_id} for %"],
        ).fetchall()
    return {
        "incident": incident,
        "timeline": events,
        "organizations": organizations,
        "messages": messages,
    }
