"""The audit record: what is captured, who may read it, and that nobody can change it quietly."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fix_audit import KEY, OWNER, append
from fix_database import Connection, as_anon, as_service, as_user
from fix_killed import killable

from harmonia_py import audit
from harmonia_py.audit.seal import read_receipts, write_receipt
from harmonia_py.engines import Database
from harmonia_py.errors import Refused

MEMBER = "e0000000-0000-4000-8000-000000000004"
OTHER_OWNER = "e0000000-0000-4000-8000-000000000011"


def events(conn: Connection, recorded: UUID) -> list[tuple[Any, ...]]:
    return conn.execute(
        "select action, table_name, record_key, payload, actor_kind, actor_id"
        " from audit.events where organization_id = %s order by at, statement, position",
        [recorded],
    ).fetchall()


def test_captures_actor_and_change(conn: Connection, recorded: UUID) -> None:
    action, table, _, payload, kind, actor = events(conn, recorded)[-1]
    assert (action, table, kind, str(actor)) == ("insert", "public.teams", "user", OWNER)
    assert payload["new"]["name"] == "Centre"


def test_an_update_records_only_what_changed(conn: Connection, recorded: UUID) -> None:
    conn.execute("update public.organizations set name = 'Renamed' where id = %s", [recorded])
    conn.commit()
    action, table, key, payload, kind, _ = events(conn, recorded)[-1]
    assert (action, table, key, kind) == (
        "update",
        "public.organizations",
        str(recorded),
        "database",
    )
    assert payload["new"]["name"] == "Renamed" and "slug" not in payload["new"]
    before = len(events(conn, recorded))
    conn.execute("update public.organizations set updated_at = now() where id = %s", [recorded])
    conn.commit()
    assert len(events(conn, recorded)) == before


def test_many_rows_in_one_statement(conn: Connection, recorded: UUID) -> None:
    conn.execute(
        "update public.teams set name = name || '!' where organization_id = %s", [recorded]
    )
    conn.execute("delete from public.teams where organization_id = %s", [recorded])
    conn.commit()
    teams = [row for row in events(conn, recorded) if row[1] == "public.teams"]
    actions = [row[0] for row in teams]
    assert actions.count("update") == actions.count("delete") >= 5
    assert all(row[3]["new"]["name"].endswith("!") for row in teams if row[0] == "update")


def test_nothing_is_recorded_of_what_was_rolled_back(conn: Connection, recorded: UUID) -> None:
    before = events(conn, recorded)
    with pytest.raises(ZeroDivisionError), conn.transaction():
        conn.execute("delete from public.teams where organization_id = %s", [recorded])
        raise ZeroDivisionError
    assert events(conn, recorded) == before


def test_emptying_a_table_is_recorded(conn: Connection, recorded: UUID) -> None:
    conn.execute("truncate public.role_permissions")
    conn.commit()
    assert events(conn, UUID(int=0))[-1][:2] == ("truncate", "public.role_permissions")


def test_administrators_read_their_own_and_nobody_elses(conn: Connection, recorded: UUID) -> None:
    query = "select distinct organization_id from public.audit_events"
    with as_user(conn, OWNER):
        assert conn.execute(query).fetchall() == [(recorded,)]
    with as_user(conn, MEMBER):
        assert conn.execute(query).fetchall() == []
    with as_user(conn, OTHER_OWNER):
        assert (recorded,) not in conn.execute(query).fetchall()
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
def test_nobody_changes_it(
    conn: Connection, recorded: UUID, database: Database, statement: str
) -> None:
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


@pytest.mark.parametrize(
    "statement", ["delete from {}", "truncate {}", "update {} set action = 'x.y'"]
)
def test_a_partition_is_guarded_by_its_own_name(
    conn: Connection, recorded: UUID, database: Database, statement: str
) -> None:
    conn.execute("call audit.ensure_partitions(14)")
    partitions = [
        row[0]
        for row in conn.execute(
            "select inhrelid::regclass::text from pg_inherits"
            " where inhparent = 'audit.events'::regclass order by 1"
        )
    ]
    conn.commit()
    assert len(partitions) >= 15
    holding = [
        p for p in partitions if conn.execute(f"select 1 from {p} limit 1".encode()).fetchone()
    ]
    assert holding
    # Where there is no row only a statement trigger could speak.
    for name in partitions if statement.startswith("truncate") else holding:
        query = statement.format(name).encode()
        with pytest.raises(psycopg.Error) as refused:
            conn.execute(query)
        assert refused.value.diag.message_detail == "audit.append_only", name
        conn.rollback()
        with database.connect_admin() as admin:
            admin.execute("set session_replication_role = replica")
            with pytest.raises(psycopg.Error) as refused:
                admin.execute(query)
            assert refused.value.diag.message_detail == "audit.append_only", name


def test_only_the_view_of_ones_own_is_open(conn: Connection, recorded: UUID) -> None:
    """Partitions, chain and seals are closed to every API role; events to all but their readers."""
    names = [
        row[0]
        for row in conn.execute(
            "select oid::regclass::text from pg_class"
            " where relnamespace = 'audit'::regnamespace and relkind in ('r', 'p') order by 1"
        )
    ]
    assert {"audit.events_default", "audit.links", "audit.seals", "audit.sealed_heads"} <= {*names}
    for name in names:
        actors = [as_service(conn), as_anon(conn)]
        if name != "audit.events":
            actors.append(as_user(conn, OWNER, aal="aal2"))
        for actor in actors:
            with pytest.raises(psycopg.errors.InsufficientPrivilege), actor:
                conn.execute(f"select count(*) from {name}".encode())
    with as_user(conn, OWNER, aal="aal2"):
        own = conn.execute("select distinct organization_id from audit.events").fetchall()
    assert own == [(recorded,)]


def test_no_api_role_can_call_what_writes_the_record(conn: Connection) -> None:
    """Nobody forges an event: neither the appending functions nor the erasing ones are granted."""
    open_ = conn.execute(
        "select p.oid::regprocedure::text, r.rolname from pg_proc as p cross join pg_roles as r"
        " where r.rolname in ('anon', 'authenticated', 'service_role', 'authenticator')"
        " and (p.pronamespace = 'audit'::regnamespace or p.proname in ('audit_record',"
        " 'audit_table', 'notify_owners', 'place_hold', 'release_hold', 'start_purge',"
        " 'purge_batch', 'finish_purge', 'erase_audit_payloads', 'support_org_ids',"
        " 'shred_organization_keys', 'purge_organization', 'retention_run'))"
        " and has_function_privilege(r.oid, p.oid, 'execute')"
    ).fetchall()
    assert open_ == []
    assert conn.execute(
        "select has_function_privilege('authenticated', 'private.request_export(uuid)', 'execute')"
    ).fetchone() == (True,)


def test_nobody_inserts(conn: Connection, recorded: UUID) -> None:
    insert = (
        "insert into audit.events (organization_id, statement, position, total, actor_kind,"
        " action, payload_digest) values (%s, 1, 1, 1, 'user', 'x.y', sha256('x'))"
    )
    for act in (as_service(conn), as_user(conn, OWNER)):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), act:
            conn.execute(insert, [recorded])


def test_verifies_and_agrees_with_the_databases_own_digest(
    conn: Connection, database: Database, recorded: UUID
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
    conn: Connection, database: Database, recorded: UUID
) -> None:
    before = audit.verify(database.owner_dsn).events
    with conn.transaction():
        conn.execute("set constraints all immediate")
        conn.execute(
            "update public.teams set name = name || '?' where organization_id = %s", [recorded]
        )
        conn.execute("delete from public.teams where organization_id = %s", [recorded])
    report = audit.verify(database.owner_dsn)
    assert report.ok and report.events >= before + 10


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
    conn: Connection, database: Database, recorded: UUID
) -> None:
    with killable(SEAL, database.owner_dsn) as lines:
        assert next(lines) == "sealing\n"
    assert conn.execute("select count(*) from audit.seals").fetchone() == (0,)
    assert audit.seal(database.owner_dsn, KEY) is not None
    assert audit.verify(database.owner_dsn, public_key=KEY.public_key()).ok


def test_seals_and_receipts(
    conn: Connection, database: Database, recorded: UUID, tmp_path: Path
) -> None:
    first = audit.seal(database.owner_dsn, KEY)
    assert first is not None and audit.seal(database.owner_dsn, KEY) is None
    conn.execute("delete from public.teams where organization_id = %s", [recorded])
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


def test_erasing_a_payload_keeps_the_chain(
    conn: Connection, database: Database, recorded: UUID
) -> None:
    audit.seal(database.owner_dsn, KEY)
    latest = audit.tail(database.owner_dsn, recorded, limit=1)[0]
    assert latest["payload"] is not None
    audit.erase_payload(
        database.owner_dsn, recorded, latest["number"], reason="asked to be forgotten"
    )
    erased, act = audit.tail(database.owner_dsn, recorded, limit=2)
    assert erased["number"] == latest["number"] and erased["payload"] is None
    assert act["action"] == "payload.erased" and act["record_key"] == str(latest["number"])
    assert audit.verify(database.owner_dsn, public_key=KEY.public_key()).ok
    with pytest.raises(Refused, match="already_erased"):
        audit.erase_payload(
            database.owner_dsn, recorded, latest["number"], reason="again, by mistake"
        )
    with pytest.raises(Refused, match="unknown_event"):
        audit.erase_payload(database.owner_dsn, recorded, 10_000, reason="there is no such event")


def test_export_holds_every_event(conn: Connection, database: Database, recorded: UUID) -> None:
    out = io.StringIO()
    count = audit.export(database.owner_dsn, recorded, out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["number"] for line in lines] == list(range(1, count + 1))
    assert {line["organization_id"] for line in lines} == {str(recorded)}


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


def test_a_clock_that_jumps_back_breaks_nothing(
    conn: Connection, database: Database, recorded: UUID
) -> None:
    """The chain's order is that of commits, whatever the events' clock says."""
    for month in (1, -14, 0, -1):
        append(conn, recorded, f"now() + interval '{month} months'")
        conn.commit()
    assert audit.seal(database.owner_dsn, KEY) is not None
    append(conn, recorded, "now() - interval '2 years'")
    conn.commit()
    assert audit.verify(database.owner_dsn, public_key=KEY.public_key()).ok
    assert audit.seal(database.owner_dsn, KEY) is not None
    report = audit.verify(database.owner_dsn, public_key=KEY.public_key())
    assert report.ok and report.sealed_events == report.events


def test_a_hold_keeps_payloads(conn: Connection, database: Database, recorded: UUID) -> None:
    conn.execute("select private.place_hold(%s, 'court order 17/2026', 'legal')", [recorded])
    conn.commit()
    with pytest.raises(Refused, match="on_hold"):
        audit.erase_payload(database.owner_dsn, recorded, 1, reason="asked to be forgotten")
    assert audit.verify(database.owner_dsn).ok
    conn.execute(
        "update private.legal_holds set released_at = now(), released_by = 'legal',"
        " release_reason = 'over'"
    )
    conn.commit()
    audit.erase_payload(database.owner_dsn, recorded, 1, reason="asked to be forgotten")
