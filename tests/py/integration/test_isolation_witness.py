"""What the prover refutes is built and tried: real leaks become findings, the rest does not."""

from __future__ import annotations

import pytest
from fix_isolation import Judge
from isolation_idioms import BASE, EXISTS, LEAKY, SOUND, build

from harmonia_py.engines import Database
from harmonia_py.isolation.introspect import introspect
from harmonia_py.isolation.probes.counterexamples.confirm import confirm
from harmonia_py.isolation.proof import prove_table
from harmonia_py.isolation.runner import laboratory

# Ownership beside membership may be meant.
MEANT = "or owner"
CONFIRMED = {name: text for name, text in LEAKY.items() if name != MEANT}


def confirmed(database: Database, predicate: str, before: str = "") -> set[str]:
    with database.connect() as conn:
        conn.execute(BASE)
        conn.execute(before.encode())
        build(conn, "notes", predicate)
        conn.commit()
    with database.connect_admin() as conn, laboratory(conn) as lab:
        table = introspect(conn).tables["public.notes"]
        proofs = prove_table(lab.catalog, lab.model, table)
        return {s.command for s in confirm(lab, proofs, [])}


@pytest.mark.parametrize("name", CONFIRMED)
def test_a_leak_is_built_and_works(plain_database: Database, name: str) -> None:
    assert confirmed(plain_database, CONFIRMED[name]) == {"select", "insert", "update", "delete"}


@pytest.mark.parametrize("name", ["helper per row", "plpgsql helper"])
def test_sound_policies_give_nothing_to_try(plain_database: Database, name: str) -> None:
    assert confirmed(plain_database, SOUND[name]) == set()


def test_access_that_may_be_meant_is_not_a_finding(plain_database: Database) -> None:
    assert confirmed(plain_database, LEAKY[MEANT]) == set()


@pytest.mark.parametrize(("kinds", "works"), [("'open', 'shut'", True), ("'shut'", False)])
def test_a_world_that_a_constraint_forbids_is_no_leak(
    plain_database: Database, kinds: str, works: bool
) -> None:
    """Its rows are refused before any policy is asked, which is not the row having passed."""
    doors = f"create table public.doors (kind text check (kind in ({kinds})));"
    doors += "grant select on public.doors to authenticated"
    with plain_database.connect() as conn:
        conn.execute(doors.encode())
        conn.commit()
    opened = f"{EXISTS} or exists (select 1 from public.doors d where d.kind = 'open')"
    found = confirmed(plain_database, opened)
    assert found == (WRITES | {"select"} if works else set())


@pytest.mark.parametrize(
    "cut", ["left({}::text, 8)", "right({}::text, 12)", "substr({}::text, 1, 8)"]
)
def test_ids_are_made_that_a_cut_takes_for_the_same(plain_database: Database, cut: str) -> None:
    mine = f"select {cut.format('m.org_id')} from public.members m where m.user_id = auth.uid()"
    found = confirmed(plain_database, f"{cut.format('notes.org_id')} in ({mine})")
    assert found == {"select"} | WRITES


def test_a_share_that_names_the_caller_is_not_a_leak(plain_database: Database) -> None:
    shares = (
        "exists (select 1 from public.shares s where s.note_id = notes.id"
        " and s.user_id = auth.uid())"
    )
    with plain_database.connect() as conn:
        conn.execute(
            "create table public.shares (note_id uuid, user_id uuid,"
            " primary key (note_id, user_id));"
            "alter table public.shares enable row level security;"
            "grant select on public.shares to authenticated;"
            "create policy p on public.shares for select to authenticated"
            " using (user_id = auth.uid())"
        )
        conn.commit()
    assert confirmed(plain_database, f"{EXISTS} or {shares}") == set()
    other = shares.replace("s.note_id = notes.id", "s.note_id = s.note_id")
    with plain_database.connect() as conn:
        conn.execute("drop table public.shares, public.notes, public.cards cascade")
        conn.execute(
            "drop schema app cascade; drop table public.boards, public.members, public.orgs"
        )
        conn.execute(
            "create table public.shares (note_id uuid, user_id uuid,"
            " primary key (note_id, user_id));"
            "grant select on public.shares to authenticated"
        )
        conn.commit()
    assert "select" in confirmed(plain_database, f"{EXISTS} or {other}")


# What the prover does not understand of a row's contents, it tries on rows made of the constants.
COLUMNS = """
alter table public.notes
    add title text not null default '', add amount numeric, add ends_on date, add tags text[],
    add document jsonb, add parent_id uuid references public.notes (id);
"""
#: Nobody writes these to publish a row: a leak for every command.
ODD = {
    "a pattern": "title ilike 'demo%'",
    "a negated pattern": "title not like 'hz%'",
    "a length": "char_length(title) < 4",
    "a part": "split_part(title, '-', 2) = 'x'",
    "a prefix": "starts_with(title, '#')",
    "a number below": "amount < 100",
    "a number above": "amount > 10000",
    "a number between": "amount between 5 and 6",
    "a rest": "amount % 7 = 3",
    "an old day": "ends_on < current_date - 30",
    "a reference that is there": "parent_id is not null",
    "two columns": "title like 'a%' and amount = 12",
}
#: These are how rows are published, so they leak only where they let somebody write.
PUBLISHED = {
    "a word in an array": "'public' = any(tags)",
    "an array that holds a word": "tags @> array['public']",
    "a flag in a document": "(document ->> 'public')::boolean",
    "a nested flag": "document -> 'sharing' ->> 'public' = 'yes'",
    "a document that holds another": "document @> '{\"public\": true}'",
    "a word in other letters": "lower(title) = 'public'",
}
WRITES = {"insert", "update", "delete"}


