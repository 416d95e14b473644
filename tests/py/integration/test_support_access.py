"""Platform staff: asking, agreeing, using, ending; and that every use is on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fix_database import Connection, as_user, create_user
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


@pytest.mark.parametrize("duration", ["9 hours", "1 minute"])
def test_at_most_eight_hours(conn: Connection, org: UUID, duration: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        ask(conn, org, ["contacts.read"], duration=duration)


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
