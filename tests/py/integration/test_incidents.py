"""Incidents and mail: the right owners are told, once, by a real SMTP server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import psycopg
import pytest
from aiosmtpd.controller import Controller
from fix_database import Connection, as_anon, as_user

from harmonia_py.engines import Database
from harmonia_py.errors import MailRefused, Refused, UsageError
from harmonia_py.lifecycle import incidents, outbox

OWNER = "e0000000-0000-4000-8000-000000000001"
OTHER_OWNER = "e0000000-0000-4000-8000-000000000011"


class Postbox:
    """What the server took; ``refuse`` is how it answers instead."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.refuse: str | None = None

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, ___: Any) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.taken.append(message)
        return "250 OK"


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, outbox.Mailer]]:
    box = Postbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, outbox.mailer(f"smtp+plain://127.0.0.1:{port}", "security@harmonia.example")
    controller.stop()


@pytest.fixture
def orgs(conn: Connection) -> tuple[UUID, UUID]:
    rows = [
        conn.execute(
            "select organization_id from public.memberships where user_id = %s", [user]
        ).fetchone()
        for user in (OWNER, OTHER_OWNER)
    ]
    conn.commit()
    assert rows[0] and rows[1]
    return UUID(str(rows[0][0])), UUID(str(rows[1][0]))


def opened(database: Database, **arguments: Any) -> UUID:
    now = datetime.now(UTC)
    given = {"tables": ["public.teams"], "actors": [UUID(OWNER)], **arguments}
    return incidents.open_incident(
        database.owner_dsn,
        title="Leaked laptop",
        summary="A laptop was stolen.",
        window=(now - timedelta(hours=1), now + timedelta(hours=1)),
        opened_by="security",
        **given,
    )


def test_the_right_owners_are_told_once(
    database: Database,
    conn: Connection,
    orgs: tuple[UUID, UUID],
    postbox: tuple[Postbox, outbox.Mailer],
) -> None:
    box, mail = postbox
    with as_user(conn, OWNER):
        conn.execute("select public.create_team(%s, 'Stolen')", [orgs[0]])
    with as_user(conn, OTHER_OWNER):
        conn.execute("select public.create_team(%s, 'Another actor')", [orgs[1]])
    conn.commit()
    incident = opened(database)
    with pytest.raises(Refused, match="not_assessed"):
        incidents.notify(database.owner_dsn, incident, subject="About your data")
    assert incidents.assess(database.owner_dsn, incident) == [orgs[0]]
    assert incidents.notify(database.owner_dsn, incident, subject="About your data") == 1
    assert incidents.notify(database.owner_dsn, incident, subject="About your data") == 0
    assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(1, 0, 0)
    assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(0, 0, 0)
    (message,) = box.taken
    assert message["To"] == "olga.owner@alder.example"
    assert "A laptop was stolen." in message.get_content()
    assert "{" not in message.get_content()
    report = incidents.timeline(database.owner_dsn, incident)
    assert [m["status"] for m in report["messages"]] == ["sent"]
    assert [e["event"] for e in report["timeline"]][:2] == ["opened", "assessed"]
    incidents.close(database.owner_dsn, incident, resolution="wiped remotely")
    with pytest.raises(Refused, match="unknown"):
        incidents.close(database.owner_dsn, incident, resolution="again")


def test_without_narrowing_everybody_in_the_window_is_concerned(
    database: Database, conn: Connection, orgs: tuple[UUID, UUID]
) -> None:
    incident = opened(database, tables=None, actors=None)
    assert set(orgs) <= set(incidents.assess(database.owner_dsn, incident))


