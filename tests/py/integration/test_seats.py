"""Seats say what the authorizer says, whatever happens, in whatever order, however many at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import psycopg
import pytest
from fix_database import Connection, as_service, as_user, create_user
from fix_sessions import held, wait_for_lock

from harmonia_py.engines import Database

ALDER = "a0000000-0000-7000-8000-000000000001"
BIRCH = "b0000000-0000-7000-8000-000000000001"
OLGA_OWNER = "e0000000-0000-4000-8000-000000000001"
ADAM_ADMIN = "e0000000-0000-4000-8000-000000000002"
MIKA_MEMBER = "e0000000-0000-4000-8000-000000000004"
RITA_REP = "e0000000-0000-4000-8000-000000000007"
OTTO_OWNER = "e0000000-0000-4000-8000-000000000011"
BEA_BOTH = "e0000000-0000-4000-8000-000000000012"
NORA_NOBODY = "e0000000-0000-4000-8000-000000000021"

# Everybody, with and without a second factor, and every permission in its reaches. A seat that says
# more is a breach. One that says less is a defect, except after the last factor of a session at
# aal2: the seat holds nothing then that always needs one.
DISAGREE = """
create or replace function pg_temp.disagreements(p_share int, p_of int) returns setof text
language plpgsql as $$
declare
    v_caller record;
begin
    for v_caller in
        select u.id, u.email, a.aal,
            a.aal = 'aal2' and not exists (
                select 1 from auth.mfa_factors as f where f.user_id = u.id and f.status = 'verified'
            ) as outlived
        from auth.users as u cross join (values ('aal1'), ('aal2')) as a (aal)
    loop
        perform set_config(
            'request.jwt.claims',
            jsonb_build_object('sub', v_caller.id, 'aal', v_caller.aal)::text, true
        );
        return query
            select format('%s at %s, %s: %s, not %s', v_caller.email, v_caller.aal, k.wanted, s, o)
            from (
                select array[p.key] as wanted, p.step_up from public.permissions as p
                union all
                select array[p.key, p.key || '_team', p.key || '_own'], p.step_up
                from public.permissions as p where p.key ~ '[.](read|write|delete)$'
            ) as k
            cross join lateral (
                select array(
                    select m.organization_id from private.my_seats as m
                    where m.rights && private.codes(variadic k.wanted) order by 1
                ) as s,
                array(
                    select i.id from private.org_ids(variadic k.wanted) as i (id) order by 1
                ) as o
            ) as both_say
            where
                abs(hashtext(k.wanted::text)) % p_of = p_share % p_of
                and (
                    not s <@ o or (s <> '{}' and s <> o and not (v_caller.outlived and k.step_up))
                );
    end loop;
    perform set_config('request.jwt.claims', '', true);
end $$
"""


def disagreements(
    conn: Connection, *, share: int = 0, of: int = 1, complete: bool = True
) -> list[str]:
    """Return where seats and the authorizer differ, looking at one of so many shares."""
    conn.rollback()
    conn.execute(DISAGREE)
    found = [
        *conn.execute("select * from pg_temp.disagreements(%s, %s)", [share, of]),
        *conn.execute("select 'stale', s.* from private.stale_seats() as s"),
    ]
    if complete:
        found += conn.execute(
            "select 'missing', r.*"
            " from private.rated_seats(array(select u.id from auth.users as u)) as r"
            " where not exists (select 1 from private.seats as s where s.user_id = r.user_id"
            " and s.organization_id = r.organization_id)"
        ).fetchall()
    conn.rollback()
    return [str(row) for row in found]


def seats(conn: Connection, user: str, *, aal: str = "aal1") -> int:
    with as_user(conn, user, aal=aal):
        row = conn.execute("select count(*) from private.my_seats").fetchone()
    conn.rollback()
    assert row is not None
    return int(row[0])


class Change(NamedTuple):
    """A statement and who runs it: ``auth``, ``service``, ``owner`` or a person's id."""

    who: str
    statement: str
    values: list[Any] = []  # noqa: RUF012


