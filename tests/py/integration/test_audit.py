"""The audit record: what is captured, who may read it, and that nobody can change it quietly."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fix_database import Connection, as_service, as_user
from fix_killed import killable
from psycopg import sql

from harmonia_py import audit
from harmonia_py.audit.seal import read_receipts, write_receipt
from harmonia_py.engines import Database
from harmonia_py.errors import AuditTampered, Refused

OWNER = "e0000000-0000-4000-8000-000000000001"
MEMBER = "e0000000-0000-4000-8000-000000000004"
OTHER_OWNER = "e0000000-0000-4000-8000-000000000011"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def org(conn: Connection) -> UUID:
    """The organization of OWNER and MEMBER, with a few acts of OWNER on record."""
    row = conn.execute(
        "select organization_id from public.memberships where user_id = %s", [OWNER]
    ).fetchone()
    assert row is not None
    for name in ("Alpha", "Beta", "Gamma", "Delta", "Centre"):
        with as_user(conn, OWNER, session_id="5e551011-0000-4000-8000-000000000001"):
            conn.execute("select public.create_team(%s, %s)", [row[0], name])
    conn.commit()
    return UUID(str(row[0]))


def events(conn: Connection, org: UUID) -> list[tuple[Any, ...]]:
    return conn.execute(
        "select action, table_name, record_key, payload, actor_kind, actor_id"
        " from audit.events where organization_id = %s order by at, statement, position",
        [org],
    ).fetchall()


def test_captures_actor_and_change(conn: Connection, org: UUID) -> None:
    action, table, _, payload, kind, actor = events(conn, org)[-1]
    assert (action, table, kind, str(actor)) == ("insert", "public.teams", "user", OWNER)
    assert payload["new"]["name"] == "Centre"


def test_an_update_records_only_what_changed(conn: Connection, org: UUID) -> None:
    conn.execute("update public.organizations set name = 'Renamed' where id = %s", [org])
    conn.commit()
    action, table, key, payload, kind, _ = events(conn, org)[-1]
    assert (action, table, key, kind) == ("update", "public.organizations", str(org), "database")
    assert payload["new"]["name"] == "Renamed" and "slug" not in payload["new"]
    before = len(events(conn, org))
    conn.execute("update public.organizations set updated_at = now() where id = %s", [org])
    conn.commit()
    assert len(events(conn, org)) == before


def test_many_rows_in_one_statement(conn: Connection, org: UUID) -> None:
    conn.execute("update public.teams set name = name || '!' where organization_id = %s", [org])
    conn.execute("delete from public.teams where organization_id = %s", [org])
    conn.commit()
    teams = [row for row in events(conn, org) if row[1] == "public.teams"]
    actions = [row[0] for row in teams]
    assert actions.count("update") == actions.count("delete") >= 5
    assert all(row[3]["new"]["name"].endswith("!") for row in teams if row[0] == "update")


def test_nothing_is_recorded_of_what_was_rolled_back(conn: Connection, org: UUID) -> None:
    before = events(conn, org)
    with pytest.raises(ZeroDivisionError), conn.transaction():
        conn.execute("delete from public.teams where organization_id = %s", [org])
        raise ZeroDivisionError
    assert events(conn, org) == before


def test_emptying_a_table_is_recorded(conn: Connection, org: UUID) -> None:
    conn.execute("truncate public.role_permissions")
    conn.commit()
    assert events(conn, UUID(int=0))[-1][:2] == ("truncate", "public.role_permissions")


def test_administrators_read_their_own_and_nobody_elses(conn: Connection, org: UUID) -> None:
    query = "select distinct organization_id from public.audit_events"
    with as_user(conn, OWNER):
        assert conn.execute(query).fetchall() == [(org,)]
    with as_user(conn, MEMBER):
        assert conn.execute(query).fetchall() == []
    with as_user(conn, OTHER_OWNER):
        assert (org,) not in conn.execute(query).fetchall()
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(conn, OWNER):
        conn.execute("select salt from audit.events")


WRITES = [
    "update audit.events set action = 'x.y'",
    "update audit.events set payload = '{}', salt = null",
    "delete from audit.events",
    "truncate audit.events",
    "update audit.links set events = 1",
    "delete from audit.links",
    "truncate audit.links",
    "delete from audit.seals",
    "truncate audit.seals, audit.sealed_heads",
    "delete from audit.sealed_heads",
    "truncate audit.sealed_heads",
]


@pytest.mark.parametrize("statement", WRITES)
def test_nobody_changes_it(conn: Connection, org: UUID, database: Database, statement: str) -> None:
    audit.seal(database.owner_dsn, KEY)
    with pytest.raises(psycopg.Error) as refused:
        conn.execute(statement)
    assert refused.value.diag.message_detail == "audit.append_only"
    conn.rollback()
    with database.connect_admin() as admin:
        admin.execute("set session_replication_role = replica")
        with pytest.raises(psycopg.Error) as refused:
            admin.execute(statement)
        assert refused.value.diag.message_detail == "audit.append_only"
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_service(conn):
        conn.execute(statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(conn, OWNER):
        conn.execute(statement)


def test_nobody_inserts(conn: Connection, org: UUID) -> None:
    insert = (
        "insert into audit.events (organization_id, statement, position, total, actor_kind,"
        " action, payload_digest) values (%s, 1, 1, 1, 'user', 'x.y', sha256('x'))"
    )
    for act in (as_service(conn), as_user(conn, OWNER)):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), act:
            conn.execute(insert, [org])


def test_verifies_and_agrees_with_the_databases_own_digest(
    conn: Connection, database: Database, org: UUID
) -> None:
    report = audit.verify(database.owner_dsn)
    assert report.ok and report.events >= 5 and report.sealed_events == 0
    mismatch = conn.execute(
        "select count(*) from audit.links as l join audit.events as e using"
        " (organization_id, at, statement) where audit.event_digest(e)"
        " <> substring(l.digests, ((e.position - 1) * 32 + 1)::int, 32)"
    ).fetchone()
    assert mismatch == (0,)


def test_set_constraints_immediate_does_not_escape_the_chain(
    conn: Connection, database: Database, org: UUID
) -> None:
    before = audit.verify(database.owner_dsn).events
    with conn.transaction():
        conn.execute("set constraints all immediate")
        conn.execute("update public.teams set name = name || '?' where organization_id = %s", [org])
        conn.execute("delete from public.teams where organization_id = %s", [org])
    report = audit.verify(database.owner_dsn)
    assert report.ok and report.events >= before + 10


# Tampering, as a superuser who switches the triggers off --------------------------------------
Spot = dict[str, Any]


def change(admin: Connection, at: Spot) -> None:
    admin.execute("update audit.events set action = 'forged' where " + WHERE, at)


def change_payload(admin: Connection, at: Spot) -> None:
    admin.execute("update audit.events set payload = '{\"new\": {}}' where " + WHERE, at)


def erase_quietly(admin: Connection, at: Spot) -> None:
    admin.execute("update audit.events set payload = null, salt = null where " + WHERE, at)


def remove(admin: Connection, at: Spot) -> None:
    admin.execute("delete from audit.events where " + WHERE, at)


def remove_with_link(admin: Connection, at: Spot) -> None:
    remove(admin, at)
    admin.execute(
        "delete from audit.links where organization_id = %(o)s and statement = %(statement)s", at
    )


def insert(admin: Connection, at: Spot) -> None:
    admin.execute(
        "insert into audit.events select (jsonb_populate_record(e, jsonb_build_object('statement',"
        " e.statement + 1000000000))).* from audit.events as e where " + WHERE,
        at,
    )


def reorder(admin: Connection, at: Spot) -> None:
    """Swap with a neighbour: everything but the key columns changes place."""
    other = admin.execute(
        "select at, statement, position from audit.events where organization_id = %(o)s"
        " and statement <> %(statement)s and total = 1"
        " order by abs(statement - %(statement)s) limit 1",
        at,
    ).fetchone()
    assert other is not None
    spot = {"o": at["o"], "a": other[0], "s": other[1], "p": other[2]}
    admin.execute("update audit.events set statement = -1 where " + WHERE, at)
    admin.execute(
        "update audit.events set at = %(at)s, statement = %(statement)s, position = %(position)s"
        " where organization_id = %(o)s and at = %(a)s and statement = %(s)s",
        {**at, **spot},
    )
    admin.execute(
        "update audit.events set at = %(a)s, statement = %(s)s, position = %(p)s"
        " where organization_id = %(o)s and statement = -1",
        spot,
    )


WHERE = (
    "organization_id = %(o)s and at = %(at)s and statement = %(statement)s"
    " and position = %(position)s"
)
TAMPER: list[tuple[Callable[[Connection, Spot], None], set[str]]] = [
    (change, {"changed"}),
    (change_payload, {"changed"}),
    (erase_quietly, {"erased"}),
    (remove, {"removed"}),
    (remove_with_link, {"chain", "removed"}),
    (insert, {"inserted"}),
    (reorder, {"reordered"}),
]
TRIGGERS = sql.SQL("alter table audit.{} {} trigger user")


def tamper(database: Database, act: Callable[[Connection], object]) -> None:
    with database.connect_admin() as admin:
        for table in ("events", "links", "seals", "sealed_heads"):
            admin.execute(TRIGGERS.format(sql.Identifier(table), sql.SQL("disable")))
        act(admin)
        for table in ("events", "links", "seals", "sealed_heads"):
            admin.execute(TRIGGERS.format(sql.Identifier(table), sql.SQL("enable")))


PLACES = ["first", "middle", "last sealed", "first after", "last"]


@pytest.mark.parametrize(
    ("how", "kinds", "where"),
    # The last event that is not sealed yet, removed with its link, leaves no trace: see below.
    [(*t, w) for t in TAMPER for w in PLACES if (t[0], w) != (remove_with_link, "last")],
    ids=lambda v: getattr(v, "__name__", str(v)),
)
def test_tampering_is_found_and_named(
    conn: Connection,
    database: Database,
    org: UUID,
    how: Callable[[Connection, Spot], None],
    kinds: set[str],
    where: str,
) -> None:
    audit.seal(database.owner_dsn, KEY)
    for name in ("Later", "Latest", "Newest"):
        conn.execute(
            "insert into public.teams (organization_id, name) values (%s, %s)", [org, name]
        )
        conn.commit()
    found = audit.tail(database.owner_dsn, org, limit=1000)
    sealed = len(found) - 3
    number = {
        "first": 1,
        "middle": sealed - 2,
        "last sealed": sealed,
        "first after": sealed + 1,
    }.get(where, len(found))
    row = conn.execute(
        "select e.at, e.statement, e.position from audit.links as l join audit.events as e"
        " using (organization_id, at, statement) where organization_id = %s"
        " and l.first_event + e.position - 1 = %s",
        [org, number],
    ).fetchone()
    assert row is not None
    spot = {"o": org, "at": row[0], "statement": row[1], "position": row[2]}
    conn.commit()
    assert audit.verify(database.owner_dsn, public_key=KEY.public_key()).ok
    tamper(database, lambda admin: how(admin, spot))
    report = audit.verify(database.owner_dsn, public_key=KEY.public_key())
    ours = [t for t in report.found if t.organization_id == org]
    assert {t.kind for t in ours} & kinds, report.found
    if how is not insert:
        named = {t.event for t in ours}
        near = {number} if how is not reorder else {number - 1, number, number + 1}
        assert named & near, report.found


def test_what_no_seal_covers_can_be_cut_off_without_a_trace(
    conn: Connection, database: Database, org: UUID
) -> None:
    """The documented limit: it ends with the next seal, so seal often."""
    last = audit.tail(database.owner_dsn, org, limit=1)[0]["number"]

    def cut(admin: Connection) -> None:
        admin.execute(
            "with gone as (delete from audit.links where organization_id = %s"
            " and first_event = %s returning statement) delete from audit.events"
            " where statement in (select statement from gone)",
            [org, last],
        )

    tamper(database, cut)
    assert audit.verify(database.owner_dsn).ok
    audit.seal(database.owner_dsn, KEY)
    last -= 1
    tamper(database, cut)
    assert not audit.verify(database.owner_dsn).ok


def test_emptied_tables_are_found(conn: Connection, database: Database, org: UUID) -> None:
    receipt = audit.seal(database.owner_dsn, KEY)
    assert receipt is not None
    statements = {
        "truncate audit.events": "removed",
        "truncate audit.links": "removed",
        "truncate audit.events, audit.links": "removed",
        "truncate audit.events, audit.links, audit.seals, audit.sealed_heads": "seal",
        "delete from audit.sealed_heads": "seal",
        "update audit.seals set sealed_at = now()": "seal",
    }
    for statement, kind in statements.items():
        with database.connect_admin() as admin:
            for table in ("events", "links", "seals", "sealed_heads"):
                admin.execute(TRIGGERS.format(sql.Identifier(table), sql.SQL("disable")))
            admin.execute(statement)
            report = audit.verify_within(admin, receipts=[receipt])
            admin.rollback()
        assert kind in {t.kind for t in report.found}, statement


def test_a_rewritten_chain_is_found_by_its_seal(
    conn: Connection, database: Database, org: UUID
) -> None:
    """Whoever can rewrite events and links consistently still cannot sign."""
    audit.seal(database.owner_dsn, KEY)

    def rewrite(admin: Connection) -> None:
        admin.execute("update audit.events set action = 'forged' where organization_id = %s", [org])
        rows = admin.execute(
            "select * from audit.links where organization_id = %s order by seq", [org]
        ).fetchall()
        admin.execute("delete from audit.links where organization_id = %s", [org])
        admin.execute("alter table audit.events enable always trigger tg_events__link")
        copies = admin.execute(
            "select array_agg(e order by statement, position) from audit.events as e"
            " where organization_id = %s",
            [org],
        ).fetchone()
        assert rows and copies
        admin.execute("create temp table copies as select * from audit.events where false")
        admin.execute(
            "insert into copies select * from audit.events where organization_id=%s", [org]
        )
        admin.execute("delete from audit.events where organization_id = %s", [org])
        admin.execute("insert into audit.events select * from copies order by statement, position")

    tamper(database, rewrite)
    report = audit.verify(database.owner_dsn, public_key=KEY.public_key())
    assert {t.kind for t in report.found if t.organization_id == org} == {"seal"}


def test_sealing_refuses_a_broken_chain(conn: Connection, database: Database, org: UUID) -> None:
    tamper(
        database,
        lambda admin: admin.execute(
            "update audit.events set action = 'forged' where organization_id = %s", [org]
        ),
    )
    with pytest.raises(AuditTampered, match="event 1"):
        audit.seal(database.owner_dsn, KEY)
    assert conn.execute("select count(*) from audit.seals").fetchone() == (0,)


SEAL = """
import sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from harmonia_py import audit
from harmonia_py.audit import digests

