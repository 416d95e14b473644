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


# Every function by which a member changes something, with arguments that work while active.
CALLS = {
    "add_team_member": "{org}, {team}, {member}",
    "cancel_import": "{org}, {import}",
    "change_member_role": "{org}, {member}, 'viewer'",
    "complete_activity": "{org}, {activity}",
    "create_api_key": "{org}, 'late', '{{contacts.read}}'",
    "create_role": "{org}, 'late_role', 'Late', 15, '{{contacts.read}}'",
    "create_team": "{org}, 'Late'",
    "delete_role": "{org}, 'spare'",
    "delete_team": "{org}, {team}",
    "invite_member": "{org}, 'late@example.org', 'viewer'",
    "merge_contacts": "{org}, {contact}, {contact2}",
    "move_deal": "{org}, {deal}, {stage}",
    "queue_import": "{org}, {import}",
    "reinstate_member": "{org}, {suspended}",
    "remove_member": "{org}, {member}",
    "remove_team_member": "{org}, {team}, {viewer}",
    "rename_team": "{org}, {team}, 'Renamed'",
    "restore": "{org}, 'contact', array[{contact}]",
    "revoke_api_key": "{org}, {api_key}",
    "revoke_invitation": "{org}, {invitation}",
    "set_require_mfa": "{org}, true",
    "soft_delete": "{org}, 'contact', array[{contact}]",
    "suspend_member": "{org}, {member}",
    "tag_records": "{org}, 'contact', array[{contact}], array[{tag}]",
    "transfer_ownership": "{org}, {admin}",
    "unmerge_contacts": "{org}, {merge}",
    "untag_records": "{org}, 'contact', array[{contact}], array[{tag}]",
    "update_role": "{org}, 'spare', 'Renamed'",
}
# What goes on while an organization is closing, each for a reason.
GO_ON = {
    # the closure itself, and taking one's data away
    "close_organization", "reopen_organization", "request_export",
    # letting staff help with it, and putting them out
    "request_support_access", "approve_support_request", "break_glass_support_request",
    "deny_support_request", "revoke_support_access", "support_read",
    # a person's own affairs: which organization they look at, leaving, making another
    "set_active_organization", "leave_organization", "create_organization",
    # names no organization; tried below and with the API keys
    "accept_invitation", "exchange_api_key",
}  # fmt: skip


@pytest.fixture
def rows(conn: Connection, org: UUID) -> dict[str, sql.Literal]:
    """Something of each kind to act on."""

    def one(query: str) -> sql.Literal:
        row = conn.execute(query.encode(), {"org": org, **PEOPLE}).fetchone()
        assert row is not None, query
        return sql.Literal(row[0])

    where = "where organization_id = %(org)s"
    with as_user(conn, PEOPLE["owner"], aal="aal2"):
        conn.execute(
            "select public.create_role(%s, 'spare', 'Spare', 15, '{contacts.read}')", [org]
        )
        conn.execute("select public.create_team(%s, 'Spare')", [org])
        team = one(f"select id from public.teams {where} and name = 'Spare'")
        conn.execute(
            sql.SQL("select public.add_team_member({}, {}, {})").format(
                sql.Literal(org), team, sql.Literal(PEOPLE["viewer"])
            )
        )
        conn.execute("select public.invite_member(%s, 'guest@example.org', 'viewer')", [org])
        conn.execute("select public.suspend_member(%s, %s)", [org, PEOPLE["manager"]])
        contacts = conn.execute(
            "select id from public.contacts where organization_id = %s and deleted_at is null"
            " order by id limit 4",
            [org],
        ).fetchall()
        conn.execute(
            "select public.merge_contacts(%s, %s, %s)", [org, contacts[2][0], contacts[3][0]]
        )
    found = {
        "org": sql.Literal(org),
        "team": team,
        "contact": sql.Literal(contacts[0][0]),
        "contact2": sql.Literal(contacts[1][0]),
        "suspended": sql.Literal(PEOPLE["manager"]),
        "api_key": sql.Literal(KEY_ID),
        "merge": one(f"select id from private.contact_merges {where}"),
        "invitation": one(f"select id from public.invitations {where}"),
        "tag": one(f"select id from public.tags {where} limit 1"),
        "activity": one(f"select id from public.activities {where} and status = 'open' limit 1"),
        "import": one(
            "insert into public.import_jobs (organization_id, object, mapping, created_by)"
            " values (%(org)s, 'contact', '{\"E-mail\": \"email\"}', %(owner)s) returning id"
        ),
        "deal": one(f"select id from public.deals {where} and status = 'open' limit 1"),
        **{name: sql.Literal(id_) for name, id_ in PEOPLE.items()},
    }
    found["stage"] = one(
        "select s.id from public.pipeline_stages as s join public.deals as d using"
        " (organization_id, pipeline_id) where d.id = "
        f"{found['deal'].as_string(conn)} and s.id <> d.stage_id and s.kind = 'open' limit 1"
    )
    conn.commit()
    return found