@pytest.mark.parametrize("name", ODD)
def test_a_row_is_made_of_what_a_condition_names(plain_database: Database, name: str) -> None:
    found = confirmed(plain_database, f"{EXISTS} or ({ODD[name]})", COLUMNS)
    assert found == {"select"} | WRITES


@pytest.mark.parametrize("name", ODD)
def test_the_same_condition_beside_membership_leaks_nothing(
    plain_database: Database, name: str
) -> None:
    assert confirmed(plain_database, f"{EXISTS} and ({ODD[name]})", COLUMNS) == set()


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_publishes_a_row_lets_nobody_write_it(plain_database: Database, name: str) -> None:
    assert confirmed(plain_database, f"{EXISTS} or ({PUBLISHED[name]})", COLUMNS) == WRITES


def test_a_member_cannot_hand_a_row_over_in_a_shape_that_passes(plain_database: Database) -> None:
    moved = (
        f"create policy u on public.notes for update to authenticated using ({EXISTS})"
        f" with check ({EXISTS} {{}} char_length(title) = 3);"
    )
    with plain_database.connect() as conn:
        conn.execute(BASE)
        conn.execute(COLUMNS)
        conn.execute(moved.format("or").encode())
        conn.commit()
    assert _moves(plain_database) == {"update"}
    with plain_database.connect() as conn:
        conn.execute("drop policy u on public.notes")
        conn.execute(moved.format("and").encode())
        conn.commit()
    assert _moves(plain_database) == set()


def _moves(database: Database) -> set[str]:
    with database.connect_admin() as conn, laboratory(conn) as lab:
        proofs = prove_table(lab.catalog, lab.model, lab.catalog.tables["public.notes"])
        return {s.command for s in confirm(lab, proofs, []) if s.command == "update"}


LETTERS = """
create table public.letters (
    id uuid primary key, org_id uuid not null references public.orgs (id),
    note_id uuid, email text not null
);
alter table public.letters enable row level security;
grant select on public.letters to authenticated;
create policy p on public.letters for select to authenticated
using (email = lower(auth.jwt() ->> 'email'));
"""


@pytest.mark.parametrize("address", ["auth.jwt() ->> 'email'", "lower(auth.jwt() ->> 'email')"])
def test_an_invitation_opens_nothing_before_it_is_accepted(
    plain_database: Database, address: str
) -> None:
    invited = (
        "exists (select 1 from public.letters l where l.org_id = notes.org_id"
        f" and l.email = {address})"
    )
    found = confirmed(plain_database, f"{EXISTS} or {invited}", LETTERS)
    assert found == {"select"} | WRITES


def test_a_share_sent_to_an_address_opens_what_it_names(plain_database: Database) -> None:
    shared = (
        "exists (select 1 from public.letters l where l.note_id = notes.id"
        " and l.email = auth.jwt() ->> 'email')"
    )
    assert confirmed(plain_database, f"{EXISTS} or {shared}", LETTERS) == set()


STAFF = {
    "a yes": "(auth.jwt() -> 'app_metadata' ->> 'is_staff')::boolean",
    "a word": "auth.jwt() -> 'app_metadata' ->> 'desk' = 'support'",
}


@pytest.mark.parametrize("name", STAFF)
def test_staff_marked_by_the_server_are_meant(plain_database: Database, name: str) -> None:
    assert confirmed(plain_database, f"{EXISTS} or {STAFF[name]}") == set()


@pytest.mark.parametrize("name", STAFF)
def test_staff_marked_by_themselves_are_not(plain_database: Database, name: str) -> None:
    forged = STAFF[name].replace("app_metadata", "user_metadata")
    assert confirmed(plain_database, f"{EXISTS} or {forged}") == {"select"} | WRITES


def test_every_second_factor_is_no_staff(plain_database: Database) -> None:
    everybody = f"{EXISTS} or auth.jwt() ->> 'aal' = 'aal2'"
    assert confirmed(plain_database, everybody) == {"select"} | WRITES


def test_a_proof_that_failed_unseen_is_not_judged(judge: Judge) -> None:
    riddle = "create policy riddle on public.contacts for select to authenticated using ({})"
    hidden = judge("helper", riddle.format("md5(id::text) = md5('')"), proven=True)
    said = [n for n in hidden.not_judged if n.object == "select public.contacts"]
    assert said
    assert "a proof failed" in said[0].reason
    assert hidden.exit_code() == 0
    assert hidden.exit_code(strict=True) != 0
    seen = judge("helper", riddle.format("md5(id::text) <> md5('')"), proven=True)
    assert seen.exit_code() == 5
    assert "select public.contacts" not in {n.object for n in seen.not_judged}