def test_a_server_that_is_down_loses_nothing(
    database: Database,
    conn: Connection,
    orgs: tuple[UUID, UUID],
    postbox: tuple[Postbox, outbox.Mailer],
) -> None:
    box, mail = postbox
    conn.execute("select private.notify_owners(%s, 'test', 'once', 'Hello', 'A body.')", [orgs[0]])
    conn.commit()
    nobody = outbox.mailer("smtp+plain://127.0.0.1:9", "security@harmonia.example")
    with pytest.raises(MailRefused, match="cannot be reached"):
        outbox.deliver(database.owner_dsn, nobody)
    box.refuse = "451 try later"
    assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(0, 1, 0)
    assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(0, 0, 0)
    box.refuse = None
    conn.execute("update private.notifications set next_attempt_at = now()")
    conn.commit()
    assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(1, 0, 0)
    conn.execute("select private.notify_owners(%s, 'test', 'twice', 'Hello', 'A body.')", [orgs[0]])
    conn.commit()
    box.refuse = "550 no such user"
    assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(0, 0, 1)
    row = conn.execute(
        "select last_error from private.notifications where status = 'failed'"
    ).fetchone()
    assert row == ("recipient refused (550)",)


def test_no_header_can_be_smuggled_in(conn: Connection, orgs: tuple[UUID, UUID]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        conn.execute(
            "select private.notify_owners(%s, 't', 'x', e'Hi\\r\\nBcc: x@evil.example', 'b')",
            [orgs[0]],
        )


@pytest.mark.parametrize(
    ("url", "sender"),
    [
        ("smtp+plain://mail.example:25", "a@b.example"),
        ("http://mail.example", "a@b.example"),
        ("smtp://mail.example", "a@b.example\r\nBcc: x@y.example"),
    ],
)
def test_unsafe_mail_settings_are_refused(url: str, sender: str) -> None:
    with pytest.raises(UsageError):
        outbox.mailer(url, sender)


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(outbox.mailer("smtp://u:hunter2@mail.example", "a@b.example"))


# Sub-processors --------------------------------------------------------------------------------
def test_subprocessors_are_public_versioned_and_announced(
    database: Database,
    conn: Connection,
    orgs: tuple[UUID, UUID],
    postbox: tuple[Postbox, outbox.Mailer],
) -> None:
    box, mail = postbox
    with as_user(conn, OWNER):
        conn.execute(
            "insert into public.subprocessor_subscriptions values (%s, 'dpo@alder.example')",
            [orgs[0]],
        )
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(conn, OTHER_OWNER):
        conn.execute(
            "insert into public.subprocessor_subscriptions values (%s, 'x@evil.example')", [orgs[0]]
        )
    add = "select private.set_subprocessor('mailer', %s, 'Sends mail', 'EU', null, %s, null)"
    today = datetime.now(UTC).date()
    conn.execute(add, ["Mailer Ltd", today - timedelta(days=10)])
    conn.execute(add, ["Mailer Group", today + timedelta(days=30)])
    conn.commit()
    with as_anon(conn):
        rows = conn.execute(
            "select version, name, effective_to from public.subprocessors order by version"
        ).fetchall()
    assert rows == [(1, "Mailer Ltd", today + timedelta(days=30)), (2, "Mailer Group", None)]
    assert conn.execute("select private.announce_subprocessors()").fetchone() == (1,)
    assert conn.execute("select private.announce_subprocessors()").fetchone() == (0,)
    conn.commit()
    outbox.deliver(database.owner_dsn, mail)
    assert [m["To"] for m in box.taken] == ["dpo@alder.example"]
    assert "Mailer Group" in box.taken[0].get_content()


def test_health_says_what_is_late_and_nothing_else(conn: Connection) -> None:
    with as_anon(conn):
        row = conn.execute("select public.health()").fetchone()
    assert row is not None and row[0]["status"] == "ok"
    conn.execute(
        "insert into private.notifications (kind, dedupe_key, recipient, subject, body, status)"
        " values ('t', 'k', 'a@b.example', 's', 'b', 'failed')"
    )
    with as_anon(conn):
        row = conn.execute("select public.health()").fetchone()
    assert row is not None
    assert (row[0]["status"], row[0]["notifications_moving"]) == ("degraded", False)
    assert set(row[0]) == {
        "status", "time", "audit_sealed", "retention_on_time", "notifications_moving",
    }  # fmt: skip
