"""An organization with acts on record, and a superuser who tampers with the record."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fix_database import Connection, as_user
from psycopg import sql

from harmonia_py.engines import Database

OWNER = "e0000000-0000-4000-8000-000000000001"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def recorded(conn: Connection) -> UUID:
    """The organization of OWNER, with a few acts of theirs on record."""
    row = conn.execute(
        "select organization_id from public.memberships where user_id = %s", [OWNER]
    ).fetchone()
    assert row is not None
    for name in ("Alpha", "Beta", "Gamma", "Delta", "Centre"):
        with as_user(conn, OWNER, session_id="5e551011-0000-4000-8000-000000000001"):
            conn.execute("select public.create_team(%s, %s)", [row[0], name])
    conn.commit()
    return UUID(str(row[0]))


def append(conn: Connection, org: UUID, at: str) -> None:
    """Append an event as the database does, under a clock that says ``at``."""
    conn.execute(
        sql.SQL(
            "insert into audit.events (organization_id, at, statement, position, total, actor_kind,"
            " action, table_name, salt, payload, payload_digest) select {}, {},"
            " nextval('audit.statements'), 1, 1, 'database', 'update', 'public.teams', s, p,"
            " audit.payload_digest(s, p) from (select gen_random_uuid() as s,"
            " jsonb_build_object('new', random()) as p) as x"
        ).format(sql.Literal(org), sql.SQL(at))
    )


def guards(admin: Connection, verb: str) -> None:
    """Switch the triggers of the whole record off or on, its partitions' own too."""
    tables = admin.execute(
        "select relname from pg_class where relnamespace = 'audit'::regnamespace"
        " and relkind in ('r', 'p') order by relispartition"
    ).fetchall()
    for (name,) in tables:
        admin.execute(
            sql.SQL("alter table audit.{} {} trigger user").format(
                sql.Identifier(name), sql.SQL(verb)
            )
        )


def tamper(database: Database, act: Callable[[Connection], object]) -> None:
    """Act on the record as a superuser who switches its triggers off, and on again."""
    with database.connect_admin() as admin:
        guards(admin, "disable")
        act(admin)
        guards(admin, "enable")
