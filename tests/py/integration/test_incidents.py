"""Incidents and mail: the right owners are told, once, by a real SMTP server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import psycopg
import pytest
from aiosmtpd.controller import Controller
from fix_database import Connection, as_anon, as_user
from fix_sessions import together

from harmonia_py import audit
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
        self.hang_up = False

    async def handle_RCPT(self, server: Any, _: Any, envelope: Any, address: str, __: Any) -> str:
        if self.hang_up:
            server.transport.close()
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


def test_a_server_that_goes_away_costs_no_message(
    database: Database,
    conn: Connection,
    orgs: tuple[UUID, UUID],
    postbox: tuple[Postbox, outbox.Mailer],
) -> None:
    box, mail = postbox
    for org in orgs:
        conn.execute("select private.notify_owners(%s, 'test', 'once', 'Hello', 'A body.')", [org])
    conn.commit()
    box.refuse = "421 going away"
    box.hang_up = True
    with pytest.raises(MailRefused, match="went away"):
        for _ in range(3):
            outbox.deliver(database.owner_dsn, mail)
    states = conn.execute("select status, attempts from private.notifications").fetchall()
    conn.commit()
    # At most the message it went away over has been tried, and none is given up.
    assert {row[0] for row in states} == {"pending"} and sum(row[1] for row in states) <= 2
    box.refuse, box.hang_up = None, False
    conn.execute("update private.notifications set next_attempt_at = now()")
    conn.commit()
    assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(2, 0, 0)


def drip(peer: socket.socket, text: bytes) -> None:
    with suppress(OSError):
        for byte in text * 1000:
            peer.sendall(bytes([byte]))
            time.sleep(0.1)


def greets_without_end(peer: socket.socket) -> None:
    drip(peer, b"2")


def greets_line_by_line_without_end(peer: socket.socket) -> None:
    drip(peer, b"220-wait\r\n")


def thinks_about_a_recipient_without_end(peer: socket.socket) -> None:
    peer.sendall(b"220 hello\r\n")
    for line in peer.makefile("rb"):
        if line.upper().startswith(b"RCPT"):
            drip(peer, b"250-wait\r\n")
            return
        peer.sendall(b"250 fine\r\n")


@pytest.mark.parametrize(
    ("behave", "says", "attempts"),
    [
        (greets_without_end, "cannot be reached", 0),
        (greets_line_by_line_without_end, "cannot be reached", 0),
        (thinks_about_a_recipient_without_end, "went away", 1),
    ],
)
def test_a_server_that_drips_is_not_waited_for(
    database: Database,
    conn: Connection,
    orgs: tuple[UUID, UUID],
    monkeypatch: pytest.MonkeyPatch,
    behave: Callable[[socket.socket], None],
    says: str,
    attempts: int,
) -> None:
    """A byte now and then keeps every single read inside its timeout."""
    monkeypatch.setattr(outbox, "_SESSION", 1.0)
    monkeypatch.setattr(outbox, "_MESSAGE", 1.0)
    conn.execute("select private.notify_owners(%s, 'test', 'once', 'Hello', 'A body.')", [orgs[0]])
    conn.commit()

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            behave(peer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        mail = outbox.mailer(f"smtp+plain://127.0.0.1:{listener.getsockname()[1]}", "a@b.example")
        begun = time.monotonic()
        with pytest.raises(MailRefused, match=says):
            outbox.deliver(database.owner_dsn, mail)
        assert time.monotonic() - begun < 10
        thread.join(timeout=20)
    states = conn.execute("select status, attempts from private.notifications").fetchall()
    assert states == [("pending", attempts)]


def test_a_message_is_given_up_after_days_and_can_be_tried_again(
    database: Database,
    conn: Connection,
    orgs: tuple[UUID, UUID],
    postbox: tuple[Postbox, outbox.Mailer],
) -> None:
    box, mail = postbox
    conn.execute("select private.notify_owners(%s, 'test', 'once', 'Hello', 'A body.')", [orgs[0]])
    conn.commit()
    box.refuse = "451 try later"
    for age, expected in (("4 days", (0, 1, 0)), ("6 days", (0, 0, 1))):
        conn.execute(
            f"update private.notifications set next_attempt_at = now(), attempts = 90,"
            f" created_at = now() - interval '{age}'".encode()
        )
        conn.commit()
        assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(*expected)
    (message,) = outbox.undelivered(database.owner_dsn)
    assert (message["status"], message["last_error"]) == ("failed", "recipient refused (451)")
    box.refuse = None
    with pytest.raises(Refused, match="not allowed"):
        outbox.retry(database.owner_dsn, message["id"], recipient="a@b.example, c@evil.example")
    outbox.retry(database.owner_dsn, message["id"], recipient="new@alder.example")
    assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(1, 0, 0)
    assert [m["To"] for m in box.taken] == ["new@alder.example"]
    with pytest.raises(Refused, match="was given up"):
        outbox.retry(database.owner_dsn, message["id"])


def test_what_a_purged_organization_was_told_keeps_no_name(
    database: Database,
    conn: Connection,
    orgs: tuple[UUID, UUID],
    postbox: tuple[Postbox, outbox.Mailer],
) -> None:
    box, mail = postbox
    conn.execute("select private.notify_owners(%s, 'test', 'once', 'Hello', 'A body.')", [orgs[0]])
    conn.execute("update public.organizations set status = 'purged' where id = %s", [orgs[0]])
    conn.commit()
    assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(1, 0, 0)
    assert box.taken[0]["To"] == "olga.owner@alder.example"
    row = conn.execute("select recipient, subject, body from private.notifications").fetchone()
    assert row is not None
    assert row[0].startswith("erased-") and row[1:] == ("erased", "erased")


def test_an_organization_nobody_can_be_told_of_is_named(
    database: Database, conn: Connection, orgs: tuple[UUID, UUID]
) -> None:
    conn.execute("update auth.users set email = null where id = %s", [OWNER])
    conn.commit()
    incident = opened(database, tables=None, actors=None)
    assert set(orgs) <= set(incidents.assess(database.owner_dsn, incident))
    incidents.notify(database.owner_dsn, incident, subject="About your data")
    unreached = incidents.unreached(database.owner_dsn, incident)
    assert orgs[0] in unreached and orgs[1] not in unreached
    said = "select organization_id from audit.events where action = 'incident.notified'"
    recorded = [row[0] for row in conn.execute(said)]
    assert recorded == [orgs[1]]
    conn.execute("update auth.users set email = 'olga@alder.example' where id = %s", [OWNER])
    conn.commit()
    for _ in range(2):
        incidents.notify(database.owner_dsn, incident, subject="About your data")
    assert sorted(row[0] for row in conn.execute(said)) == sorted(orgs)


def test_an_erased_use_of_support_access_counts_as_concerned(
    database: Database, conn: Connection, orgs: tuple[UUID, UUID]
) -> None:
    record = "select private.audit_record(%s, 'support.access', %s::jsonb)"
    incident = opened(database, tables=["public.tags"], actors=None)
    conn.execute(record, [orgs[0], '{"permissions": ["contacts.read"]}'])
    conn.commit()
    assert incidents.assess(database.owner_dsn, incident) == []
    number = audit.tail(database.owner_dsn, orgs[0], limit=1)[0]["number"]
    audit.erase_payload(database.owner_dsn, orgs[0], number, reason="asked to be forgotten")
    assert incidents.assess(database.owner_dsn, incident) == [orgs[0]]


def test_an_owner_of_two_organizations_is_told_of_both(
    database: Database,
    conn: Connection,
    orgs: tuple[UUID, UUID],
    postbox: tuple[Postbox, outbox.Mailer],
) -> None:
    box, mail = postbox
    conn.execute(
        "insert into public.memberships (organization_id, user_id, role) values (%s, %s, 'owner')",
        [orgs[1], OWNER],
    )
    conn.commit()
    incident = opened(database, tables=None, actors=None)
    incidents.assess(database.owner_dsn, incident)
    for _ in range(2):
        incidents.notify(
            database.owner_dsn, incident, subject="About your data", body="It is {organization}."
        )
    outbox.deliver(database.owner_dsn, mail)
    told = [m.get_content().strip() for m in box.taken if m["To"] == "olga.owner@alder.example"]
    assert sorted(told) == ["It is Alder Workshop.", "It is Birch Studio."]
    messages = incidents.timeline(database.owner_dsn, incident)["messages"]
    assert {m["organization_id"] for m in messages if "olga" in m["recipient"]} == set(orgs)


def test_an_address_the_server_cannot_take_holds_up_nobody(
    database: Database,
    conn: Connection,
    orgs: tuple[UUID, UUID],
    postbox: tuple[Postbox, outbox.Mailer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One beyond ASCII needs SMTPUTF8 (RFC 6531), which not every server has."""
    box, mail = postbox
    conn.execute("update auth.users set email = 'zoë@birch.example' where id = %s", [OTHER_OWNER])
    for org in reversed(orgs):
        conn.execute("select private.notify_owners(%s, 'test', 'once', 'Hello', 'A body.')", [org])
    conn.commit()
    with monkeypatch.context() as patch:
        patch.setattr("smtplib.SMTP.has_extn", lambda _, name: name != "smtputf8")
        assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(1, 0, 1)
    assert [m["To"] for m in box.taken] == ["olga.owner@alder.example"]
    (failed,) = outbox.undelivered(database.owner_dsn)
    assert failed["last_error"] == "the server takes no address beyond ASCII"
    outbox.retry(database.owner_dsn, failed["id"])
    assert outbox.deliver(database.owner_dsn, mail) == outbox.Delivered(1, 0, 0)


