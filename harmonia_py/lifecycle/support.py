"""Support access from the operator's side: the same functions that clients call, as a person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from harmonia_py.connection import Connection, ConnectionOrDsn, session
from harmonia_py.errors import Refused
from harmonia_py.lifecycle.refusal import translate

__all__ = ["add_staff", "approve", "list_access", "remove_staff", "request", "revoke"]


@contextmanager
def _as_person(target: ConnectionOrDsn, person: UUID) -> Iterator[Connection]:
    """Act as a person with a second factor. The record says which database login did it."""
    claims = json.dumps(
        {"sub": str(person), "role": "authenticated", "aal": "aal2", "is_anonymous": False}
    )
    with session(target) as conn, translate(), conn.transaction():
        conn.execute(
            "select set_config('role', 'authenticated', true),"
            " set_config('request.jwt.claims', %s, true)",
            [claims],
        )
        yield conn


def add_staff(target: ConnectionOrDsn, user_id: UUID) -> None:
    """Make a person platform staff, or take a former one back."""
    with session(target) as conn, translate():
        conn.execute(
            "insert into private.platform_admins (user_id) values (%s)"
            " on conflict (user_id) do update set disabled_at = null",
            [user_id],
        )


def remove_staff(target: ConnectionOrDsn, user_id: UUID) -> int:
    """End a person's being staff and every grant they hold; return how many were live.

    Safe to repeat. Raises :class:`Refused` for somebody who never was: a slip in the id would
    pass for the end of their access.
    """
    with session(target) as conn, conn.transaction():
        live = conn.execute(
            "update private.support_grants set revoked_at = clock_timestamp()"
            " where agent_id = %s and revoked_at is null and expires_at > clock_timestamp()",
            [user_id],
        ).rowcount
        # Its trigger ends what was granted since the line above.
        known = conn.execute(
            "update private.platform_admins set disabled_at = coalesce(disabled_at, now())"
            " where user_id = %s",
            [user_id],
        ).rowcount
        if not known and not live:
            raise Refused(
                f"nobody with the id {user_id} is known as platform staff; nothing was ended",
                code="staff.unknown",
                status=404,
                hint="check the id: harmonia support list shows who asked for access",
            )
        return live


def request(
    target: ConnectionOrDsn,
    organization_id: UUID,
    *,
    agent: UUID,
    permissions: Sequence[str],
    reason: str,
    duration: timedelta,
    writes: bool = False,
) -> UUID:
    """Ask an organization for access as a member of staff; return the request's id."""
    with _as_person(target, agent) as conn:
        row = conn.execute(
            "select public.request_support_access(%s, %s, %s, %s, %s)",
            [organization_id, list(permissions), reason, duration, writes],
        ).fetchone()
    if row is None:
        raise AssertionError("a function returns one row")
    return UUID(str(row[0]))


def approve(
    target: ConnectionOrDsn,
    organization_id: UUID,
    request_id: UUID,
    *,
    person: UUID,
    break_glass: bool = False,
) -> None:
    """Approve as an owner or administrator, or (break-glass) as a second member of staff."""
    query = (
        "select public.break_glass_support_request(%s, %s)"
        if break_glass
        else "select public.approve_support_request(%s, %s)"
    )
    with _as_person(target, person) as conn:
        conn.execute(query, [organization_id, request_id])


def revoke(
    target: ConnectionOrDsn,
    organization_id: UUID,
    *,
    person: UUID | None = None,
    request_id: UUID | None = None,
) -> int:
    """End one request's grants, or all of the organization; return how many were live.

    ``person`` acts for the organization; without one it is the operator who ends them. Raises
    :class:`Refused` for a request that the organization never had.
    """
    if person is not None:
        with _as_person(target, person) as conn:
            row = conn.execute(
                "select public.revoke_support_access(%s, %s)", [organization_id, request_id]
            ).fetchone()
        return int(row[0]) if row else 0
    with session(target) as conn, conn.transaction():
        chosen = {"o": organization_id, "r": request_id}
        if request_id is not None:
            _check_request(conn, chosen)
        conn.execute(
            "update public.support_requests set status = 'revoked' where organization_id = %(o)s"
            " and (%(r)s::uuid is null or id = %(r)s) and status in ('pending', 'approved')",
            chosen,
        )
        return conn.execute(
            "update private.support_grants set revoked_at = clock_timestamp()"
            " where organization_id = %(o)s and (%(r)s::uuid is null or request_id = %(r)s)"
            " and revoked_at is null and expires_at > clock_timestamp()",
            chosen,
        ).rowcount


def _check_request(conn: Connection, chosen: dict[str, UUID | None]) -> None:
    found = conn.execute(
        "select 1 from public.support_requests where organization_id = %(o)s and id = %(r)s",
        chosen,
    ).fetchone()
    if found is None:
        raise Refused(
            f"the organization has no request {chosen['r']}; nothing was ended",
            code="support.request_unknown",
            status=404,
            hint="check both: harmonia support list",
        )


def list_access(
    target: ConnectionOrDsn, organization_id: UUID | None = None
) -> list[dict[str, Any]]:
    """Return requests with their state; ``live`` says whether access exists right now."""
    with session(target) as conn, conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "select r.organization_id, r.id, r.agent_id, r.permissions, r.writes, r.reason,"
            " r.status, r.break_glass, r.requested_at, r.decided_by, r.decided_at,"
            " max(g.expires_at) as expires_at,"
            " coalesce(bool_or(g.revoked_at is null and clock_timestamp()"
            " between g.starts_at and g.expires_at), false) as live"
            " from public.support_requests as r left join private.support_grants as g"
            " on g.organization_id = r.organization_id and g.request_id = r.id"
            " where %(o)s::uuid is null or r.organization_id = %(o)s"
            " group by r.organization_id, r.id order by r.requested_at desc",
            {"o": organization_id},
        )
        return cursor.fetchall()
