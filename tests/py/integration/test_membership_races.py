"""What two requests about the same members can do to each other, and what a stranger can do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from fix_database import Connection, as_user, create_user
from fix_sessions import held, together, wait_for_lock

from harmonia_py.engines import Database

ALDER = "a0000000-0000-7000-8000-000000000001"
BIRCH = "b0000000-0000-7000-8000-000000000001"
OLGA_OWNER = "e0000000-0000-4000-8000-000000000001"
ADAM_ADMIN = "e0000000-0000-4000-8000-000000000002"
MARA_MANAGER = "e0000000-0000-4000-8000-000000000003"
MIKA_MEMBER = "e0000000-0000-4000-8000-000000000004"
OTTO_OWNER = "e0000000-0000-4000-8000-000000000011"
NORA_NOBODY = "e0000000-0000-4000-8000-000000000021"
LEAVE = "select public.leave_organization(%s)"
DEPUTY = [
    "members.read", "members.invite", "members.update", "members.remove", "roles.write",
    "organization.security", "organization.close",
]  # fmt: skip


def act(
    user: str, statement: str, *values: object, aal: str = "aal1"
) -> Callable[[Connection], object]:
    """Return work that says ``done``, or the stable code of the refusal."""

    def work(session: Connection) -> object:
        try:
            with as_user(session, user, aal=aal):
                session.execute(statement.encode(), values)
            session.commit()
        except psycopg.Error as error:
            session.rollback()
            return error.diag.message_detail or error.sqlstate
        return "done"

    return work


def tried(database: Database, user: str, statement: str, *values: object, aal: str = "aal1") -> str:
    with database.connect() as session:
        return str(act(user, statement, *values, aal=aal)(session))


def owners(conn: Connection) -> int:
    conn.rollback()
    row = conn.execute(
        "select count(*) from public.memberships"
        " where organization_id = %s and role = 'owner' and status = 'active'",
        [ALDER],
    ).fetchone()
    conn.rollback()
    assert row is not None
    return int(row[0])


@pytest.fixture
def two_owners(conn: Connection) -> None:
    conn.execute(
        "update public.memberships set role = 'owner' where organization_id = %s and user_id = %s",
        [ALDER, ADAM_ADMIN],
    )
    conn.commit()


@pytest.mark.usefixtures("two_owners")
def test_two_owners_who_leave_at_once_leave_one(database: Database, conn: Connection) -> None:
    results = together(database, act(OLGA_OWNER, LEAVE, ALDER), act(ADAM_ADMIN, LEAVE, ALDER))
    assert sorted(map(str, results)) == ["done", "membership.last_owner"]
    assert owners(conn) == 1


@pytest.mark.usefixtures("two_owners")
def test_owners_who_demote_and_suspend_each_other_leave_one(
    database: Database, conn: Connection
) -> None:
    demote = "select public.change_member_role(%s, %s, 'admin')"
    suspend = "select public.suspend_member(%s, %s)"
    results = together(
        database,
        act(OLGA_OWNER, demote, ALDER, ADAM_ADMIN),
        act(ADAM_ADMIN, suspend, ALDER, OLGA_OWNER),
    )
    # Whoever comes second is an owner no more, or no active member, and is told so.
    assert results in (["done", "role.outranked"], ["permission.denied", "done"])
    assert owners(conn) == 1


@pytest.mark.usefixtures("two_owners")
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_two_old_snapshots_leave_an_owner(database: Database, conn: Connection, level: str) -> None:
    """Each transaction still sees the other owner, who is leaving."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(database.connect()) for _ in range(2)]
        results: list[str] = []
        for session in sessions:
            session.execute(f"set transaction isolation level {level}".encode())
            session.execute("select count(*) from public.memberships")
        for session, user in zip(sessions, (OLGA_OWNER, ADAM_ADMIN), strict=True):
            results.append(str(act(user, LEAVE, ALDER)(session)))
    assert results[0] == "done"
    assert results[1] != "done"
    assert owners(conn) == 1