# Each makes Python's e-mail package raise, and each an error of its own; no mail server would
# know what to do with one of them either.
ODD_ADDRESSES = [
    "=@[$(",
    '(a@)"',
    "($&!&)..@$;$;:",
    "a\u0085b@x.example",
    "a\u2028b@x.example",
    "team:x@y.example;",
    "=?utf-8?q?a=40b.example=2C?=@x.example",
]


@pytest.mark.parametrize("address", ODD_ADDRESSES)
def test_an_odd_address_holds_up_nobody_elses_mail(
    database: Database,
    conn: Connection,
    orgs: tuple[UUID, UUID],
    postbox: tuple[Postbox, outbox.Mailer],
    address: str,
) -> None:
    """An owner chooses the address of their account, and an administrator one to be told at."""
    box, mail = postbox
    with pytest.raises(psycopg.errors.CheckViolation), as_user(conn, OTHER_OWNER):
        conn.execute(
            "insert into public.subprocessor_subscriptions values (%s, %s)",
            [orgs[1], address.lower()],
        )
    conn.execute("update auth.users set email = %s where id = %s", [address, OTHER_OWNER])
    conn.commit()
    incident = opened(database, tables=None, actors=None)
    incidents.assess(database.owner_dsn, incident)
    incidents.notify(database.owner_dsn, incident, subject="About your data")
    assert orgs[1] in incidents.unreached(database.owner_dsn, incident)
    # One that came into the outbox nevertheless is first in the queue.
    conn.execute("alter table private.notifications drop constraint notifications_recipient_check")
    conn.execute(
        "insert into private.notifications"
        " (kind, dedupe_key, recipient, subject, body, next_attempt_at)"
        " values ('t', 'x', %s, 'Hi', 'b', now() - interval '1 day')",
        [address],
    )
    conn.commit()
    done = outbox.deliver(database.owner_dsn, mail)
    assert done.failed == 1 and done.deferred == 0
    assert "olga.owner@alder.example" in [m["To"] for m in box.taken]
    assert len(box.taken) == done.sent
    (failed,) = outbox.undelivered(database.owner_dsn)
    assert (failed["status"], failed["last_error"]) == ("failed", "this is not an e-mail address")