def perform(session: Connection, change: Change) -> None:
    statement = change.statement.encode()
    if change.who == "auth":
        with session.transaction():
            session.execute("set local role supabase_auth_admin")
            session.execute(statement, change.values)
            session.execute("set local role none")
    elif change.who == "service":
        with as_service(session):
            session.execute(statement, change.values)
    elif change.who == "owner":
        with session.transaction():
            session.execute(statement, change.values)
    else:
        with as_user(session, change.who, aal="aal2"):
            session.execute(statement, change.values)


BAN = "update auth.users set banned_until = now() + interval '1 hour' where id = %s"
VERIFY = "update auth.mfa_factors set status = 'verified' where user_id = %s"
FACTOR = (
    "insert into auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at)"
    " values (gen_random_uuid(), %s, 'totp', %s, now(), now())"
)
GRANT = (
    "insert into private.support_grants"
    " (organization_id, agent_id, permission, reason, approved_by, expires_at)"
    " values (%s, %s, %s, 'A reason long enough', gen_random_uuid(), now() + interval '1 hour')"
)
JOIN = "insert into public.memberships (organization_id, user_id, role) values (%s, %s, %s)"


def test_no_walk_makes_them_disagree(conn: Connection) -> None:
    """By all who change what members may do, in any order; what is refused changes nothing."""
    people = [
        str(row[0])
        for row in conn.execute("select id from auth.users where email not like 'olga%' order by 1")
    ]
    permissions = [
        row[0] for row in conn.execute("select key from public.permissions order by key")
    ]
    conn.commit()
    chance = random.Random(20261127)
    done, refused = set(), 0
    for step in range(200):
        change = choose(chance, people, permissions)
        try:
            perform(conn, change)
            conn.commit()
            done.add(change.statement)
        except psycopg.Error as error:
            conn.rollback()
            refused += 1
            assert (error.sqlstate or "").startswith(("PT4", "23")), (step, change, error)
        assert disagreements(conn, share=step, of=25) == [], (step, change)
    assert disagreements(conn) == []
    assert len(done) >= 20
    assert refused < 100


def choose(chance: random.Random, people: list[str], permissions: list[str]) -> Change:
    """Return any one of the ways in which what members may do changes."""
    person, other = chance.sample(people, 2)
    org = chance.choice([ALDER, BIRCH])
    boss = chance.choice([OLGA_OWNER, ADAM_ADMIN] if org == ALDER else [OTTO_OWNER, BEA_BOTH])
    role = chance.choice(["admin", "manager", "member", "viewer", "sales_rep"])
    key = chance.choice(permissions)
    yes = chance.choice([True, False])
    # Repeated are those without which most others are refused after a while.
    return chance.choice(
        [
            *[Change("service", f"{JOIN} on conflict do nothing", [org, person, role])] * 2,
            Change(
                "service",
                f"{JOIN}, (%s, %s, %s) on conflict (organization_id, user_id)"
                " do update set role = excluded.role, status = 'active'",
                [ALDER, person, role, BIRCH, other, role],
            ),
            Change(
                "owner",
                "merge into public.memberships as m using (values (%s::uuid, %s::uuid),"
                " (%s::uuid, %s::uuid)) as n (o, u) on m.organization_id = n.o and m.user_id = n.u"
                " when matched and m.role = 'viewer' then delete"
                " when matched then update set role = 'viewer'"
                " when not matched then insert (organization_id, user_id, role)"
                " values (n.o, n.u, 'member')",
                [org, person, org, other],
            ),
            Change(
                "service",
                "update public.memberships set role = %s where organization_id = %s"
                " and role <> 'owner' and user_id in (%s, %s)",
                [role, org, person, other],
            ),
            Change(boss, "select public.change_member_role(%s, %s, %s)", [org, person, role]),
            Change(boss, "select public.suspend_member(%s, %s)", [org, person]),
            Change(boss, "select public.reinstate_member(%s, %s)", [org, person]),
            Change(boss, "select public.remove_member(%s, %s)", [org, person]),
            Change(person, "select public.leave_organization(%s)", [org]),
            Change(
                person,
                "select public.create_organization('New', %s)",
                [f"new-{chance.getrandbits(40)}"],
            ),
            Change(
                "service",
                "delete from public.role_permissions"
                " where organization_id = %s and permission = %s",
                [org, key],
            ),
            Change(
                "service",
                "insert into public.role_permissions values (%s, 'sales_rep', %s)"
                " on conflict do nothing",
                [org, key],
            ),
            Change(
                boss,
                "select public.update_role(%s, 'sales_rep', null, null, %s)",
                [org, [k for k in permissions if ".read" in k and chance.random() < 0.3]],
            ),
            Change(
                "owner", "delete from public.builtin_role_permissions where permission = %s", [key]
            ),
            Change(
                "owner",
                "insert into public.builtin_role_permissions values (%s, %s), ('owner', %s)"
                " on conflict do nothing",
                ["member", key, key],
            ),
            Change(
                "owner",
                "update public.permissions set step_up = %s"
                " where split_part(key, '.', 1) = split_part(%s, '.', 1)",
                [chance.random() < 0.2, key],
            ),
            *[
                Change(
                    "owner",
                    "update public.organizations set status = %s where id = %s",
                    [chance.choice(["active", "active", "closing", "closed"]), org],
                ),
                Change("owner", "update public.organizations set status = 'active'"),
            ],
            Change(
                "owner",
                "update public.organizations set require_mfa = %s where id = %s",
                [chance.random() < 0.3, org],
            ),
            Change("auth", FACTOR, [person, "verified" if yes else "unverified"]),
            Change("auth", VERIFY, [person]),
            *[
                Change(
                    "auth",
                    "delete from auth.mfa_factors where user_id in (%s, %s)",
                    [person, other],
                )
            ]
            * 2,
            Change(
                "auth",
                "update auth.users set banned_until = now() + %s::interval where id = %s",
                [chance.choice(["1 hour", "-1 hour"]), person],
            ),
            *[Change("auth", "update auth.users set banned_until = null")] * 2,
            Change(
                "auth",
                "update auth.users set deleted_at = case when %s then now() end where id = %s",
                [chance.random() < 0.4, person],
            ),
            Change("auth", "update auth.users set last_sign_in_at = now() where id = %s", [person]),
            Change("owner", GRANT, [org, person, "contacts.read"]),
            *[Change("owner", "delete from private.support_grants where agent_id = %s", [person])]
            * 2,
        ]
    )


