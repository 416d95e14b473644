"""Platform staff: asking, agreeing, using, ending; and that every use is on record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fix_database import Connection, as_user, create_user
from fix_sessions import wait_for_lock
from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py import audit
from harmonia_py.engines import Database
from harmonia_py.errors import Refused
from harmonia_py.lifecycle import support

OWNER = "e0000000-0000-4000-8000-000000000001"
ADMIN = "e0000000-0000-4000-8000-000000000002"
MEMBER = "e0000000-0000-4000-8000-000000000004"
OTHER_OWNER = "e0000000-0000-4000-8000-000000000011"
AGENT, COLLEAGUE = str(uuid4()), str(uuid4())
REASON = "ticket 4711: imports fail"


@pytest.fixture
def org(conn: Connection) -> UUID:
    row = conn.execute(
        "select organization_id from public.memberships where user_id = %s", [OWNER]
    ).fetchone()
    assert row is not None
    for user, email in ((AGENT, "agent@platform.example"), (COLLEAGUE, "col@platform.example")):
        create_user(conn, user, email)
        conn.execute("insert into private.platform_admins (user_id) values (%s)", [user])
    conn.commit()
    return UUID(str(row[0]))


def ask(conn: Connection, org: UUID, permissions: list[str], **arguments: Any) -> UUID:
    given = {"reason": REASON, **arguments}
    names = sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in given
    )
    query = sql.SQL(
        "select public.request_support_access(organization_id => %(o)s, permissions => %(p)s, {})"
    ).format(names)
    with as_user(conn, AGENT, aal="aal2"):
        row = conn.execute(query, {"o": org, "p": permissions, **given}).fetchone()
    assert row is not None
    return UUID(str(row[0]))


def approve(conn: Connection, who: str, org: UUID, request: UUID, *, aal: str = "aal2") -> None:
    with as_user(conn, who, aal=aal):
        conn.execute("select public.approve_support_request(%s, %s)", [org, request])


def contacts(conn: Connection, org: UUID, *, aal: str = "aal2") -> int:
    with as_user(conn, AGENT, aal=aal):
        row = conn.execute(
            "select count(*) from public.contacts where organization_id = %s", [org]
        ).fetchone()
    assert row is not None
    return int(row[0])


def refused(code: str) -> Any:
    return pytest.raises(psycopg.Error, check=lambda e: e.diag.message_detail == code)


def test_nothing_without_a_grant_and_reading_with_one(conn: Connection, org: UUID) -> None:
    assert contacts(conn, org) == 0
    request = ask(conn, org, ["contacts.read"])
    assert contacts(conn, org) == 0
    approve(conn, ADMIN, org, request)
    assert contacts(conn, org) > 0
    assert contacts(conn, org, aal="aal1") == 0


def test_every_use_is_recorded_and_marked(conn: Connection, org: UUID, database: Database) -> None:
    approve(conn, OWNER, org, ask(conn, org, ["contacts.read"]))
    contacts(conn, org)
    conn.commit()
    last = audit.tail(database.owner_dsn, org, limit=1)[0]
    assert last["action"] == "support.access" and last["actor_kind"] == "support"
    assert str(last["actor_id"]) == AGENT and last["support_grant_id"] is not None
    assert last["payload"]["permissions"] == ["contacts.read"]
    assert "public.contacts" in last["payload"]["statement"]
    assert audit.verify(database.owner_dsn).ok


def test_what_cannot_be_recorded_is_not_given(conn: Connection, org: UUID) -> None:
    """PostgREST answers GET in a read-only transaction: no record, so no rows."""
    approve(conn, OWNER, org, ask(conn, org, ["contacts.read"]))
    conn.commit()
    conn.execute("set transaction read only")
    assert contacts(conn, org) == 0
    conn.rollback()
    with as_user(conn, AGENT, aal="aal2"):
        rows = conn.execute("select public.support_read(%s, 'contacts')", [org]).fetchall()
    assert rows and {row[0]["organization_id"] for row in rows} == {str(org)}
    with as_user(conn, AGENT, aal="aal2"):
        row = conn.execute(
            "select public.support_read(%s, 'contacts', %s)",
            [org, Jsonb({"id": rows[0][0]["id"]})],
        ).fetchall()
    assert len(row) == 1


def test_only_what_was_asked_and_where(conn: Connection, org: UUID) -> None:
    approve(conn, OWNER, org, ask(conn, org, ["contacts.read"]))
    with as_user(conn, AGENT, aal="aal2"):
        assert conn.execute("select count(*) from public.companies").fetchone() == (0,)
        others = conn.execute(
            "select count(*) from public.contacts where organization_id <> %s", [org]
        ).fetchone()
        assert others == (0,)
        changed = conn.execute("update public.contacts set first_name = first_name")
        assert changed.rowcount == 0


def test_writing_has_to_be_asked_for(conn: Connection, org: UUID) -> None:
    with refused("support.permission"):
        ask(conn, org, ["teams.write"])
    conn.rollback()
    approve(conn, OWNER, org, ask(conn, org, ["teams.write"], writes=True))
    with as_user(conn, AGENT, aal="aal2"):
        conn.execute("select public.create_team(%s, 'By support')", [org])


@pytest.mark.parametrize("duration", ["9 hours", "1 minute", None])
def test_at_most_eight_hours(conn: Connection, org: UUID, duration: str | None) -> None:
    with refused("support.duration"):
        ask(conn, org, ["contacts.read"], duration=duration)
    conn.rollback()
    assert ask(conn, org, ["contacts.read"], duration="8 hours")


@pytest.mark.parametrize(
    ("permissions", "given", "code"),
    [
        ([], {}, "support.permission"),
        (["no.such"], {}, "support.permission"),
        (["contacts.read"] * 51, {}, "support.permission"),
        (["contacts.read"], {"reason": "short"}, "support.reason"),
        (["contacts.read"], {"reason": None}, "support.reason"),
    ],
)
def test_what_cannot_be_asked(
    conn: Connection, org: UUID, permissions: list[str], given: dict[str, Any], code: str
) -> None:
    with refused(code):
        ask(conn, org, permissions, **given)


MEMBERS_ONLY = {
    "organization.close", "organization.export", "organization.security", "organization.transfer",
    "secrets.reveal", "support.approve",
}  # fmt: skip


def test_what_governs_the_organization_is_never_given(conn: Connection, org: UUID) -> None:
    """Staff with it could let each other in, close the organization or take it away."""
    rows = conn.execute("select key from public.permissions where members_only").fetchall()
    assert {row[0] for row in rows} == MEMBERS_ONLY
    for permission in sorted(MEMBERS_ONLY):
        for writes in (False, True):
            with refused("support.permission"):
                ask(conn, org, [permission], writes=writes)
            conn.rollback()
    # Also where somebody wrote the grant by hand.
    conn.execute(
        "insert into private.support_grants (organization_id, agent_id, permission, reason,"
        " approved_by, expires_at) select %s, %s, key, 'every permission', %s,"
        " now() + interval '1 hour' from public.permissions",
        [org, AGENT, OWNER],
    )
    conn.commit()
    for call in (
        "public.close_organization(%s)",
        "public.request_export(%s)",
        "public.approve_support_request(%s, gen_random_uuid())",
        "public.revoke_support_access(%s)",
    ):
        with refused("permission.denied"), as_user(conn, AGENT, aal="aal2"):
            conn.execute(f"select {call}".encode(), [org])
        conn.rollback()
    assert contacts(conn, org) > 0


def test_a_grant_for_reading_changes_nothing(conn: Connection, org: UUID) -> None:
    """Every permission that may be had without asking for writing, and every table there is."""
    readable = [
        row[0]
        for row in conn.execute(
            "select key from public.permissions where not writes and not members_only"
        )
    ]
    approve(conn, OWNER, org, ask(conn, org, readable))
    conn.commit()
    tables = conn.execute(
        "select c.relname from pg_class as c join pg_attribute as a on a.attrelid = c.oid"
        " and a.attname = 'organization_id' where c.relnamespace = 'public'::regnamespace"
        " and c.relkind in ('r', 'p')"
    ).fetchall()
    seen = 0
    for (name,) in tables:
        for statement in (
            "select 1 from public.{} where organization_id = %s",
            "update public.{} set organization_id = organization_id where organization_id = %s",
            "delete from public.{} where organization_id = %s",
        ):
            try:
                with as_user(conn, AGENT, aal="aal2"):
                    count = conn.execute(
                        sql.SQL(statement).format(sql.Identifier(name)), [org]
                    ).rowcount
            except psycopg.errors.InsufficientPrivilege:
                continue
            seen += count if statement.startswith("select") else 0
            assert statement.startswith("select") or count == 0, (name, statement)
    assert seen > 50
    for call in ("create_team(%s, 'By support')", "create_pipeline(%s, 'By support')"):
        with pytest.raises(psycopg.Error), as_user(conn, AGENT, aal="aal2"):
            conn.execute(f"select public.{call}".encode(), [org])
        conn.rollback()


def test_who_may_not_approve(conn: Connection, org: UUID) -> None:
    request = ask(conn, org, ["contacts.read"])
    conn.commit()
    for who, aal in ((MEMBER, "aal2"), (OTHER_OWNER, "aal2"), (OWNER, "aal1"), (COLLEAGUE, "aal2")):
        with refused("permission.denied"):
            approve(conn, who, org, request, aal=aal)
        conn.rollback()
    with refused("support.own_request"), as_user(conn, AGENT, aal="aal2"):
        conn.execute("select public.break_glass_support_request(%s, %s)", [org, request])
    conn.rollback()
    approve(conn, OWNER, org, request)
    with refused("support.decided"):
        approve(conn, OWNER, org, request)


def test_staff_who_are_also_owners_do_not_let_themselves_in(conn: Connection, org: UUID) -> None:
    """One account, both hats: the rule is about the person, not about the hat."""
    request = ask(conn, org, ["contacts.read"])
    conn.execute(
        "insert into public.memberships (organization_id, user_id, role) values (%s, %s, 'owner')",
        [org, AGENT],
    )
    conn.commit()
    for call in ("approve_support_request", "deny_support_request", "break_glass_support_request"):
        with refused("support.own_request"), as_user(conn, AGENT, aal="aal2"):
            conn.execute(f"select public.{call}(%s, %s)".encode(), [org, request])
        conn.rollback()
    # Nor by writing the grant: nobody but the functions may.
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(conn, AGENT, aal="aal2"):
        conn.execute(
            "insert into private.support_grants (organization_id, agent_id, permission, reason,"
            " approved_by, expires_at) values (%s, %s, 'contacts.read', 'by myself, for myself',"
            " %s, now() + interval '1 hour')",
            [org, AGENT, AGENT],
        )
    conn.rollback()
    approve(conn, OWNER, org, request)
    # What they do now is a member's act, and the record says so.
    with as_user(conn, AGENT, aal="aal2"):
        conn.execute("select public.create_team(%s, 'As a member')", [org])
    conn.commit()
    kind = conn.execute(
        "select actor_kind, support_grant_id from audit.events where organization_id = %s"
        " and table_name = 'public.teams' order by statement desc limit 1",
        [org],
    ).fetchone()
    assert kind == ("user", None)


def test_a_member_is_not_platform_staff(conn: Connection, org: UUID) -> None:
    for who, aal in ((OWNER, "aal2"), (AGENT, "aal1")):
        with refused("platform.denied"), as_user(conn, who, aal=aal):
            conn.execute(
                "select public.request_support_access(%s, '{contacts.read}', %s)", [org, REASON]
            )
        conn.rollback()


def test_break_glass_is_flagged_and_told(conn: Connection, org: UUID) -> None:
    request = ask(conn, org, ["contacts.read"])
    with as_user(conn, COLLEAGUE, aal="aal2"):
        conn.execute("select public.break_glass_support_request(%s, %s)", [org, request])
    assert contacts(conn, org) > 0
    told = conn.execute(
        "select recipient from private.notifications where organization_id = %s"
        " and kind = 'support.break_glass'",
        [org],
    ).fetchall()
    assert told == [("olga.owner@alder.example",)]
    with as_user(conn, OWNER, aal="aal2"):
        grants = conn.execute(
            "select break_glass, agent_id::text from public.support_access(%s)", [org]
        ).fetchall()
        assert grants == [(True, AGENT)]
        conn.execute("select public.revoke_support_access(%s)", [org])
    assert contacts(conn, org) == 0


def test_break_glass_never_goes_unsaid(conn: Connection, org: UUID) -> None:
    """Where no owner can be told, nobody is let in without being asked."""
    request = ask(conn, org, ["contacts.read"])
    conn.execute("update auth.users set email = null where id = %s", [OWNER])
    conn.commit()
    with refused("support.nobody_to_tell"), as_user(conn, COLLEAGUE, aal="aal2"):
        conn.execute("select public.break_glass_support_request(%s, %s)", [org, request])
    conn.rollback()
    assert contacts(conn, org) == 0
    approve(conn, OWNER, org, request)
    assert contacts(conn, org) > 0


@pytest.mark.parametrize(
    "event",
    [
        "update private.platform_admins set disabled_at = now() where user_id = %s",
        "delete from private.platform_admins where user_id = %s",
        "update auth.users set banned_until = now() + interval '1 day' where id = %s",
        "update auth.users set deleted_at = now() where id = %s",
        "delete from auth.users where id = %s",
    ],
)
def test_whoever_is_staff_no_longer_is_out_at_once(conn: Connection, org: UUID, event: str) -> None:
    approve(conn, OWNER, org, ask(conn, org, ["contacts.read"]))
    assert contacts(conn, org) > 0
    conn.execute(event.encode(), [AGENT])
    assert contacts(conn, org) == 0


def test_a_grant_ends_inside_a_transaction(conn: Connection, org: UUID) -> None:
    approve(conn, OWNER, org, ask(conn, org, ["contacts.read"]))
    conn.commit()
    with as_user(conn, AGENT, aal="aal2"):
        count = "select count(*) from public.contacts"
        assert conn.execute(count).fetchone() != (0,)
        conn.execute("reset role")
        conn.execute(
            "update private.support_grants set starts_at = now() - interval '2 hours',"
            " expires_at = clock_timestamp()"
        )
        conn.execute("set local role authenticated")
        assert conn.execute(count).fetchone() == (0,)


def test_dismissed_staff_get_nothing(conn: Connection, org: UUID) -> None:
    request = ask(conn, org, ["contacts.read"])
    conn.execute(
        "update private.platform_admins set disabled_at = now() where user_id = %s", [AGENT]
    )
    with refused("support.agent_left"):
        approve(conn, OWNER, org, request)


@pytest.mark.parametrize(
    "end",
    [
        "select public.revoke_support_access({org})",
        "select public.revoke_support_access({org}, {request})",
        "update private.platform_admins set disabled_at = now() where user_id = {agent}",
        "delete from private.platform_admins where user_id = {agent}",
        "delete from auth.users where id = {agent}",
    ],
)
def test_access_that_is_ended_while_it_is_being_given_is_not_given(
    database: Database, conn: Connection, org: UUID, end: str
) -> None:
    request = ask(conn, org, ["contacts.read"])
    conn.commit()
    ending = sql.SQL(end).format(org=org, request=request, agent=AGENT)

    def ended() -> None:
        with database.connect() as session:
            if "public." in end:
                with as_user(session, ADMIN, aal="aal2"):
                    session.execute(ending)
            else:
                session.execute(ending)

    with ThreadPoolExecutor(1) as pool:
        with database.connect() as session:
            with as_user(session, OWNER, aal="aal2"):
                session.execute("select public.approve_support_request(%s, %s)", [org, request])
                after = pool.submit(ended)
                wait_for_lock(conn)
        after.result(timeout=30)
    assert contacts(conn, org) == 0


def test_the_operators_side(database: Database, conn: Connection, org: UUID) -> None:
    """The same from the command line's library: staff, request, approval, list, end."""
    conn.commit()
    url, agent, owner = database.owner_dsn, UUID(AGENT), UUID(OWNER)
    hour = timedelta(hours=1)

    def asked() -> UUID:
        return support.request(
            url, org, agent=agent, permissions=["contacts.read"], reason=REASON, duration=hour
        )

    request = asked()
    with pytest.raises(Refused, match=r"permission\.denied"):
        support.approve(url, org, request, person=agent)
    support.approve(url, org, request, person=owner)
    assert [row["live"] for row in support.list_access(url, org)] == [True]
    assert contacts(conn, org) > 0
    assert support.revoke(url, org, request_id=request) == 1
    assert support.revoke(url, org, person=owner) == 0
    assert contacts(conn, org) == 0
    support.approve(url, org, asked(), person=UUID(COLLEAGUE), break_glass=True)
    assert support.remove_staff(url, agent) == 1
    with pytest.raises(Refused, match=r"platform\.denied"):
        asked()
    support.add_staff(url, agent)
    assert asked()