@pytest.mark.parametrize("name", ["contacts", "public.no_such", "public.audit_events", "Contacts"])
def test_an_incident_names_tables_that_exist(database: Database, name: str) -> None:
    """A name nobody records would find no organization, and look like an all-clear."""
    with pytest.raises(Refused, match=r"incident\.table"):
        opened(database, tables=["public.teams", name])


@pytest.mark.parametrize(
    ("table", "permission", "concerned"),
    [
        ("public.contacts", "contacts.read", True),
        ("public.contacts", "contacts.write", True),
        ("public.contacts", "contacts.read_team", True),
        ("public.contacts", "deals.read", False),
        ("public.organizations", "organization.read", True),
        ("public.memberships", "members.read", True),
        ("public.invitations", "members.invite", True),
        ("public.pipelines", "contacts.read", False),
        ("public.deal_stage_history", "deals.read", True),
        # No policy says who may reach it, so nobody can say that this was not how.
        ("private.contact_merges", "contacts.write", True),
    ],
)
def test_a_use_of_support_access_is_found_by_what_its_permission_opens(
    database: Database,
    conn: Connection,
    orgs: tuple[UUID, UUID],
    table: str,
    permission: str,
    *,
    concerned: bool,
) -> None:
    conn.execute(
        "select private.audit_record(%s, 'support.access', %s::jsonb)",
        [orgs[0], f'{{"permissions": ["{permission}"]}}'],
    )
    conn.commit()
    incident = opened(database, tables=[table], actors=None)
    # The seed's own acts on that table would count too.
    conn.execute(
        "update private.incidents set window_from = (select max(at) from audit.events"
        " where action = 'support.access') where id = %s",
        [incident],
    )
    conn.commit()
    assert (orgs[0] in incidents.assess(database.owner_dsn, incident)) is concerned


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
        ("smtp://mail.example", "a@"),
        ("smtp://mail.example", "a@b.example\u2028"),
        ("smtp://mail.example", "a@b@c.example"),
        ("smtp://u:hunter2@mail.example:x", "a@b.example"),
        ("smtp://u:hunter2@[::1", "a@b.example"),
    ],
)
def test_unsafe_mail_settings_are_refused(url: str, sender: str) -> None:
    with pytest.raises(UsageError) as refused:
        outbox.mailer(url, sender)
    assert "hunter2" not in refused.value.message


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