# Supabase Auth, under its own name -----------------------------------------------------------
def test_supabase_auth_does_all_it_does(database: Database, conn: Connection) -> None:
    """Sign-up, sign-in, factors, bans and both ends of an account: nothing of it fails."""
    new = "e0000000-0000-4000-8000-0000000000ac"
    create_user(conn, new, "new@rowan.example", anonymous=True)
    conn.execute(JOIN.encode(), [ALDER, new, "viewer"])
    conn.commit()
    expected = [
        ("update users set email = 'new@rowan.example', is_anonymous = false where id = %s", 1),
        ("update users set last_sign_in_at = now(), updated_at = now() where id = %s", 1),
        (FACTOR.replace("'totp', %s", "'totp', 'unverified'"), 1),
        (VERIFY, 0),
        ("update mfa_factors set last_challenged_at = now() where user_id = %s", 0),
        ("delete from mfa_factors where user_id = %s", 1),
        (BAN, 0),
        ("update users set banned_until = null where id = %s", 1),
        ("update users set deleted_at = now(), email = 'x@y.example' where id = %s", 0),
        ("delete from users where id = %s", 0),
    ]
    with database.connect() as auth:
        auth.execute("set role supabase_auth_admin")
        auth.execute("set search_path = auth")
        for statement, count in expected:
            auth.execute(statement.encode(), [new])
            auth.commit()
            assert seats(conn, new) == count, statement
            assert disagreements(conn, of=5) == [], statement


@pytest.mark.parametrize("factor", ["unverified", "verified"])
def test_an_account_of_an_owner_with_everything_ends(conn: Connection, factor: str) -> None:
    conn.execute(FACTOR.encode(), [BEA_BOTH, factor])
    conn.execute(GRANT.encode(), [ALDER, BEA_BOTH, "contacts.read"])
    perform(conn, Change("auth", "delete from auth.users where id = %s", [BEA_BOTH]))
    conn.commit()
    assert disagreements(conn) == []
    row = conn.execute("select count(*) from private.seats where user_id = %s", [BEA_BOTH])
    assert row.fetchone() == (0,)