message = digests.seal_message

def slowly(*arguments):
    import time
    print("sealing", flush=True)
    time.sleep(60)
    return message(*arguments)

digests.seal_message = slowly
audit.seal(sys.stdin.readline().strip(), Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
"""


def test_sealing_killed_in_the_middle_left_nothing(
    conn: Connection, database: Database, org: UUID
) -> None:
    with killable(SEAL, database.owner_dsn) as lines:
        assert next(lines) == "sealing\n"
    assert conn.execute("select count(*) from audit.seals").fetchone() == (0,)
    assert audit.seal(database.owner_dsn, KEY) is not None
    assert audit.verify(database.owner_dsn, public_key=KEY.public_key()).ok


def test_seals_and_receipts(
    conn: Connection, database: Database, org: UUID, tmp_path: Path
) -> None:
    first = audit.seal(database.owner_dsn, KEY)
    assert first is not None and audit.seal(database.owner_dsn, KEY) is None
    conn.execute("delete from public.teams where organization_id = %s", [org])
    conn.commit()
    second = audit.seal(database.owner_dsn, KEY)
    assert second is not None and (first.number, second.number, second.heads) == (1, 2, 1)
    for receipt in (first, second):
        write_receipt(tmp_path / "receipts", receipt)
    receipts = read_receipts(tmp_path / "receipts")
    report = audit.verify(database.owner_dsn, public_key=KEY.public_key(), receipts=receipts)
    assert report.ok and report.sealed_events == report.events
    other = Ed25519PrivateKey.generate().public_key()
    assert not audit.verify(database.owner_dsn, public_key=other).ok


def test_erasing_a_payload_keeps_the_chain(conn: Connection, database: Database, org: UUID) -> None:
    audit.seal(database.owner_dsn, KEY)
    latest = audit.tail(database.owner_dsn, org, limit=1)[0]
    assert latest["payload"] is not None
    audit.erase_payload(database.owner_dsn, org, latest["number"], reason="asked to be forgotten")
    erased, act = audit.tail(database.owner_dsn, org, limit=2)
    assert erased["number"] == latest["number"] and erased["payload"] is None
    assert act["action"] == "payload.erased" and act["record_key"] == str(latest["number"])
    assert audit.verify(database.owner_dsn, public_key=KEY.public_key()).ok
    with pytest.raises(Refused, match="already_erased"):
        audit.erase_payload(database.owner_dsn, org, latest["number"], reason="again, by mistake")
    with pytest.raises(Refused, match="unknown_event"):
        audit.erase_payload(database.owner_dsn, org, 10_000, reason="there is no such event")


def test_export_holds_every_event(conn: Connection, database: Database, org: UUID) -> None:
    out = io.StringIO()
    count = audit.export(database.owner_dsn, org, out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["number"] for line in lines] == list(range(1, count + 1))
    assert {line["organization_id"] for line in lines} == {str(org)}


def test_secrets_and_hashes_are_never_copied(conn: Connection) -> None:
    """Binary columns of every audited table are on its redaction list."""
    rows = conn.execute(
        """
        select c.oid::regclass::text, a.attname, t.tgargs
        from pg_trigger as t
        join pg_class as c on c.oid = t.tgrelid
        join pg_attribute as a on a.attrelid = c.oid and a.atttypid = 'bytea'::regtype
        where t.tgfoid = 'audit.tg_capture'::regproc
        """
    ).fetchall()
    for table, column, arguments in rows:
        assert column.encode() in bytes(arguments).split(b"\0")[2], table
