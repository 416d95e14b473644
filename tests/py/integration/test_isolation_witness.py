"""What the prover refutes is built and tried: real leaks become findings, the rest does not."""

from __future__ import annotations

import pytest
from isolation_idioms import BASE, EXISTS, LEAKY, SOUND, build

from harmonia_py.engines import Database
from harmonia_py.isolation.introspect import introspect
from harmonia_py.isolation.proof import prove_table
from harmonia_py.isolation.runner import laboratory
from harmonia_py.isolation.witnesses import confirm

# Ownership beside membership may be meant; a setting cannot be made by a client.
NOT_CONFIRMED = {"or owner": LEAKY["or owner"]}
CONFIRMED = {name: text for name, text in LEAKY.items() if name not in NOT_CONFIRMED}


def confirmed(database: Database, predicate: str) -> set[str]:
    with database.connect() as conn:
        conn.execute(BASE)
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


@pytest.mark.parametrize("name", NOT_CONFIRMED)
def test_access_that_may_be_meant_is_not_a_finding(plain_database: Database, name: str) -> None:
    assert confirmed(plain_database, NOT_CONFIRMED[name]) == set()


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