# Two at once -----------------------------------------------------------------------------------
CLOSE_ALDER = Change(
    "owner", "update public.organizations set status = 'closing' where id = %s", [ALDER]
)
RACES: dict[str, tuple[Change, Change]] = {
    "a role that may less and a second factor": (
        Change("service", "delete from public.role_permissions where organization_id = %s",
               [ALDER]),
        Change("auth", FACTOR, [RITA_REP, "verified"]),
    ),
    "closing and a second factor": (CLOSE_ALDER, Change("auth", FACTOR, [MIKA_MEMBER, "verified"])),
    "asking for a factor and a ban": (
        Change("owner", "update public.organizations set require_mfa = true where id = %s",
               [ALDER]),
        Change("auth", BAN, [MIKA_MEMBER]),
    ),
    "a permission that asks for more and a ban": (
        Change("owner", "update public.permissions set step_up = true where key ~ '^contacts[.]'"),
        Change("auth", BAN, [MIKA_MEMBER]),
    ),
    "joining and a ban": (
        Change("service", JOIN, [ALDER, NORA_NOBODY, "member"]),
        Change("auth", BAN, [NORA_NOBODY]),
    ),
    "joining and the end of the account": (
        Change("service", JOIN, [ALDER, NORA_NOBODY, "member"]),
        Change("auth", "update auth.users set deleted_at = now() where id = %s", [NORA_NOBODY]),
    ),
    "joining and its deletion": (
        Change("service", JOIN, [ALDER, NORA_NOBODY, "member"]),
        Change("auth", "delete from auth.users where id = %s", [NORA_NOBODY]),
    ),
    "joining and closing": (
        Change("service", JOIN, [ALDER, NORA_NOBODY, "member"]),
        CLOSE_ALDER,
    ),
    "joining and asking for a factor": (
        Change("service", JOIN, [ALDER, NORA_NOBODY, "member"]),
        Change(OLGA_OWNER, "select public.set_require_mfa(%s, true)", [ALDER]),
    ),
    "joining and a role that may less": (
        Change("service", JOIN, [ALDER, NORA_NOBODY, "sales_rep"]),
        Change(OLGA_OWNER, "select public.update_role(%s, 'sales_rep', null, null, '{}')", [ALDER]),
    ),
    "joining and a built-in role that may less": (
        Change("service", JOIN, [ALDER, NORA_NOBODY, "member"]),
        Change("owner", "delete from public.builtin_role_permissions where role = 'member'"),
    ),
    "joining and a second factor": (
        Change("service", JOIN, [ALDER, NORA_NOBODY, "member"]),
        Change("auth", FACTOR, [NORA_NOBODY, "verified"]),
    ),
    "joining and a grant": (
        Change("service", JOIN, [ALDER, NORA_NOBODY, "member"]),
        Change("owner", GRANT, [BIRCH, NORA_NOBODY, "contacts.read"]),
    ),
    "joining twice": (
        Change("service", JOIN, [ALDER, NORA_NOBODY, "member"]),
        Change("service", JOIN, [BIRCH, NORA_NOBODY, "member"]),
    ),
    "another role and that role may less": (
        Change(OLGA_OWNER, "select public.change_member_role(%s, %s, 'sales_rep')",
               [ALDER, MIKA_MEMBER]),
        Change("service", "delete from public.role_permissions where organization_id = %s",
               [ALDER]),
    ),
    "another role by the service and that role may less": (
        Change("service",
               "update public.memberships set role = 'sales_rep' where user_id = %s",
               [MIKA_MEMBER]),
        Change("service", "delete from public.role_permissions where organization_id = %s",
               [ALDER]),
    ),
    "another role and a second factor": (
        Change(OLGA_OWNER, "select public.change_member_role(%s, %s, 'viewer')",
               [ALDER, MIKA_MEMBER]),
        Change("auth", FACTOR, [MIKA_MEMBER, "verified"]),
    ),
    "another role and a grant": (
        Change(OLGA_OWNER, "select public.change_member_role(%s, %s, 'viewer')",
               [ALDER, MIKA_MEMBER]),
        Change("owner", GRANT, [BIRCH, MIKA_MEMBER, "contacts.read"]),
    ),
    "another role and the end of the account": (
        Change(OLGA_OWNER, "select public.change_member_role(%s, %s, 'viewer')",
               [ALDER, MIKA_MEMBER]),
        Change("auth", "delete from auth.users where id = %s", [MIKA_MEMBER]),
    ),
    "removal and the end of the account": (
        Change(OLGA_OWNER, "select public.remove_member(%s, %s)", [ALDER, MIKA_MEMBER]),
        Change("auth", "delete from auth.users where id = %s", [MIKA_MEMBER]),
    ),
    "removal and a second factor": (
        Change(OLGA_OWNER, "select public.remove_member(%s, %s)", [ALDER, MIKA_MEMBER]),
        Change("auth", FACTOR, [MIKA_MEMBER, "verified"]),
    ),
    "two roles in two organizations": (
        Change("service",
               "update public.memberships set role = 'viewer'"
               " where user_id = %s and organization_id = %s", [BEA_BOTH, ALDER]),
        Change("service",
               "update public.memberships set role = 'viewer'"
               " where user_id = %s and organization_id = %s", [BEA_BOTH, BIRCH]),
    ),
    "leaving both at once": (
        Change(BEA_BOTH, "select public.leave_organization(%s)", [ALDER]),
        Change(BEA_BOTH, "select public.leave_organization(%s)", [BIRCH]),
    ),
    "founding while suspended elsewhere": (
        Change(MIKA_MEMBER, "select public.create_organization('New', 'new-one')"),
        Change(OLGA_OWNER, "select public.suspend_member(%s, %s)", [ALDER, MIKA_MEMBER]),
    ),
    "handing over and a ban": (
        Change(OLGA_OWNER, "select public.transfer_ownership(%s, %s)", [ALDER, MIKA_MEMBER]),
        Change("auth", BAN, [OLGA_OWNER]),
    ),
    "two closings that share members": (
        Change("owner", "update public.organizations set status = 'closing' where id = %s",
               [ALDER]),
        Change("owner", "update public.organizations set status = 'closing' where id = %s",
               [BIRCH]),
    ),
    "a permission that ends and one who joins a role with it": (
        Change("service", JOIN, [ALDER, NORA_NOBODY, "sales_rep"]),
        Change("owner", "delete from public.permissions where key = 'contacts.read_own'"),
    ),
    "staff ends and a membership": (
        Change("owner", GRANT, [BIRCH, MIKA_MEMBER, "contacts.read"]),
        Change(OLGA_OWNER, "select public.suspend_member(%s, %s)", [ALDER, MIKA_MEMBER]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("reverse", [False, True], ids=["", "reverse"])
@pytest.mark.parametrize("name", RACES)
def test_the_second_sees_what_the_first_did(
    database: Database, conn: Connection, name: str, reverse: bool
) -> None:
    """Each in the middle of the other; and neither is killed for a deadlock."""
    first, second = reversed(RACES[name]) if reverse else RACES[name]
    with database.connect() as one, database.connect() as two, ThreadPoolExecutor(1) as pool:
        # Begun before the first is: what it read by then must not matter.
        two.execute("select count(*) from private.seats")
        with one.transaction():
            perform(one, first)
            late = pool.submit(attempt(two, second))
            with suppress(AssertionError):
                wait_for_lock(conn)
        assert late.result(timeout=30) is None or late.result() in {
            # Who is gone cannot be changed any more, nor joined.
            "23503", "PT404", "PT409",
        }  # fmt: skip
    assert disagreements(conn) == []


def attempt(session: Connection, change: Change) -> Callable[[], str | None]:
    def work() -> str | None:
        try:
            perform(session, change)
            session.commit()
        except psycopg.Error as error:
            session.rollback()
            return error.sqlstate
        return None

    return work


@pytest.mark.parametrize(
    "change",
    [
        Change(
            OLGA_OWNER, "select public.change_member_role(%s, %s, 'viewer')", [ALDER, MIKA_MEMBER]
        ),
        Change(OLGA_OWNER, "select public.suspend_member(%s, %s)", [ALDER, MIKA_MEMBER]),
        Change(OLGA_OWNER, "select public.remove_member(%s, %s)", [ALDER, MIKA_MEMBER]),
        Change(OLGA_OWNER, "select public.transfer_ownership(%s, %s)", [ALDER, MIKA_MEMBER]),
        Change(MIKA_MEMBER, "select public.leave_organization(%s)", [ALDER]),
    ],
    ids=lambda change: change.statement.split(".")[1].split("(")[0],
)
def test_no_account_ends_in_a_circle_of_waiting(
    database: Database, conn: Connection, change: Change
) -> None:
    """Whoever changes a membership waits for turns, never for the account itself."""
    end = Change("auth", "delete from auth.users where id = %s", [MIKA_MEMBER])
    with database.connect() as one, database.connect() as two, ThreadPoolExecutor(2) as pool:
        with held(database, "select 1 from auth.users where id = %s for share", MIKA_MEMBER):
            gone = pool.submit(attempt(one, end))
            wait_for_lock(conn)
            late = pool.submit(attempt(two, change))
            with suppress(AssertionError):  # it need not wait
                wait_for_lock(conn, 2)
        # Who became the only owner before it came to that stays.
        stays = {"PT409"} if "transfer_ownership" in change.statement else set()
        assert gone.result(timeout=30) in {None, *stays}
        # There is nobody any more to hand it to, or to leave.
        assert late.result(timeout=30) in {None, "PT404"}
    assert disagreements(conn) == []


def test_two_hand_each_other_an_organization(database: Database, conn: Connection) -> None:
    """Each takes the turns of both at once; else each would have one and wait for the other's."""
    conn.execute(JOIN.encode(), [BIRCH, OLGA_OWNER, "viewer"])
    conn.execute(
        "update public.memberships set role = 'owner' where organization_id = %s and user_id = %s",
        [BIRCH, BEA_BOTH],
    )
    conn.commit()
    hand = "select public.transfer_ownership(%s, %s)"
    step = "select 1 from public.memberships where organization_id = %s and user_id = %s for update"
    with database.connect() as one, database.connect() as two, ThreadPoolExecutor(2) as pool:
        # In the middle, with the new owner written and the old one not yet.
        with held(database, step, ALDER, OLGA_OWNER), held(database, step, BIRCH, BEA_BOTH):
            there = pool.submit(attempt(one, Change(OLGA_OWNER, hand, [ALDER, BEA_BOTH])))
            back = pool.submit(attempt(two, Change(BEA_BOTH, hand, [BIRCH, OLGA_OWNER])))
            wait_for_lock(conn, 2)
        assert (there.result(timeout=30), back.result(timeout=30)) == (None, None)
    assert disagreements(conn) == []


@pytest.mark.parametrize("ends", [True, False])
def test_an_organization_changes_though_an_account_ends(
    database: Database, conn: Connection, ends: bool
) -> None:
    """Who waited for the turn of somebody who is gone goes on with the others."""
    change = Change(OLGA_OWNER, "select public.set_require_mfa(%s, true)", [ALDER])
    end = Change("auth", "delete from auth.users where id = %s", [MIKA_MEMBER])
    with database.connect() as one, database.connect() as two, ThreadPoolExecutor(1) as pool:
        one.execute("select 1")  # so that the change is not kept before it is said
        perform(one, end)
        late = pool.submit(attempt(two, change))
        wait_for_lock(conn)
        if ends:
            one.commit()
        else:
            one.rollback()
        assert late.result(timeout=30) is None
    assert disagreements(conn) == []
    assert seats(conn, MIKA_MEMBER, aal="aal2") == (not ends)
    assert seats(conn, OLGA_OWNER) == 0


def test_signing_in_waits_for_no_change_of_rights(database: Database, conn: Connection) -> None:
    with held(
        database, "update public.memberships set role = 'viewer' where user_id = %s", MIKA_MEMBER
    ):
        conn.execute("set lock_timeout = '500ms'")
        perform(
            conn,
            Change("auth", "update auth.users set last_sign_in_at = now() where id = %s",
                   [MIKA_MEMBER]),
        )  # fmt: skip
    conn.commit()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_old_snapshots_rate_rightly_or_fail(
    database: Database, conn: Connection, level: str
) -> None:
    """What was changed since by another, they cannot see, and must not rate by."""
    changes = [
        Change("service", JOIN, [ALDER, NORA_NOBODY, "member"]),
        Change("service", "update public.memberships set role = 'viewer' where user_id = %s",
               [MIKA_MEMBER]),
        Change("service", "delete from public.memberships where user_id = %s", [MIKA_MEMBER]),
        Change("owner", "update public.organizations set status = 'closing'"),
        Change("service", "delete from public.role_permissions"),
        Change("auth", "update auth.users set banned_until = now() where id = %s", [MIKA_MEMBER]),
        Change("auth", FACTOR, [MIKA_MEMBER, "verified"]),
        Change("owner", GRANT, [BIRCH, MIKA_MEMBER, "contacts.read"]),
    ]  # fmt: skip
    old = f"set transaction isolation level {level}".encode()
    for change in changes:
        conn.rollback()
        conn.execute(old)
        perform(conn, change)
        assert conn.execute("select * from private.stale_seats()").fetchall() == [], change
        conn.rollback()
        conn.execute(old)
        conn.execute("select count(*) from public.memberships")
        with database.connect() as other:
            # As every change of any of them does.
            other.execute(
                "select private.take_turns(array(select o.id from public.organizations as o),"
                " array(select u.id from auth.users as u))"
            )
        with pytest.raises(psycopg.errors.SerializationFailure):
            perform(conn, change)
    conn.rollback()
    assert disagreements(conn) == []


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_old_snapshots_do_not_change_what_a_permission_is(conn: Connection, level: str) -> None:
    """Somebody may have joined whom they cannot see, and who takes no turn of theirs."""
    for change in (
        Change("owner", "delete from public.builtin_role_permissions where role = 'member'"),
        Change("owner", "update public.permissions set step_up = true"),
        Change("owner", "truncate public.role_permissions"),
        Change("owner", "truncate public.builtin_role_permissions"),
    ):
        conn.rollback()
        conn.execute(f"set transaction isolation level {level}".encode())
        with pytest.raises(psycopg.Error) as caught:
            perform(conn, change)
        assert caught.value.diag.message_detail == "transaction.isolation", change
    conn.rollback()
    assert disagreements(conn) == []


# Loads -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_a_load_of_data_alone_brings_no_seats(conn: Connection, role: str) -> None:
    """Rows of seats that a dump holds are left out, whoever made the others."""
    dumped = conn.execute("select * from private.seats").fetchall()
    turns = {
        table: conn.execute(f"select * from private.{table}".encode()).fetchall()
        for table in ("organization_turns", "user_turns")
    }
    assert all(turns.values())
    members = conn.execute("select * from public.memberships").fetchall()
    conn.execute("update private.seats set guarded = false, status = 'active'")
    conn.execute(f"set local session_replication_role = {role}".encode())
    conn.execute("truncate public.memberships cascade")
    conn.execute("update auth.mfa_factors set status = 'verified'")
    with conn.cursor() as cursor:
        with cursor.copy("copy public.memberships from stdin") as copy:
            for row in members:
                copy.write_row(row)
        with cursor.copy("copy private.seats from stdin") as copy:
            for row in dumped:
                copy.write_row([*row[:4], "owner", *row[5:]])
        # Loading the members has taken turns already.
        for table, rows in turns.items():
            with cursor.copy(f"copy private.{table} from stdin".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
    # Came later, and in this order, to a session without triggers.
    conn.execute(FACTOR.encode(), [MIKA_MEMBER, "verified"])
    conn.execute("set local session_replication_role = origin")
    conn.commit()
    assert disagreements(conn, complete=False) == []
    assert seats(conn, MIKA_MEMBER) == 0
    assert seats(conn, BEA_BOTH) == (2 if role == "origin" else 0)
    conn.execute("select private.rate_all_seats()")
    conn.commit()
    assert disagreements(conn) == []
    assert (seats(conn, MIKA_MEMBER, aal="aal2"), seats(conn, BEA_BOTH)) == (1, 2)
