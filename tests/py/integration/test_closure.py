"""Closing, holds and the purge: nothing too early, nothing too much, nothing left."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fix_database import Connection, as_service, as_user
from fix_killed import eventually, killable

from harmonia_py import audit
from harmonia_py.connection import session
from harmonia_py.engines import Database
from harmonia_py.errors import Busy, CheckFailed, Refused
from harmonia_py.lifecycle import catalog, retention

OWNER = "e0000000-0000-4000-8000-000000000001"
ADMIN = "e0000000-0000-4000-8000-000000000002"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def org(conn: Connection) -> UUID:
    row = conn.execute(
        "select organization_id from public.memberships where user_id = %s", [OWNER]
    ).fetchone()
    conn.commit()
    assert row is not None
    return UUID(str(row[0]))


def refused(code: str) -> Any:
    return pytest.raises(psycopg.Error, check=lambda e: e.diag.message_detail == code)


def close(conn: Connection, org: UUID, *, who: str = OWNER, aal: str = "aal2") -> None:
    with as_user(conn, who, aal=aal):
        conn.execute("select public.close_organization(%s, 'we are done')", [org])


def reopen(conn: Connection, org: UUID) -> None:
    with as_user(conn, OWNER, aal="aal2"):
        conn.execute("select public.reopen_organization(%s)", [org])


def let_it_be_due(conn: Connection, org: UUID) -> None:
    conn.execute(
        "update private.closures set closing_at = now() - interval '40 days',"
        " purge_after = now() - interval '1 day' where organization_id = %s",
        [org],
    )
    conn.commit()


def prints(database: Database, *, but: UUID) -> dict[str, Any]:
    """Fingerprints of every tenant table, private ones too, of all other organizations."""
    with session(database.owner_dsn) as conn:
        others = conn.execute(
            "select id from public.organizations where id <> %s order by id", [but]
        ).fetchall()
        return {
            f"{table.name} {other[0]}": catalog.fingerprint(conn, table, other[0])
            for table in catalog.tables(conn, exported=False)
            for other in others
        }


def test_closing_is_read_only_and_reversible(conn: Connection, org: UUID) -> None:
    with refused("permission.denied"):
        close(conn, org, who=ADMIN)
    conn.rollback()
    with refused("permission.denied"):
        close(conn, org, aal="aal1")
    conn.rollback()
    close(conn, org)
    rename = "update public.contacts set first_name = 'X' where organization_id = %s"
    with as_user(conn, OWNER, aal="aal2"):
        assert conn.execute("select count(*) from public.contacts").fetchone() != (0,)
        assert conn.execute(rename, [org]).rowcount == 0
    for statement in (
        rename,
        "delete from public.contacts where organization_id = %s",
        "insert into public.tags (organization_id, name) values (%s, 'late')",
        "update public.organizations set name = 'X' where id = %s",
    ):
        with refused("organization.read_only"), as_service(conn):
            conn.execute(statement, [org])
    with refused("organization.not_active"):
        close(conn, org)
    with as_user(conn, OWNER, aal="aal2"):
        conn.execute("select public.request_export(%s)", [org])
    reopen(conn, org)
    with as_service(conn):
        assert conn.execute(rename, [org]).rowcount > 0
    with refused("organization.not_closing"):
        reopen(conn, org)


def test_the_owners_are_told(conn: Connection, org: UUID) -> None:
    close(conn, org)
    told = conn.execute(
        "select recipient, status from private.notifications where kind = 'organization.closing'"
    ).fetchall()
    assert told == [("olga.owner@alder.example", "pending")]


def test_what_may_not_be_purged(database: Database, conn: Connection, org: UUID) -> None:
    def no(what: str) -> None:
        with pytest.raises(Refused, match=what):
            retention.purge(database.owner_dsn, org)

    no("organization.not_closing")
    close(conn, org)
    conn.commit()
    no("organization.export_window")
    let_it_be_due(conn, org)
    hold = retention.place_hold(
        database.owner_dsn, org, reason="court order 17/2026", placed_by="legal"
    )
    no("organization.on_hold")
    assert retention.plan(database.owner_dsn)[0].blocked == "legal hold"
    retention.release_hold(
        database.owner_dsn, org, hold, reason="the case is over", released_by="legal"
    )
    lock = "select {}(486104, private.export_lock(%s))"
    conn.execute(lock.format("pg_advisory_lock").encode(), [org])
    no("organization.exporting")
    assert retention.plan(database.owner_dsn)[0].blocked == "export running"
    conn.execute(lock.format("pg_advisory_unlock").encode(), [org])
    conn.commit()
    assert retention.plan(database.owner_dsn)[0].blocked is None
    with pytest.raises(Refused, match="not purged"):
        retention.certify(database.owner_dsn, org, KEY)
    retention.purge(database.owner_dsn, org)
    no("organization.purged")


@pytest.mark.parametrize("status", ["active", "closing", "closed"])
@pytest.mark.parametrize(
    "statement",
    [
        "update public.organizations set status = 'active' where id = %s",
        "update public.organizations set status = 'closing' where id = %s",
        "update public.organizations set status = 'purged' where id = %s",
        "delete from public.organizations where id = %s",
        "insert into public.organizations as o (id, name, slug) values (%s, 'x', 'xyz')"
        " on conflict (id) do update set status = excluded.status",
    ],
)
def test_no_key_of_a_server_opens_or_ends_an_organization(
    conn: Connection, org: UUID, statement: str, status: str
) -> None:
    """Opened again in the middle of a purge, deletes in it would go unrecorded."""
    conn.execute("update public.organizations set status = %s where id = %s", [status, org])
    conn.commit()
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_service(conn):
        conn.execute(statement.encode(), [org])
    conn.rollback()
    if status == "active":
        with as_service(conn):
            conn.execute("update public.organizations set name = 'New' where id = %s", [org])


def test_a_hold_stops_every_delete(database: Database, conn: Connection, org: UUID) -> None:
    tables = [
        row[0]
        for row in conn.execute(
            "select tgrelid::regclass::text from pg_trigger where tgname like '%keep_held'"
        )
    ]
    assert "public.contacts" in tables or "contacts" in tables
    retention.place_hold(database.owner_dsn, org, reason="court order 18/2026", placed_by="legal")
    conn.commit()
    other = "delete from public.tags where organization_id <> %s"
    for statement in (
        "delete from public.tags where organization_id = %s",
        "delete from public.organizations where id = %s",
        "delete from public.contacts where organization_id = %s",
    ):
        with refused("organization.on_hold"):
            conn.execute(statement, [org])
        conn.rollback()
        if "organizations" in statement:
            continue
        with refused("organization.on_hold"), as_service(conn):
            conn.execute(statement, [org])
        conn.rollback()
    with refused("organization.on_hold"):
        conn.execute("truncate public.messages cascade")
    conn.rollback()
    assert conn.execute(other, [org]).rowcount > 0


def test_a_hold_binds_replicas_and_keys_too(
    database: Database, conn: Connection, org: UUID
) -> None:
    retention.place_hold(database.owner_dsn, org, reason="court order 18/2026", placed_by="legal")
    for statement in (
        "delete from public.tags where organization_id = %s",
        "select private.shred_organization_keys(%s)",
        "delete from public.tags where organization_id = %s",
        "select private.erase_audit_payloads(%s, 10)",
        "select private.finish_purge(%s)",
    ):
        with database.connect_admin() as admin:
            admin.execute("set session_replication_role = replica")
            with refused("organization.on_hold"):
                admin.execute(statement.encode(), [org])


def test_every_table_is_held(conn: Connection, database: Database, org: UUID) -> None:
    """A cascade from anywhere, a merge, a bin that is emptied: all end at a table's trigger."""
    held = {
        row[0]
        for row in conn.execute(
            "select c.relname from pg_trigger as t join pg_class as c on c.oid = t.tgrelid"
            " where t.tgname like '%\\_\\_keep\\_held' and t.tgenabled = 'A'"
        )
    }
    open_ = {
        "memberships", "team_members", "role_permissions", "invitations", "invitation_tokens",
        "api_keys", "api_key_permissions", "webhook_receipts", "secret_leases", "api_key_tokens",
    }  # fmt: skip
    tables = {
        row[0]
        for row in conn.execute(
            "select c.relname from private.tenant_tables() as t"
            " join pg_class as c on c.oid = t.relation"
        )
    }
    assert tables - held <= open_, tables - held - open_
    retention.place_hold(database.owner_dsn, org, reason="court order 19/2026", placed_by="legal")
    contact = conn.execute(
        "select id from public.contacts where organization_id = %s and deleted_at is null", [org]
    ).fetchone()
    conn.commit()
    assert contact is not None
    with as_user(conn, OWNER, aal="aal2"):
        assert conn.execute("select public.soft_delete(%s, 'contact', %s)", [org, [contact[0]]])
    with refused("organization.on_hold"), as_user(conn, OWNER, aal="aal2"):
        conn.execute("delete from public.contacts where id = %s", [contact[0]])


