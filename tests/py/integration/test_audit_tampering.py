"""Whatever a superuser does to the record, verification finds it and names the first event.

Every kind of tampering in every class of place: the ends, the middle, inside a statement of many
rows, either side of the last seal, either side of the border between two partitions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from fix_audit import KEY, append, guards, tamper
from fix_database import Connection

from harmonia_py import audit
from harmonia_py.engines import Database
from harmonia_py.errors import AuditTampered

Spot = dict[str, Any]
NEXT_MONTH = "date_trunc('month', now()) + interval '1 month' + interval '{} hours'"
WHERE = (
    "organization_id = %(o)s and at = %(at)s and statement = %(statement)s"
    " and position = %(position)s"
)


@dataclass(frozen=True)
class History:
    """The numbers of the events in the places that matter."""

    org: UUID
    places: dict[str, int]


@pytest.fixture
def history(conn: Connection, database: Database, recorded: UUID) -> History:
    """Sealed events, some of them of one statement; then some that are not, in two partitions."""
    conn.execute(
        "update public.teams set name = name || '!' where organization_id = %s", [recorded]
    )
    bulk = last(database, recorded) - 2
    for name in ("Epsilon", "Zeta"):
        team(conn, recorded, name)
    audit.seal(database.owner_dsn, KEY)
    sealed = last(database, recorded)
    for name in ("Later", "Latest"):
        team(conn, recorded, name)
    border = last(database, recorded)
    for hours in (1, 2, 3):
        append(conn, recorded, NEXT_MONTH.format(hours))
        conn.commit()
    places = {
        "first": 1,
        "middle": sealed // 2,
        "inside a statement": bulk,
        "last sealed": sealed,
        "first unsealed": sealed + 1,
        "before the border": border,
        "after the border": border + 1,
        "last": border + 3,
    }
    assert last(database, recorded) == border + 3
    spread = conn.execute(
        "select count(distinct tableoid) from audit.events where organization_id = %s", [recorded]
    ).fetchone()
    assert spread == (2,)
    assert audit.verify(database.owner_dsn, public_key=KEY.public_key()).ok
    return History(recorded, places)


def team(conn: Connection, org: UUID, name: str) -> None:
    conn.execute("insert into public.teams (organization_id, name) values (%s, %s)", [org, name])
    conn.commit()


def last(database: Database, org: UUID) -> int:
    return int(audit.tail(database.owner_dsn, org, limit=1)[0]["number"])


def spot(conn: Connection, org: UUID, number: int) -> Spot:
    row = conn.execute(
        "select e.at, e.statement, e.position, l.seq from audit.links as l"
        " join audit.events as e using (organization_id, at, statement)"
        " where organization_id = %s and l.first_event + e.position - 1 = %s",
        [org, number],
    ).fetchone()
    conn.commit()
    assert row is not None
    return {"o": org, "at": row[0], "statement": row[1], "position": row[2], "seq": row[3]}


# How to tamper with one event -----------------------------------------------------------------
def change(admin: Connection, at: Spot) -> None:
    admin.execute("update audit.events set action = 'forged' where " + WHERE, at)


def change_actor(admin: Connection, at: Spot) -> None:
    admin.execute("update audit.events set actor_id = gen_random_uuid() where " + WHERE, at)


def change_payload(admin: Connection, at: Spot) -> None:
    admin.execute("update audit.events set payload = '{\"new\": {}}' where " + WHERE, at)


def change_payload_and_its_digest(admin: Connection, at: Spot) -> None:
    admin.execute(
        "update audit.events set payload = '{}', payload_digest = audit.payload_digest(salt, '{}')"
        " where " + WHERE,
        at,
    )


def erase_quietly(admin: Connection, at: Spot) -> None:
    admin.execute("update audit.events set payload = null, salt = null where " + WHERE, at)


def remove(admin: Connection, at: Spot) -> None:
    admin.execute("delete from audit.events where " + WHERE, at)


def remove_with_link(admin: Connection, at: Spot) -> None:
    admin.execute(
        "delete from audit.events where organization_id = %(o)s and statement = %(statement)s", at
    )
    admin.execute("delete from audit.links where organization_id = %(o)s and seq = %(seq)s", at)


def change_link(admin: Connection, at: Spot) -> None:
    admin.execute(
        "update audit.links set at = at + interval '1 second'"
        " where organization_id = %(o)s and seq = %(seq)s",
        at,
    )


def pad_link(admin: Connection, at: Spot) -> None:
    """With bytes that belong to no event."""
    admin.execute(
        "update audit.links set digests = digests || '\\x00'"
        " where organization_id = %(o)s and seq = %(seq)s",
        at,
    )


def insert(admin: Connection, at: Spot) -> None:
    admin.execute(
        "insert into audit.events select (jsonb_populate_record(e, jsonb_build_object('statement',"
        " e.statement + 1000000000))).* from audit.events as e where " + WHERE,
        at,
    )


def insert_beside(admin: Connection, at: Spot) -> None:
    """As one more event of the same statement."""
    admin.execute(
        "insert into audit.events select (jsonb_populate_record(e, jsonb_build_object('position',"
        " 99, 'total', 99))).* from audit.events as e where " + WHERE,
        at,
    )


def reorder(admin: Connection, at: Spot) -> None:
    """Swap with a neighbour: everything but the key columns changes place."""
    other = admin.execute(
        "select at, statement, position from audit.events where organization_id = %(o)s"
        " and (at, statement, position) <> (%(at)s, %(statement)s, %(position)s)"
        " order by abs(statement - %(statement)s), abs(position - %(position)s) limit 1",
        at,
    ).fetchone()
    assert other is not None
    there = {"o": at["o"], "a": other[0], "s": other[1], "p": other[2]}
    admin.execute("update audit.events set statement = -1 where " + WHERE, at)
    admin.execute(
        "update audit.events set at = %(at)s, statement = %(statement)s, position = %(position)s"
        " where organization_id = %(o)s and at = %(a)s and statement = %(s)s and position = %(p)s",
        {**at, **there},
    )
    admin.execute(
        "update audit.events set at = %(a)s, statement = %(s)s, position = %(p)s"
        " where organization_id = %(o)s and statement = -1",
        there,
    )


def move_out_of_time(admin: Connection, at: Spot) -> None:
    admin.execute("update audit.events set at = 'infinity' where " + WHERE, at)


def move_link_out_of_time(admin: Connection, at: Spot) -> None:
    admin.execute(
        "update audit.links set at = '-infinity' where organization_id = %(o)s and seq = %(seq)s",
        at,
    )


Tamper = Callable[[Connection, Spot], None]
ONE: dict[Tamper, set[str]] = {
    change: {"changed"},
    change_actor: {"changed"},
    change_payload: {"changed"},
    change_payload_and_its_digest: {"changed"},
    erase_quietly: {"erased"},
    remove: {"removed"},
    remove_with_link: {"chain", "removed"},
    change_link: {"chain", "removed"},
    move_out_of_time: {"removed", "inserted", "reordered"},
    move_link_out_of_time: {"chain", "removed"},
    pad_link: {"chain"},
    insert: {"inserted"},
    insert_beside: {"inserted"},
    reorder: {"reordered", "changed"},
}
PLACES = [
    "first", "middle", "inside a statement", "last sealed", "first unsealed", "before the border",
    "after the border", "last",
]  # fmt: skip
# The last event of all, removed with its link before a seal covers it, leaves no trace: see below.
CASES = [(how, w) for how in ONE for w in PLACES if (how, w) != (remove_with_link, "last")]


@pytest.mark.parametrize(("how", "where"), CASES, ids=lambda v: getattr(v, "__name__", v))
def test_one_event(
    conn: Connection, database: Database, history: History, how: Tamper, where: str
) -> None:
    number = history.places[where]
    at = spot(conn, history.org, number)
    tamper(database, lambda admin: how(admin, at))
    report = audit.verify(database.owner_dsn, public_key=KEY.public_key())
    assert {t.organization_id for t in report.found} == {history.org}
    assert {t.kind for t in report.found} & ONE[how], report.found
    if how in (insert, insert_beside):
        # It has no number; its statement is its name.
        statement = at["statement"] + (1000000000 if how is insert else 0)
        named = next(t.message for t in report.found if t.kind == "inserted")
        assert f"statement {statement}," in named
        return
    first = min(t.event for t in report.found if t.event is not None)
    # What is done to a link or a neighbour begins at the first event of the statement concerned.
    near = {number - at["position"] + 1, number} | ({number - 1} if how is reorder else set())
    assert first in near, report.found


# How to cut the record off ----------------------------------------------------------------------
def cut_events(admin: Connection, at: Spot) -> None:
    admin.execute(
        "delete from audit.events as e using audit.links as l where l.organization_id = %(o)s"
        " and l.seq >= %(seq)s and (e.organization_id, e.at, e.statement)"
        " = (l.organization_id, l.at, l.statement)",
        at,
    )


def cut_links(admin: Connection, at: Spot) -> None:
    admin.execute("delete from audit.links where organization_id = %(o)s and seq >= %(seq)s", at)


def cut_both(admin: Connection, at: Spot) -> None:
    cut_events(admin, at)
    cut_links(admin, at)


@pytest.mark.parametrize("how", [cut_events, cut_links, cut_both], ids=lambda f: f.__name__)
@pytest.mark.parametrize("where", PLACES)
def test_everything_from_here_on(
    conn: Connection, database: Database, history: History, how: Tamper, where: str
) -> None:
    number = history.places[where]
    at = spot(conn, history.org, number)
    first = number - at["position"] + 1
    sealed = first <= history.places["last sealed"]
    tamper(database, lambda admin: how(admin, at))
    report = audit.verify(database.owner_dsn, public_key=KEY.public_key())
    kinds = {t.kind for t in report.found}
    named = [t.event for t in report.found if t.event is not None]
    if how is cut_both and not sealed:
        # The documented limit of any record in its own database: it ends with the next seal.
        assert report.ok
        return
    if how is cut_events or sealed:
        assert "removed" in kinds and min(named) == first, report.found
    if how is cut_links:
        assert "inserted" in kinds, report.found
        statements = [t.message for t in report.found if t.kind == "inserted"]
        assert any(f"statement {at['statement']}," in text for text in statements)
    # A broken chain is not signed, whether it broke before the last seal or after it.
    if sealed or how is cut_events:
        with pytest.raises(AuditTampered):
            audit.seal(database.owner_dsn, KEY)


def test_a_cut_that_grew_over_is_found_and_not_sealed(
    conn: Connection, database: Database, history: History
) -> None:
    """New events take the numbers of those that were cut off under a seal."""
    at = spot(conn, history.org, history.places["last sealed"])
    tamper(database, lambda admin: cut_both(admin, at))
    for name in ("One", "Two", "Three", "Four", "Five", "Six"):
        team(conn, history.org, name)
    report = audit.verify(database.owner_dsn, public_key=KEY.public_key())
    assert {t.kind for t in report.found} == {"seal"}
    with pytest.raises(AuditTampered, match="not the ones that were sealed"):
        audit.seal(database.owner_dsn, KEY)
    assert conn.execute("select count(*) from audit.seals").fetchone() == (1,)


def test_a_chain_that_is_gone_is_found_and_not_sealed(
    conn: Connection, database: Database, history: History
) -> None:
    def wipe(admin: Connection) -> None:
        admin.execute("delete from audit.events where organization_id = %s", [history.org])
        admin.execute("delete from audit.links where organization_id = %s", [history.org])

    tamper(database, wipe)
    report = audit.verify(database.owner_dsn)
    assert [(t.kind, t.event) for t in report.found] == [("removed", 1)]
    with pytest.raises(AuditTampered, match="ends before that"):
        audit.seal(database.owner_dsn, KEY)


def test_a_partition_that_was_detached_is_missed(
    conn: Connection, database: Database, history: History
) -> None:
    first = history.places["after the border"]
    at = spot(conn, history.org, first)
    row = conn.execute(
        "select tableoid::regclass::text from audit.events where " + WHERE, at
    ).fetchone()
    conn.commit()
    assert row is not None
    with database.connect_admin() as admin:
        admin.execute(f"alter table audit.events detach partition {row[0]}".encode())
    report = audit.verify(database.owner_dsn)
    assert ("removed", first) == (report.found[0].kind, report.found[0].event), report.found


def test_what_no_seal_covers_can_be_cut_off_without_a_trace(
    conn: Connection, database: Database, history: History
) -> None:
    """It ends with the next seal, so seal often."""
    at = spot(conn, history.org, history.places["last"])
    tamper(database, lambda admin: cut_both(admin, at))
    assert audit.verify(database.owner_dsn).ok
    audit.seal(database.owner_dsn, KEY)
    at = spot(conn, history.org, history.places["last"] - 1)
    tamper(database, lambda admin: cut_both(admin, at))
    found = audit.verify(database.owner_dsn).found
    assert [(t.kind, t.event) for t in found] == [("removed", history.places["last"] - 1)]


# Whole tables and seals -------------------------------------------------------------------------
def test_emptied_tables_are_found(conn: Connection, database: Database, recorded: UUID) -> None:
    receipt = audit.seal(database.owner_dsn, KEY)
    assert receipt is not None
    statements = {
        "truncate audit.events": "removed",
        "truncate audit.links": "removed",
        "truncate audit.events, audit.links": "removed",
        "truncate audit.events, audit.links, audit.seals, audit.sealed_heads": "seal",
        "delete from audit.sealed_heads": "seal",
        "update audit.seals set sealed_at = now() + interval '1 second'": "seal",
        "update audit.seals set signature = sha256('a') || sha256('b')": "seal",
    }
    for statement, kind in statements.items():
        with database.connect_admin() as admin:
            guards(admin, "disable")
            admin.execute(statement.encode())
            report = audit.verify_within(admin, receipts=[receipt], public_key=KEY.public_key())
            admin.rollback()
        assert kind in {t.kind for t in report.found}, statement


def test_a_rewritten_chain_is_found_by_its_seal(
    conn: Connection, database: Database, recorded: UUID
) -> None:
    """Whoever can rewrite events and links consistently still cannot sign."""
    audit.seal(database.owner_dsn, KEY)

    def rewrite(admin: Connection) -> None:
        chosen = [recorded]
        admin.execute(
            "create temp table copies as select * from audit.events where organization_id = %s",
            chosen,
        )
        admin.execute("update copies set action = 'forged'")
        admin.execute("delete from audit.links where organization_id = %s", chosen)
        admin.execute("delete from audit.events where organization_id = %s", chosen)
        admin.execute("alter table audit.events enable always trigger tg_events__link")
        admin.execute("insert into audit.events select * from copies order by statement, position")
        admin.execute("set constraints all immediate")

    tamper(database, rewrite)
    report = audit.verify(database.owner_dsn, public_key=KEY.public_key())
    assert {t.kind for t in report.found} == {"seal"}
    assert {t.organization_id for t in report.found} == {recorded}


def test_sealing_refuses_a_broken_chain(
    conn: Connection, database: Database, recorded: UUID
) -> None:
    tamper(
        database,
        lambda admin: admin.execute(
            "update audit.events set action = 'forged' where organization_id = %s", [recorded]
        ),
    )
    with pytest.raises(AuditTampered, match="event 1"):
        audit.seal(database.owner_dsn, KEY)
    assert conn.execute("select count(*) from audit.seals").fetchone() == (0,)


@pytest.mark.parametrize("key", ["x", "", "-", "0", "7-", "\u0663", "9" * 5000, "1-2-3", None])
def test_an_erasure_of_no_event_is_found(
    conn: Connection, database: Database, recorded: UUID, key: str | None
) -> None:
    """Well joined to the chain, as whoever may call the function does it: it is no number."""
    audit.seal(database.owner_dsn, KEY)
    number = last(database, recorded) + 1
    conn.execute(
        "select private.audit_record(%s, 'payload.erased', null, 'audit.events', %s)",
        [recorded, key],
    )
    conn.commit()
    (found,) = audit.verify(database.owner_dsn).found
    assert (found.kind, found.event) == ("erased", number)
    assert found.message == f"event {number} records the erasure of no event"
    with pytest.raises(AuditTampered, match="the erasure of no event; nothing was sealed"):
        audit.seal(database.owner_dsn, KEY)


@pytest.mark.parametrize(
    "column",
    ["links.digests", "links.hash", "links.first_event", "seals.digest", "sealed_heads.hash"],
)
def test_tables_that_were_changed_are_no_record(
    database: Database, recorded: UUID, column: str
) -> None:
    """Made to hold what no record holds, they ended the verification in the middle."""
    audit.seal(database.owner_dsn, KEY)
    assert audit.verify(database.owner_dsn).ok
    table, _, name = column.partition(".")

    def change_tables(admin: Connection) -> None:
        admin.execute(f"alter table audit.{table} alter {name} drop not null".encode())
        admin.execute(f"update audit.{table} set {name} = null".encode())

    tamper(database, change_tables)
    with pytest.raises(AuditTampered, match="holds what its tables cannot"):
        audit.verify(database.owner_dsn)


@pytest.mark.parametrize("where", PLACES)
def test_erasing_a_payload_breaks_nothing(
    conn: Connection, database: Database, history: History, where: str
) -> None:
    number = history.places[where]
    audit.erase_payload(database.owner_dsn, history.org, number, reason="asked to be forgotten")
    at = spot(conn, history.org, number)
    erased = conn.execute("select payload, salt from audit.events where " + WHERE, at).fetchone()
    conn.commit()
    assert erased == (None, None)
    assert audit.verify(database.owner_dsn, public_key=KEY.public_key()).ok
    assert audit.seal(database.owner_dsn, KEY) is not None
    report = audit.verify(database.owner_dsn, public_key=KEY.public_key())
    assert report.ok and report.sealed_events == report.events
