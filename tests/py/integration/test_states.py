"""Every tenant table in every state: closing is read-only, a grant opens only what it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from uuid import UUID, uuid4

import psycopg
import pytest
from fix_database import Connection, acting, as_service, as_user, create_user
from psycopg import sql

from harmonia_py.lifecycle import catalog

PEOPLE = {
    "owner": "e0000000-0000-4000-8000-000000000001",
    "admin": "e0000000-0000-4000-8000-000000000002",
    "manager": "e0000000-0000-4000-8000-000000000003",
    "member": "e0000000-0000-4000-8000-000000000004",
    "viewer": "e0000000-0000-4000-8000-000000000005",
}
ACTORS = [*PEOPLE, "support", "api key", "service_role"]
AGENT, KEY_ID = str(uuid4()), str(uuid4())
# Taken away or added to on purpose while an organization is closing.
OPEN = {"export_jobs", "support_requests", "organization_exports"}


@pytest.fixture
def org(conn: Connection) -> UUID:
    """The seeded organization, with staff and an API key that hold every permission there is."""
    row = conn.execute(
        "select organization_id from public.memberships where user_id = %s", [PEOPLE["owner"]]
    ).fetchone()
    assert row is not None
    create_user(conn, AGENT, "agent@platform.example")
    conn.execute(
        "insert into private.support_grants (organization_id, agent_id, permission, reason,"
        " approved_by, expires_at) select %s, %s, key, 'every permission', %s,"
        " now() + interval '1 hour' from public.permissions",
        [row[0], AGENT, PEOPLE["owner"]],
    )
    conn.execute(
        "insert into public.api_keys (organization_id, id, name, hint, created_by, expires_at)"
        " values (%s, %s, 'all', 'hk_', %s, now() + interval '1 day')",
        [row[0], KEY_ID, PEOPLE["owner"]],
    )
    conn.execute(
        "insert into public.api_key_permissions select %s, %s, key from public.permissions",
        [row[0], KEY_ID],
    )
    conn.commit()
    return UUID(str(row[0]))


def as_actor(conn: Connection, actor: str) -> AbstractContextManager[Connection]:
    if actor == "service_role":
        return as_service(conn)
    if actor == "api key":
        return acting(conn, "authenticated", {"role": "authenticated", "api_key_id": KEY_ID})
    return as_user(conn, PEOPLE.get(actor, AGENT), aal="aal2")


def tables(conn: Connection) -> Iterator[catalog.Table]:
    yield from (t for t in catalog.tables(conn) if t.name not in OPEN)


def attempts(table: catalog.Table, org: UUID) -> Iterator[sql.Composed]:
    """A delete, and an update of each column to what it is."""
    where = sql.SQL(" where {} = {}").format(sql.Identifier(table.tenant), sql.Literal(org))
    yield sql.SQL("delete from {}").format(table.identifier) + where
    for name in table.columns:
        column = sql.Identifier(name)
        yield sql.SQL("update {} set {} = {}").format(table.identifier, column, column) + where


def changes(conn: Connection, statement: sql.Composed, actor: str) -> bool:
    try:
        with conn.transaction(force_rollback=True), as_actor(conn, actor):
            return conn.execute(statement).rowcount > 0
    except psycopg.Error:
        return False


@pytest.mark.parametrize("actor", ACTORS)
def test_closing_is_read_only_for(conn: Connection, org: UUID, actor: str) -> None:
    """What changes something in an active organization changes nothing in one that closes."""
    works = [
        statement
        for table in tables(conn)
        for statement in attempts(table, org)
        if changes(conn, statement, actor)
    ]
    assert works or actor == "viewer"
    for status in ("closing", "closed"):
        conn.execute("update public.organizations set status = %s where id = %s", [status, org])
        conn.commit()
        for statement in works:
            assert not changes(conn, statement, actor), (status, statement.as_string(conn))


def seen(conn: Connection, org: UUID) -> set[str]:
    found = set()
    for table in tables(conn):
        query = sql.SQL("select {} from {} where {} = {} limit 1").format(
            sql.Identifier(table.tenant),
            table.identifier,
            sql.Identifier(table.tenant),
            sql.Literal(org),
        )
        with as_actor(conn, "support"):
            if conn.execute(query).fetchone() is not None:
                found.add(table.name)
    return found


def test_support_sees_by_grant_only(conn: Connection, org: UUID) -> None:
    everything = seen(conn, org)
    assert {"contacts", "deals", "memberships", "organizations"} <= everything
    only = {
        "contacts.read": {"contacts", "contact_tags"},
        "teams.read": {"teams", "team_members"},
        "organization.read": {"organizations"},
    }
    for permission, expected in only.items():
        with conn.transaction(force_rollback=True):
            conn.execute("delete from private.support_grants where permission <> %s", [permission])
            found = seen(conn, org)
            assert found and found <= expected, permission
    ends = {
        "expired": "update private.support_grants set starts_at = now() - interval '2 hours',"
        " expires_at = now() - interval '1 second'",
        "revoked": "update private.support_grants set revoked_at = now()",
        "not yet": "update private.support_grants set starts_at = now() + interval '1 minute',"
        " expires_at = now() + interval '1 hour'",
        "closed": "update public.organizations set status = 'closed'",
    }
    for state, statement in ends.items():
        with conn.transaction(force_rollback=True):
            conn.execute(statement.encode())
            assert seen(conn, org) == set(), state
    with conn.transaction(force_rollback=True):
        conn.execute("update public.organizations set status = 'closing'")
        assert seen(conn, org) <= everything and "contacts" in seen(conn, org)