def test_who_is_removed_while_waiting_invites_nobody(database: Database, conn: Connection) -> None:
    """Permission is looked at again under the lock."""
    conn.rollback()
    invite = "select public.invite_member(%s, 'late@rowan.example', 'member')"
    with ThreadPoolExecutor(1) as pool:
        with held(
            database,
            "select private.lock_organization(%s)",
            ALDER,
        ) as session:
            session.execute(
                "delete from public.memberships where organization_id = %s and user_id = %s",
                [ALDER, ADAM_ADMIN],
            )
            late = pool.submit(lambda: tried(database, ADAM_ADMIN, invite, ALDER))
            wait_for_lock(conn)
        assert late.result(timeout=30) == "permission.denied"
    assert tried(database, OLGA_OWNER, invite, ALDER) == "done"


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "left"])
@pytest.mark.parametrize(
    ("permission", "statement"),
    [
        (
            "members.invite",
            f"select public.invite_member('{ALDER}', 'late@rowan.example', 'helper')",
        ),
        (
            "members.update",
            f"select public.change_member_role('{ALDER}', '{MIKA_MEMBER}', 'helper')",
        ),
        ("members.update", f"select public.suspend_member('{ALDER}', '{MIKA_MEMBER}')"),
        ("members.remove", f"select public.remove_member('{ALDER}', '{MIKA_MEMBER}')"),
        ("roles.write", f"select public.create_role('{ALDER}', 'guest', 'Guest', 10, '{{}}')"),
        ("roles.write", f"select public.update_role('{ALDER}', 'helper', 'Helpers')"),
        ("roles.write", f"select public.delete_role('{ALDER}', 'helper')"),
        ("organization.security", f"select public.set_require_mfa('{ALDER}', false)"),
        ("organization.close", f"select public.close_organization('{ALDER}')"),
    ],
)
def test_a_permission_that_is_taken_while_its_holder_waits_is_gone(
    database: Database, conn: Connection, permission: str, statement: str, taken: bool
) -> None:
    """The rank stays what it was, so it is the permission alone that is looked at again."""
    with as_user(conn, OLGA_OWNER):
        for key, rank, held_by in (("deputy", 70, DEPUTY), ("helper", 20, [])):
            conn.execute(
                "select public.create_role(%s, %s, 'Any', %s, %s)", [ALDER, key, rank, held_by]
            )
        conn.execute("select public.change_member_role(%s, %s, 'deputy')", [ALDER, MARA_MANAGER])
    conn.commit()
    left = [key for key in DEPUTY if key != permission or not taken]
    change = "select public.update_role(%s, 'deputy', permissions => %s)"
    with ThreadPoolExecutor(1) as pool:
        with held(database, "select private.lock_organization(%s)", ALDER) as session:
            with as_user(session, OLGA_OWNER):
                session.execute(change, [ALDER, left])
            late = pool.submit(lambda: tried(database, MARA_MANAGER, statement, aal="aal2"))
            wait_for_lock(conn)
        assert late.result(timeout=30) == ("permission.denied" if taken else "done")


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "left"])
@pytest.mark.parametrize(
    ("permission", "table", "statement"),
    [
        ("support.approve", "support_requests", "public.deny_support_request"),
        ("support.approve", "support_requests", "public.approve_support_request"),
        ("imports.write", "import_jobs", "public.queue_import"),
        ("imports.write", "import_jobs", "public.cancel_import"),
    ],
    ids=["deny", "approve", "queue", "cancel"],
)
def test_so_is_one_that_is_taken_while_its_holder_waits_for_a_row(
    database: Database, conn: Connection, permission: str, table: str, statement: str, taken: bool
) -> None:
    row = "f0000000-0000-7000-8000-0000000000bb"
    conn.execute("insert into private.platform_admins (user_id) values (%s)", [NORA_NOBODY])
    conn.execute(
        "insert into public.support_requests"
        " (organization_id, id, agent_id, permissions, reason, duration)"
        " values (%s, %s, %s, '{contacts.read}', 'a ticket of a member', '1 hour')",
        [ALDER, row, NORA_NOBODY],
    )
    conn.execute(
        "insert into public.import_jobs (organization_id, id, object) values (%s, %s, 'contact')",
        [ALDER, row],
    )
    with as_user(conn, OLGA_OWNER):
        conn.execute(
            "select public.create_role(%s, 'deputy', 'Any', 70, %s)",
            [ALDER, ["contacts.read", "support.approve", "imports.write"]],
        )
        conn.execute("select public.change_member_role(%s, %s, 'deputy')", [ALDER, MARA_MANAGER])
    conn.commit()
    lock = f"select 1 from public.{table} where organization_id = %s for update"
    with ThreadPoolExecutor(1) as pool:
        with held(database, lock, ALDER) as session:
            if taken:
                session.execute(
                    "delete from public.role_permissions where permission = %s", [permission]
                )
            asked = f"select {statement}('{ALDER}', '{row}')"
            late = pool.submit(lambda: tried(database, MARA_MANAGER, asked, aal="aal2"))
            wait_for_lock(conn)
        assert late.result(timeout=30) == ("permission.denied" if taken else "done")


def test_one_token_is_used_once(database: Database, conn: Connection) -> None:
    create_user(conn, NEW := "e0000000-0000-4000-8000-0000000000aa", "new@rowan.example")
    conn.commit()
    with as_user(conn, OLGA_OWNER):
        row = conn.execute(
            "select token from public.invite_member(%s, 'New@Rowan.example', 'member')", [ALDER]
        ).fetchone()
    assert row is not None
    conn.commit()
    accept = "select public.accept_invitation(%s)"
    results = together(database, *[act(NEW, accept, row[0]) for _ in range(4)])
    assert sorted(map(str, results)) == ["done", *["invitation.invalid"] * 3]