def test_every_function_is_tried_while_closing(conn: Connection) -> None:
    names = conn.execute(
        "select proname from pg_proc where pronamespace = 'public'::regnamespace"
        " and provolatile = 'v' and has_function_privilege('authenticated', oid, 'execute')"
    ).fetchall()
    assert {row[0] for row in names} == {*CALLS, *GO_ON}


@pytest.mark.parametrize("name", CALLS)
def test_functions_change_nothing_while_closing(
    conn: Connection, org: UUID, rows: dict[str, sql.Literal], name: str
) -> None:
    query = sql.SQL("select public.{name}(" + CALLS[name] + ")").format(
        name=sql.Identifier(name), **rows
    )
    with conn.transaction(force_rollback=True), as_actor(conn, "owner"):
        conn.execute(query)
    conn.execute("update public.organizations set status = 'closing' where id = %s", [org])
    conn.commit()
    for actor in ("owner", "support", "api key"):
        try:
            with conn.transaction(), as_actor(conn, actor):
                row = conn.execute(query).fetchone()
            assert row == (0,), "it says what it changed: nothing"
        except psycopg.Error as refused:
            assert refused.sqlstate in {"PT401", "PT403", "PT404", "PT409", "42501"}, refused


@pytest.mark.parametrize("actor", ACTORS)
def test_closing_takes_no_new_rows_from(conn: Connection, org: UUID, actor: str) -> None:
    """A row that is taken out and put back goes in while active, and not while closing."""
    works = 0
    for table in tables(conn):
        if table.name == "organizations":
            continue
        for status, goes in (("active", True), ("closing", False)):
            inserted = _insert_again(conn, table, org, actor, status)
            works += inserted and goes
            assert goes or not inserted, table.name
    assert works > 0 or actor == "viewer"


def _insert_again(
    conn: Connection, table: catalog.Table, org: UUID, actor: str, status: str
) -> bool:
    role = "service_role" if actor == "service_role" else "authenticated"
    columns = conn.execute(
        "select attname from pg_attribute where attrelid = %(table)s::regclass and attnum > 0"
        " and not attisdropped and attgenerated = ''"
        " and has_column_privilege(%(role)s, attrelid, attnum, 'insert')",
        {"role": role, "table": f"public.{table.name}"},
    ).fetchall()
    names = [row[0] for row in columns]
    if table.tenant not in names:
        return False
    with conn.transaction(force_rollback=True):
        listed = sql.SQL(", ").join(map(sql.Identifier, names))
        conn.execute(
            sql.SQL("create temp table again as select {} from {} where {} = {} limit 1").format(
                listed, table.identifier, sql.Identifier(table.tenant), sql.Literal(org)
            )
        )
        conn.execute("grant select on again to public")
        # Out of the way, whatever refers to it: only the rules for putting it back are tried.
        conn.execute("set local session_replication_role = replica")
        conn.execute(
            sql.SQL("delete from {} as t using again as a where ({}) = ({})").format(
                table.identifier,
                sql.SQL(", ").join(sql.Identifier("t", k) for k in table.key),
                sql.SQL(", ").join(sql.Identifier("a", k) for k in table.key),
            )
            if set(table.key) <= set(names)
            else sql.SQL("select 1 where false")
        )
        conn.execute("set local session_replication_role = origin")
        conn.execute("update public.organizations set status = %s where id = %s", [status, org])
        statement = sql.SQL("insert into {} ({}) select {} from again").format(
            table.identifier, listed, listed
        )
        return changes(conn, statement, actor)


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
