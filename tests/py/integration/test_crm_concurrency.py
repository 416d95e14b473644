"""What happens when two people change the same records at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from fix_database import Connection, acting, as_user
from fix_sessions import held, together, wait_for_lock

from harmonia_py.engines import Database

ALDER = "a0000000-0000-7000-8000-000000000001"
ADAM_ADMIN = "e0000000-0000-4000-8000-000000000002"
MARA_MANAGER = "e0000000-0000-4000-8000-000000000003"
OTTO_OWNER = "e0000000-0000-4000-8000-000000000011"
IDA = "a7000000-0000-7000-8000-000000000001"
LUIS = "a7000000-0000-7000-8000-000000000004"
THREAD = "ac000000-0000-7000-8000-000000000001"
DEAL = "a8000000-0000-7000-8000-000000000001"
WON = "a3000000-0000-7000-8000-000000000004"
LOST = "a3000000-0000-7000-8000-000000000005"


def merge(survivor: str, merged: str) -> Callable[[Connection], object]:
    def work(session: Connection) -> object:
        with as_user(session, ADAM_ADMIN):
            session.execute("select public.merge_contacts(%s, %s, %s)", [ALDER, survivor, merged])
        return "merged"

    return work


def test_merging_both_ways_at_once_keeps_one(database: Database, conn: Connection) -> None:
    conn.rollback()
    results: list[object] = []
    # The first waits for Ida. Would the second lock Luis before it queues up behind, each would
    # soon wait for the other.
    works = (merge(LUIS, IDA), merge(IDA, LUIS))
    threads = [
        threading.Thread(target=lambda work=work: results.extend(together(database, work)))
        for work in works
    ]
    with held(database, "update public.contacts set city = 'Kiel' where id = %s", IDA):
        for waiting, thread in enumerate(threads, start=1):
            thread.start()
            wait_for_lock(conn, sessions=waiting)
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(map(str, results)) == ["PT404", "merged"]
    left = conn.execute(
        "select count(*) from public.contacts where id in (%s, %s) and deleted_at is null",
        [IDA, LUIS],
    ).fetchone()
    assert left == (1,)


def test_moving_a_deal_twice_at_once_keeps_an_unbroken_history(
    database: Database, conn: Connection
) -> None:
    def move(stage: str) -> Callable[[Connection], object]:
        def work(session: Connection) -> object:
            with as_user(session, ADAM_ADMIN):
                session.execute("select public.move_deal(%s, %s, %s)", [ALDER, DEAL, stage])
            return "moved"

        return work

    assert together(database, move(WON), move(LOST)) == ["moved", "moved"]
    steps = conn.execute(
        "select from_stage_id, to_stage_id from public.deal_stage_history where deal_id = %s",
        [DEAL],
    ).fetchall()
    following: dict[Any, Any] = dict(steps)
    assert len(steps) == len(following) == 3
    stage, walked = following[None], 1
    while stage in following:
        stage, walked = following[stage], walked + 1
    assert walked == 3
    assert conn.execute("select stage_id from public.deals where id = %s", [DEAL]).fetchone() == (
        stage,
    )


def test_a_message_written_while_its_thread_changes_hands_goes_along(
    database: Database, conn: Connection
) -> None:
    conn.rollback()
    written: list[object] = []

    def write(session: Connection) -> object:
        with as_user(session, ADAM_ADMIN):
            session.execute(
                "insert into public.messages"
                " (organization_id, conversation_id, direction, body_text)"
                " values (%s, %s, 'outbound', 'Just now.')",
                [ALDER, THREAD],
            )
        return "written"

    hand_over = "update public.conversations set owner_id = %s, team_id = null where id = %s"
    with held(database, hand_over, MARA_MANAGER, THREAD):
        thread = threading.Thread(target=lambda: written.extend(together(database, write)))
        thread.start()
        wait_for_lock(conn)
    thread.join(timeout=60)
    assert written == ["written"]
    owners = conn.execute(
        "select distinct owner_id::text, team_id from public.messages where conversation_id = %s",
        [THREAD],
    ).fetchall()
    assert owners == [(MARA_MANAGER, None)]


def test_a_thread_that_changes_hands_takes_along_what_is_being_written(
    database: Database, conn: Connection
) -> None:
    conn.rollback()
    handed: list[object] = []

    def hand_over(session: Connection) -> object:
        with as_user(session, ADAM_ADMIN):
            session.execute(
                "update public.conversations set owner_id = %s, team_id = null where id = %s",
                [MARA_MANAGER, THREAD],
            )
        return "handed"

    write = """
        insert into public.messages (organization_id, conversation_id, direction, body_text)
        values (%s, %s, 'outbound', 'Just now.')
    """
    with held(database, write, ALDER, THREAD):
        thread = threading.Thread(target=lambda: handed.extend(together(database, hand_over)))
        thread.start()
        wait_for_lock(conn)
    thread.join(timeout=60)
    assert handed == ["handed"]
    owners = conn.execute(
        "select distinct owner_id::text, team_id from public.messages where conversation_id = %s",
        [THREAD],
    ).fetchall()
    assert owners == [(MARA_MANAGER, None)]


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_no_child_stays_with_the_former_owner(
    database: Database, conn: Connection, level: str
) -> None:
    """A snapshot older than the child does not show it, so by such none changes hands."""
    call = "a9000000-0000-7000-8000-000000000001"
    add = (
        "insert into public.call_transcripts (organization_id, activity_id, content_html)"
        " values (%s, %s, 'What was said')"
    )
    hand = "update public.activities set owner_id = %s where id = %s"
    conn.commit()
    with database.connect() as old:
        old.execute(f"set transaction isolation level {level}".encode())
        old.execute("select count(*) from public.activities")
        with as_user(conn, ADAM_ADMIN):
            conn.execute(add.encode(), [ALDER, call])
        conn.commit()
        if level == "read committed":
            with as_user(old, ADAM_ADMIN):
                old.execute(hand.encode(), [MARA_MANAGER, call])
            old.commit()
        else:
            with pytest.raises(psycopg.Error) as caught, as_user(old, ADAM_ADMIN):
                old.execute(hand.encode(), [MARA_MANAGER, call])
            assert caught.value.diag.message_detail == "transaction.isolation"
    row = conn.execute(
        "select k.owner_id = a.owner_id from public.call_transcripts as k join public.activities"
        " as a on a.organization_id = k.organization_id and a.id = k.activity_id where a.id = %s",
        [call],
    ).fetchone()
    assert row == (True,)


CHILDREN = {
    "contacts": "insert into public.contact_tags (organization_id, contact_id, tag_id)"
    " values (%(org)s, %(id)s, gen_random_uuid())",
    "companies": "insert into public.company_tags (organization_id, company_id, tag_id)"
    " values (%(org)s, %(id)s, gen_random_uuid())",
    "deals": "insert into public.deal_tags (organization_id, deal_id, tag_id)"
    " values (%(org)s, %(id)s, gen_random_uuid())",
    "activities": "insert into public.call_transcripts (organization_id, activity_id, content_html)"
    " values (%(org)s, %(id)s, 'x')",
    "conversations": "insert into public.messages"
    " (organization_id, conversation_id, direction, body_text)"
    " values (%(org)s, %(id)s, 'inbound', 'x')",
}


@pytest.mark.parametrize("table", CHILDREN)
def test_a_stranger_waits_for_no_parent(database: Database, conn: Connection, table: str) -> None:
    """Waiting would tell that somebody changes it; members wait, to take its owner after that."""
    parent = conn.execute(
        f"select id from public.{table} where organization_id = %s limit 1".encode(), [ALDER]
    ).fetchone()
    assert parent is not None
    child = CHILDREN[table].encode()
    values = {"org": ALDER, "id": parent[0]}
    with held(database, f"update public.{table} set updated_at = now() where id = %s", parent[0]):
        for claims, refused in (
            ({"sub": OTTO_OWNER}, psycopg.errors.InsufficientPrivilege),
            ({"api_key_id": OTTO_OWNER}, psycopg.errors.InsufficientPrivilege),
            ({"sub": ADAM_ADMIN}, psycopg.errors.LockNotAvailable),
        ):
            conn.commit()
            with pytest.raises(refused), acting(conn, "authenticated", claims):
                conn.execute("set local lock_timeout = '500ms'")
                conn.execute(child, values)
        for role in ("service_role", "none"):
            with pytest.raises(psycopg.errors.LockNotAvailable), acting(conn, role, {}):
                conn.execute("set local lock_timeout = '500ms'")
                conn.execute(child, values)