def test_an_invitation_is_accepted_or_revoked_and_never_both(
    database: Database, conn: Connection
) -> None:
    conn.execute("update auth.users set email_confirmed_at = now() where id = %s", [NORA_NOBODY])
    with as_user(conn, OLGA_OWNER):
        invited = conn.execute(
            "select invitation_id, token from public.invite_member(%s, %s, 'member')",
            [ALDER, "nora.nobody@elsewhere.example"],
        ).fetchone()
    conn.commit()
    assert invited is not None
    with ThreadPoolExecutor(2) as pool:
        # In the middle of accepting: the new seat waits for its role.
        with held(
            database,
            "select 1 from public.roles where organization_id = %s and key = 'member' for update",
            ALDER,
        ):
            accepted = pool.submit(
                lambda: tried(
                    database, NORA_NOBODY, "select public.accept_invitation(%s)", invited[1]
                )
            )
            wait_for_lock(conn)
            revoked = pool.submit(
                lambda: tried(
                    database,
                    OLGA_OWNER,
                    "select public.revoke_invitation(%s, %s)",
                    ALDER,
                    invited[0],
                )
            )
            wait_for_lock(conn, 2)
        assert accepted.result(timeout=30) == "done"
        assert revoked.result(timeout=30) == "invitation.unknown"


def test_a_changed_address_is_what_counts(database: Database, conn: Connection) -> None:
    """The proven address of today, in any case; not the one it was when the invitation came."""
    new = "e0000000-0000-4000-8000-0000000000ab"
    create_user(conn, new, "Old.Name@Rowan.example")
    conn.commit()
    with as_user(conn, OLGA_OWNER):
        row = conn.execute(
            "select token from public.invite_member(%s, 'old.name@rowan.example', 'member')",
            [ALDER],
        ).fetchone()
    assert row is not None
    accept = "select public.accept_invitation(%s)"
    for change in (
        "update auth.users set email = 'other@rowan.example' where id = %s",
        "update auth.users set email = 'Old.Name@Rowan.example', email_confirmed_at = null"
        " where id = %s",
    ):
        conn.execute(change.encode(), [new])
        conn.commit()
        assert tried(database, new, accept, row[0]) == "invitation.invalid"
    conn.execute("update auth.users set email_confirmed_at = now() where id = %s", [new])
    conn.commit()
    assert tried(database, new, accept, row[0]) == "done"


def test_who_was_removed_cannot_return_by_an_older_invitation(
    database: Database, conn: Connection
) -> None:
    """An invitation to a member's new address dies with the membership."""
    with as_user(conn, OLGA_OWNER):
        row = conn.execute(
            "select token from public.invite_member(%s, 'mika.new@alder.example', 'viewer')",
            [ALDER],
        ).fetchone()
    assert row is not None
    conn.execute(
        "update auth.users set email = 'Mika.New@alder.example' where id = %s", [MIKA_MEMBER]
    )
    conn.commit()
    remove = "select public.remove_member(%s, %s)"
    assert tried(database, OLGA_OWNER, remove, ALDER, MIKA_MEMBER) == "done"
    accept = "select public.accept_invitation(%s)"
    assert tried(database, MIKA_MEMBER, accept, row[0]) == "invitation.invalid"


def test_an_invitation_made_without_a_second_factor_does_not_outlive_the_rule(
    database: Database, conn: Connection
) -> None:
    conn.execute("update auth.users set email_confirmed_at = now() where id = %s", [NORA_NOBODY])

    def joins(*, made_at: str, factor: bool, required: bool) -> str:
        with as_user(conn, ADAM_ADMIN, aal=made_at):
            row = conn.execute(
                "select token from public.invite_member(%s, %s, 'member')",
                [ALDER, "nora.nobody@elsewhere.example"],
            ).fetchone()
        assert row is not None
        if factor:
            conn.execute(
                "insert into auth.mfa_factors"
                " (id, user_id, factor_type, status, secret, created_at, updated_at)"
                " values (gen_random_uuid(), %s, 'totp', 'verified', 'x', now(), now())",
                [ADAM_ADMIN],
            )
        conn.execute(
            "update public.organizations set require_mfa = %s where id = %s", [required, ALDER]
        )
        conn.commit()
        answer = tried(database, NORA_NOBODY, "select public.accept_invitation(%s)", row[0])
        conn.execute("delete from auth.mfa_factors where user_id = %s", [ADAM_ADMIN])
        conn.execute("update public.organizations set require_mfa = false where id = %s", [ALDER])
        conn.execute("delete from public.memberships where user_id = %s", [NORA_NOBODY])
        conn.commit()
        return answer

    assert joins(made_at="aal1", factor=True, required=True) == "invitation.invalid"
    # Who has no second factor by now could invite nobody.
    assert joins(made_at="aal2", factor=False, required=True) == "invitation.invalid"
    assert joins(made_at="aal2", factor=True, required=True) == "done"
    assert joins(made_at="aal1", factor=False, required=False) == "done"


