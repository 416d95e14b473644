"""A test's database, and requests to it as PostgREST would make them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from harmonia_py.engines import Database
from harmonia_py.errors import DatabaseUnreachable, UsageError

__all__ = ["HarmoniaDatabase", "Session", "User"]

Params = Sequence[Any] | Mapping[str, Any] | None

_REQUEST = (
    "select pg_catalog.set_config('search_path', %(path)s, true),"
    " pg_catalog.set_config('role', %(role)s, true),"
    " pg_catalog.set_config('request.jwt.claims', %(claims)s, true),"
    " pg_catalog.set_config('request.method', 'POST', true),"
    " pg_catalog.set_config('request.path', '/', true),"
    " pg_catalog.set_config('request.headers', '{}', true),"
    " pg_catalog.set_config('request.cookies', '{}', true)"
)


@dataclass(frozen=True, slots=True)
class User:
    """A row of auth.users, as far as a token shows it."""

    id: str
    email: str | None
    role: str = "authenticated"
    app_metadata: Mapping[str, Any] = field(default_factory=dict)
    user_metadata: Mapping[str, Any] = field(default_factory=dict)
    is_anonymous: bool = False

    def claims(self) -> dict[str, Any]:
        """Return the claims of an access token as the auth server issues it."""
        return {
            "sub": self.id,
            "role": self.role or "authenticated",
            "aud": "authenticated",
            "email": self.email or "",
            "aal": "aal1",
            "session_id": str(uuid.uuid4()),
            "is_anonymous": self.is_anonymous,
            "app_metadata": dict(self.app_metadata),
            "user_metadata": dict(self.user_metadata),
        }


@dataclass(frozen=True, slots=True)
class Session:
    """One request: a transaction of ``authenticator`` with a role and claims set.

    ``name`` is for messages. ``owner`` is a session that bypasses row level security, in a
    transaction of its own: it sees what was committed.
    """

    name: str
    conn: psycopg.Connection[Any]
    owner: psycopg.Connection[Any]
    claims: str

    def execute(self, query: str, params: Params = None) -> psycopg.Cursor[Any]:
        """Run a statement as this user."""
        return self.conn.execute(query.encode(), params)

    def all(self, query: str, params: Params = None) -> list[Any]:
        """Return every row; of one column, the values."""
        rows = self.execute(query, params).fetchall()
        return [row[0] if len(row) == 1 else row for row in rows]


class HarmoniaDatabase:
    """One test's own database. ``execute`` runs as ``postgres`` and commits at once."""

    def __init__(self, database: Database) -> None:
        """Describe the database; sessions are opened when needed."""
        self.database = database
        self._owner: psycopg.Connection[Any] | None = None
        self._requests: psycopg.Connection[Any] | None = None

    def __enter__(self) -> HarmoniaDatabase:
        """Return the database."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the sessions, so that the database can be dropped."""
        for conn in (self._owner, self._requests):
            if conn is not None:
                conn.close()

    @property
    def conn(self) -> psycopg.Connection[Any]:
        """The session as ``postgres`` (BYPASSRLS), in autocommit."""
        if self._owner is None or self._owner.closed:
            self._owner = self.database.connect(autocommit=True)
        return self._owner

    @property
    def requests(self) -> psycopg.Connection[Any]:
        """The session that acts for users: ``authenticator``, or the owner on a foreign server."""
        if self._requests is None or self._requests.closed:
            from harmonia_py import dsn

            try:
                target = self.database.dsn_as("authenticator")
                self._requests = dsn.connect(target, autocommit=True)
            except DatabaseUnreachable:
                # Somebody else's server: the password of authenticator is not known here.
                self._requests = self.database.connect(autocommit=True)
        return self._requests

    def execute(self, query: str, params: Params = None) -> psycopg.Cursor[Any]:
        """Run a statement as ``postgres``: for setting the scene."""
        return self.conn.execute(query.encode(), params)

    def all(self, query: str, params: Params = None) -> list[Any]:
        """Return every row, as ``postgres``; of one column, the values."""
        rows = self.execute(query, params).fetchall()
        return [row[0] if len(row) == 1 else row for row in rows]

    def create_user(
        self, email: str, *, id: str | uuid.UUID | None = None, **metadata: Any
    ) -> User:
        """Insert a confirmed user as the auth server would; ``metadata`` is ``user_metadata``."""
        key = str(id or uuid.uuid4())
        self.execute(
            "insert into auth.users (instance_id, id, aud, role, email, email_confirmed_at,"
            " raw_app_meta_data, raw_user_meta_data, created_at, updated_at) values"
            " ('00000000-0000-0000-0000-000000000000', %s, 'authenticated', 'authenticated', %s,"
            " now(), %s::jsonb, %s::jsonb, now(), now())",
            [key, email, '{"provider": "email"}', json.dumps(metadata)],
        )
        return self.user(key)

    def user(self, who: object) -> User:
        """Return the user with an e-mail address or id; one who does not exist is an error.

        A test as somebody who does not exist sees nothing, and would prove nothing.
        """
        if isinstance(who, User):
            return who
        if isinstance(who, Mapping):
            who = who.get("id")
        who = getattr(who, "id", None) or who
        rows = self.execute(
            "select id::text, email, role, raw_app_meta_data, raw_user_meta_data, is_anonymous"
            " from auth.users where id::text = lower(%(who)s) or lower(email) = lower(%(who)s)",
            {"who": str(who)},
        ).fetchall()
        if not rows:
            raise UsageError(
                f"there is no user {who} in auth.users",
                hint="create one with harmonia_db.create_user(email), or in the seed",
            )
        key, email, role, app, own, anonymous = rows[0]
        return User(key, email, role, app or {}, own or {}, bool(anonymous))

    @contextmanager
    def as_user(self, who: object, **claims: Any) -> Iterator[Session]:
        """Act as a signed-in user for one request, which is kept unless the block raises."""
        user = self.user(who)
        token = {k: v for k, v in (user.claims() | claims).items() if v is not None}
        with self._acting(user.email or user.id, token["role"], token) as session:
            yield session

    @contextmanager
    def as_anon(self, **claims: Any) -> Iterator[Session]:
        """Act as a visitor who is not signed in."""
        with self._acting("anon", "anon", {"role": "anon"} | claims) as session:
            yield session

    @contextmanager
    def _acting(self, name: str, role: str, claims: dict[str, Any]) -> Iterator[Session]:
        text = json.dumps(claims)
        values = {"path": '"public", "extensions"', "role": role, "claims": text}
        conn = self.requests
        if conn.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
            raise UsageError(
                f"{name} cannot act inside somebody else's request",
                hint="end the other with block first",
            )
        with conn.transaction():
            conn.execute(_REQUEST, values)
            yield Session(name, conn, self.conn, text)