def test_an_organization_names_few_addresses(
    database: Database, conn: Connection, orgs: tuple[UUID, UUID]
) -> None:
    """Nobody confirmed them: else the platform would write to whomever a tenant likes."""
    add = (
        "insert into public.subprocessor_subscriptions"
        " select %s, 'a' || n || '@x.example' from generate_series(%s::int, %s) as n"
    )
    too_many = pytest.raises(
        psycopg.Error,
        check=lambda e: e.diag.message_detail == "subprocessor.too_many_subscriptions",
    )
    with as_user(conn, OWNER):
        conn.execute(add, [orgs[0], 1, 20])
    for first, last in ((21, 21), (100, 200)):
        with too_many, as_user(conn, OWNER):
            conn.execute(add, [orgs[0], first, last])
    with as_user(conn, OTHER_OWNER):
        assert conn.execute(add, [orgs[1], 1, 5]).rowcount == 5
    conn.execute("delete from public.subprocessor_subscriptions where email = 'a1@x.example'")
    conn.commit()

    def one(email: str) -> Callable[[Connection], object]:
        def work(session: Connection) -> object:
            with as_user(session, OWNER):
                return session.execute(
                    "insert into public.subprocessor_subscriptions values (%s, %s)",
                    [orgs[0], email],
                ).rowcount

        return work

    results = together(database, one("b@x.example"), one("c@x.example"))
    assert sorted(map(str, results)) == ["1", "PT409"]


@pytest.mark.parametrize("days", [3, 10, 400])
def test_health_says_that_nobody_seals(
    database: Database, conn: Connection, orgs: tuple[UUID, UUID], days: int
) -> None:
    """However long ago, and however quiet it has been since."""

    def sealed() -> bool:
        row = conn.execute("select public.health()").fetchone()
        conn.commit()
        assert row is not None
        return bool(row[0]["audit_sealed"])

    assert sealed()
    with database.connect_admin() as admin:
        admin.execute("alter table audit.links disable trigger user")
        admin.execute(f"update audit.links set at = at - interval '{days} days'".encode())
    assert not sealed()
    # What was sealed stays so, also when nothing happened since.
    with database.connect_admin() as admin:
        admin.execute(
            "insert into audit.seals values (1, now() - interval '50 hours', 'k', 0, sha256('a'),"
            " sha256('a'), sha256('a'), sha256('a') || sha256('a'))"
        )
    assert sealed()


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