def test_one_person_cannot_found_more_than_allowed_at_once(
    database: Database, conn: Connection
) -> None:
    found = "select public.create_organization(%s, %s)"
    for number in range(18):
        slug = f"nora-{number}"
        assert tried(database, NORA_NOBODY, found, slug, slug) == "done"
    slugs = [f"nora-more-{number}" for number in range(6)]
    results = together(database, *[act(NORA_NOBODY, found, slug, slug) for slug in slugs])
    assert sorted(map(str, results)) == ["done"] * 2 + ["organization.too_many"] * 4


@pytest.mark.parametrize(
    "statement",
    [
        LEAVE,
        "select public.suspend_member(%s, auth.uid())",
        "select public.transfer_ownership(%s, auth.uid())",
        "select public.create_role(%s, 'spy', 'Spy', 1, '{}')",
        "select public.invite_member(%s, 'x@y.example', 'viewer')",
    ],
)
def test_a_stranger_waits_for_nobody_and_stops_nobody(
    database: Database, conn: Connection, statement: str
) -> None:
    """Waiting for a lock of another organization would tell of it, and asking for it hinder it."""
    with held(database, "select private.lock_organization(%s)", BIRCH):
        conn.rollback()
        with pytest.raises(psycopg.Error) as caught, as_user(conn, OLGA_OWNER, aal="aal2"):
            conn.execute("set local lock_timeout = '500ms'")
            conn.execute(statement.encode(), [BIRCH])
    assert (caught.value.sqlstate or "").startswith("PT4")
    unknown = "c0000000-0000-7000-8000-000000000009"
    with pytest.raises(psycopg.Error) as other, as_user(conn, OLGA_OWNER, aal="aal2"):
        conn.execute(statement.encode(), [unknown])
    assert other.value.sqlstate == caught.value.sqlstate
    assert str(other.value) == str(caught.value)


def test_ownership_does_not_go_to_a_suspended_member(database: Database, conn: Connection) -> None:
    transfer = "select public.transfer_ownership(%s, %s)"
    suspend = "select public.suspend_member(%s, %s)"
    assert tried(database, OLGA_OWNER, suspend, ALDER, MIKA_MEMBER) == "done"
    assert tried(database, OLGA_OWNER, transfer, ALDER, MIKA_MEMBER, aal="aal2") == (
        "membership.unknown"
    )
    assert owners(conn) == 1
    reinstate = "select public.reinstate_member(%s, %s)"
    assert tried(database, OLGA_OWNER, reinstate, ALDER, MIKA_MEMBER) == "done"
    assert tried(database, OLGA_OWNER, transfer, ALDER, MIKA_MEMBER, aal="aal2") == "done"


def test_suspending_while_ownership_moves_leaves_an_owner(
    database: Database, conn: Connection
) -> None:
    results = together(
        database,
        act(OLGA_OWNER, "select public.transfer_ownership(%s, %s)", ALDER, MIKA_MEMBER, aal="aal2"),
        act(ADAM_ADMIN, "select public.suspend_member(%s, %s)", ALDER, MIKA_MEMBER),
    )
    # Either the suspension came first, or it met an owner.
    assert sorted(map(str, results)) in (
        ["done", "membership.unknown"],
        ["done", "role.outranked"],
    )
    assert owners(conn) == 1


def test_a_merge_is_undone_while_its_contact_is_erased(
    database: Database, conn: Connection
) -> None:
    """The two lock in one order, so one waits and none is killed as a deadlock."""
    ida = "a7000000-0000-7000-8000-000000000001"
    luis = "a7000000-0000-7000-8000-000000000004"
    with as_user(conn, ADAM_ADMIN):
        row = conn.execute(
            "select merge_id from public.merge_contacts(%s, %s, %s)", [ALDER, ida, luis]
        ).fetchone()
    assert row is not None
    conn.commit()
    results: list[object] = []
    undo = threading.Thread(
        target=lambda: results.append(
            tried(database, ADAM_ADMIN, "select public.unmerge_contacts(%s, %s)", ALDER, row[0])
        )
    )
    with database.connect() as eraser:
        eraser.execute("select 1 from public.contacts where id = %s for update", [luis])
        undo.start()
        wait_for_lock(conn)
        eraser.execute("delete from public.contacts where id = %s", [luis])
        eraser.commit()
    undo.join(timeout=30)
    assert results == ["record.not_found"]
