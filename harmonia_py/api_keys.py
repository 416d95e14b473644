"""API keys from the command line: the same functions a frontend calls, as the same person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import psycopg

from harmonia_py import tokens
from harmonia_py.connection import Connection
from harmonia_py.errors import ApiError, ApiNotFound

__all__ = ["ApiKey", "NewApiKey", "create", "list_keys", "revoke", "user_id"]


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key that was just made; ``api_key`` is never shown again."""

    api_key_id: UUID
    hint: str
    expires_at: datetime
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; ``made_at_aal2`` when a second factor was passed to make it."""

    api_key_id: UUID
    name: str
    hint: str
    permissions: list[str]
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    made_at_aal2: bool


def user_id(conn: Connection, email: str) -> UUID:
    """Return the id of the user with an e-mail address, or raise ``ApiNotFound``."""
    row = conn.execute("select id from auth.users where email = lower(%s)", [email]).fetchone()
    if row is None:
        raise ApiNotFound(f"there is no user {email}", hint="check the e-mail address")
    return UUID(str(row[0]))


def create(
    conn: Connection,
    *,
    email: str,
    organization_id: UUID,
    name: str,
    permissions: Sequence[str],
    days: int = 90,
    aal: tokens.Aal = "aal1",
) -> NewApiKey:
    """Make a key as the person with ``email``, who must hold every permission given away.

    ``aal`` is the assurance level of the session they act in, here and below.
    """
    with _as(conn, email, aal):
        row = conn.execute(
            "select api_key_id, hint, expires_at, api_key"
            " from public.create_api_key(%s, %s, %s, %s)",
            [organization_id, name, list(permissions), days],
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns one row or raises
    return NewApiKey(*row)


def list_keys(
    conn: Connection, *, email: str, organization_id: UUID, aal: tokens.Aal = "aal1"
) -> list[ApiKey]:
    """Return the keys of an organization that the person with ``email`` may see."""
    with _as(conn, email, aal):
        rows = conn.execute(
            "select k.id, k.name, k.hint,"
            " array(select p.permission from public.api_key_permissions as p"
            "  where p.organization_id = k.organization_id and p.api_key_id = k.id order by 1),"
            " k.expires_at, k.last_used_at, k.revoked_at, k.made_at_aal2"
            " from public.api_keys as k where k.organization_id = %s order by k.created_at",
            [organization_id],
        ).fetchall()
    return [ApiKey(*row) for row in rows]


def revoke(
    conn: Connection,
    *,
    email: str,
    organization_id: UUID,
    api_key_id: UUID,
    aal: tokens.Aal = "aal1",
) -> None:
    """End a key and its tokens at once, as the person with ``email``."""
    with _as(conn, email, aal):
        conn.execute("select public.revoke_api_key(%s, %s)", [organization_id, api_key_id])


@contextmanager
def _as(conn: Connection, email: str, aal: tokens.Aal) -> Iterator[None]:
    claims = tokens.user_claims(user_id(conn, email), email, aal=aal)
    try:
        with conn.transaction():
            conn.execute(
                "select pg_catalog.set_config('role', 'authenticated', true),"
                " pg_catalog.set_config('request.jwt.claims', %s, true)",
                [json.dumps(claims)],
            )
            yield
    except psycopg.Error as error:
        detail = error.diag.message_detail or "database"
        if not (error.sqlstate or "").startswith("PT"):
            raise
        raise ApiError(
            error.diag.message_primary or "refused",
            hint=error.diag.message_hint or None,
            server_code=detail,
        ) from None