def test_a_hold_waits_for_a_delete_that_is_under_way(
    database: Database, conn: Connection, org: UUID
) -> None:
    """Once a hold is placed, nothing goes any more: also not what was being deleted meanwhile."""
    gone = conn.execute("delete from public.tags where organization_id = %s", [org]).rowcount
    assert gone > 0
    with database.connect() as other:
        other.execute("set lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("select private.place_hold(%s, 'court order 20/2026', 'legal')", [org])
        other.rollback()
        conn.rollback()
        other.execute("select private.place_hold(%s, 'court order 20/2026', 'legal')", [org])
        # And the other way round: a delete waits for the hold that is being placed.
        conn.execute("set lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            conn.execute("delete from public.tags where organization_id = %s", [org])
        conn.rollback()
        other.commit()
    with refused("organization.on_hold"):
        conn.execute("delete from public.tags where organization_id = %s", [org])


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
@pytest.mark.parametrize(
    "statement",
    [
        "delete from public.contact_tags where organization_id = %s",
        "delete from public.tags where organization_id = %s",
        "truncate public.contact_tags",
    ],
)
def test_an_older_snapshot_deletes_nothing_past_a_hold(
    database: Database, conn: Connection, org: UUID, level: str, statement: str
) -> None:
    """It does not show the hold; while none was placed since, it deletes as any other."""
    values = [org] if "%s" in statement else []
    with database.connect() as old:
        for held in (False, True):
            old.execute(f"set transaction isolation level {level}".encode())
            old.execute("select count(*) from private.legal_holds")
            if held:
                conn.execute("select private.place_hold(%s, 'court order 21/2026', 'legal')", [org])
                conn.commit()
                with pytest.raises(psycopg.errors.SerializationFailure):
                    old.execute(statement.encode(), values)
            else:
                old.execute(statement.encode(), values)
            old.rollback()


def test_an_older_snapshot_deletes_nothing_where_a_restore_brought_no_turns(
    database: Database, conn: Connection, org: UUID
) -> None:
    conn.execute("delete from private.hold_turns")
    conn.commit()
    test_an_older_snapshot_deletes_nothing_past_a_hold(
        database, conn, org, "repeatable read", "delete from public.tags where organization_id = %s"
    )


def test_the_purge_leaves_nothing_and_touches_nobody_else(
    database: Database, conn: Connection, org: UUID
) -> None:
    close(conn, org)
    conn.commit()
    let_it_be_due(conn, org)
    before = prints(database, but=org)
    due = retention.plan(database.owner_dsn)[0]
    assert (due.organization_id, due.blocked) == (org, None) and due.rows > 50
    rows = retention.purge(database.owner_dsn, org, batch=7)
    assert rows >= due.rows
    assert prints(database, but=org) == before
    certificate = retention.certify(database.owner_dsn, org, KEY)
    content = retention.check_certificate(certificate, KEY.public_key())
    assert sum(t["rows"] for t in content["tables"].values()) == rows
    assert content["rows_left"] == 0 and content["keys_shredded"] is True
    assert retention.certify(database.owner_dsn, org, KEY) == certificate
    forged = replace(
        certificate, document=certificate.document.replace('"rows_left":0', '"rows_left":1')
    )
    with pytest.raises(CheckFailed):
        retention.check_certificate(forged, KEY.public_key())
    with pytest.raises(CheckFailed):
        retention.check_certificate(certificate, Ed25519PrivateKey.generate().public_key())
    report = audit.verify(database.owner_dsn)
    assert report.ok, report.found
    everything = conn.execute(
        "select string_agg(payload::text, '') from audit.events where organization_id = %s", [org]
    ).fetchone()
    assert everything is not None and "alder.example" not in (everything[0] or "")
    row = conn.execute(
        "select name, status from public.organizations where id = %s", [org]
    ).fetchone()
    assert row == ("Purged organization", "purged")


def test_the_scheduled_procedure_does_the_same(
    database: Database, conn: Connection, org: UUID
) -> None:
    close(conn, org)
    conn.commit()
    let_it_be_due(conn, org)
    before = prints(database, but=org)
    with session(database.owner_dsn) as free:
        free.execute("call private.retention_run(11)")
        free.execute("call private.retention_run(11)")
    assert prints(database, but=org) == before
    assert retention.certify(database.owner_dsn, org, KEY)


def test_one_that_cannot_be_purged_does_not_stop_the_others(
    database: Database, conn: Connection, org: UUID
) -> None:
    conn.execute(
        "insert into private.closures (organization_id, closing_at, purge_after)"
        " select id, now() - interval '40 days', now() - interval '2 days'"
        " from public.organizations"
    )
    conn.execute("update public.organizations set status = 'closing'")
    # The first one due: this table is not empty and lets nothing go.
    first = conn.execute("select min(organization_id::text)::uuid from private.closures").fetchone()
    assert first is not None
    conn.execute(
        "create function public.no() returns trigger language plpgsql as"
        " $$ begin raise 'not this one'; end $$"
    )
    conn.execute(
        f"create trigger no before delete on public.contacts for each row"
        f" when (old.organization_id = '{first[0]}') execute function public.no()".encode()
    )
    conn.commit()
    with session(database.owner_dsn) as free:
        free.execute("call private.retention_run(1000)")
    states = dict(
        conn.execute("select id = %s, status from public.organizations", [first[0]]).fetchall()
    )
    assert states == {True: "closing", False: "purged"}


def test_nobody_takes_the_name_that_a_purge_gives(conn: Connection, org: UUID) -> None:
    """Somebody who did would keep the purge from its end for ever."""
    create = "select slug from public.create_organization('X', %s)"
    with as_user(conn, OWNER):
        assert conn.execute(create, ["purgedly"]).fetchone() == ("purgedly",)
    taken = pytest.raises(
        psycopg.errors.CheckViolation,
        check=lambda e: e.diag.constraint_name == "organizations_purged_slug_check",
    )
    with taken, as_user(conn, OWNER):
        conn.execute(create, [f"purged-{org.hex}"])


def test_one_purge_at_a_time(database: Database, conn: Connection, org: UUID) -> None:
    conn.execute("select pg_advisory_lock(486103)")
    with pytest.raises(Busy, match="another purge"):
        retention.purge(database.owner_dsn, org)
    conn.execute("select pg_advisory_unlock(486103)")
    with pytest.raises(Refused, match="not_closing"):
        retention.purge(database.owner_dsn, org)


def test_what_was_purged_without_a_certificate_gets_one(
    database: Database, conn: Connection, org: UUID
) -> None:
    """By a schedule, or by a run that was killed before it could sign."""
    close(conn, org)
    conn.commit()
    let_it_be_due(conn, org)
    retention.purge(database.owner_dsn, org)
    assert retention.uncertified(database.owner_dsn) == [org]
    signed = retention.complete(database.owner_dsn, org, KEY)
    assert retention.uncertified(database.owner_dsn) == []
    assert retention.complete(database.owner_dsn, org, KEY) == signed
    assert retention.check_certificate(signed, KEY.public_key())["rows_left"] == 0


def test_stored_objects_keep_the_certificate_back(
    database: Database, conn: Connection, org: UUID
) -> None:
    close(conn, org)
    conn.execute(
        "insert into storage.objects (bucket_id, name) values ('crm', %s)", [f"{org}/x/a.pdf"]
    )
    conn.commit()
    let_it_be_due(conn, org)
    with pytest.raises(CheckFailed, match="1 stored objects"):
        retention.complete(database.owner_dsn, org, KEY)
    conn.execute("select set_config('storage.allow_delete_query', 'true', true)")
    conn.execute("delete from storage.objects")
    conn.commit()
    assert retention.complete(database.owner_dsn, org, KEY)


def test_a_purged_organization_is_purged(database: Database, conn: Connection, org: UUID) -> None:
    close(conn, org)
    conn.commit()
    let_it_be_due(conn, org)
    retention.purge(database.owner_dsn, org)
    # Even for somebody who is an owner of what is no longer there.
    conn.execute(
        "insert into public.roles (organization_id, key, name, rank, builtin)"
        " values (%s, 'owner', 'Owner', 100, true)",
        [org],
    )
    conn.execute(
        "insert into public.memberships (organization_id, user_id, role) values (%s, %s, 'owner')",
        [org, OWNER],
    )
    conn.commit()
    for call in ("reopen_organization", "close_organization", "request_export"):
        with refused("permission.denied"), as_user(conn, OWNER, aal="aal2"):
            conn.execute(f"select public.{call}(%s)".encode(), [org])
        conn.rollback()
    with pytest.raises(Refused, match="no organization to hold"):
        retention.place_hold(database.owner_dsn, org, reason="much too late", placed_by="legal")


PURGE = """
import sys, time
from uuid import UUID
from harmonia_py.lifecycle import retention

def progress(name, rows):
    print(name, flush=True)
    time.sleep(0.01)

retention.purge(sys.stdin.readline().strip(), UUID(sys.argv[1]), batch=1, progress=progress)
"""


def test_killed_in_the_middle_it_goes_on(database: Database, conn: Connection, org: UUID) -> None:
    close(conn, org)
    conn.commit()
    let_it_be_due(conn, org)
    before = prints(database, but=org)
    for count in (10, 60):
        with killable(PURGE, database.owner_dsn, str(org)) as lines:
            for _ in range(count):
                next(lines)
        assert audit.verify(database.owner_dsn).ok
    eventually(lambda: retention.purge(database.owner_dsn, org))
    assert prints(database, but=org) == before
    content = json.loads(retention.certify(database.owner_dsn, org, KEY).document)
    assert content["rows_left"] == 0
    assert audit.verify(database.owner_dsn).ok


def test_every_table_with_a_tenant_is_purged_or_says_why_not(conn: Connection) -> None:
    rows = conn.execute(
        "select format('%I.%I', n.nspname, c.relname) from pg_class as c"
        " join pg_namespace as n on n.oid = c.relnamespace"
        " join pg_attribute as a on a.attrelid = c.oid and a.attname = 'organization_id'"
        " where c.relkind in ('r', 'p') and not c.relispartition"
        " and n.nspname in ('public', 'private')"
    ).fetchall()
    purged = {
        row[0]
        for row in conn.execute(
            "select format('%I.%I', n.nspname, c.relname) from private.tenant_tables() as t"
            " join pg_class as c on c.oid = t.relation join pg_namespace as n"
            " on n.oid = c.relnamespace"
        )
    }
    staying = conn.execute("select unnest(private.outliving_tables())").fetchall()
    assert {row[0] for row in rows} == purged | {row[0] for row in staying}
    for (name,) in conn.execute("select relation::text from private.tenant_tables()"):
        assert conn.execute(
            "select count(*) from pg_constraint where contype = 'f' and conrelid = %s::regclass",
            [name],
        ).fetchone() != (0,), f"{name} is not tied to its organization"


def test_every_tenant_table_is_guarded(conn: Connection) -> None:
    """Whoever adds a table calls private.guard_tenant_tables() in the same migration."""
    before = conn.execute("select count(*) from pg_trigger").fetchone()
    conn.execute("call private.guard_tenant_tables()")
    assert conn.execute("select count(*) from pg_trigger").fetchone() == before
