"""Proofs on one table per policy idiom: the sound ones are proven, the leaky ones are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from isolation_idioms import BASE, LEAKY, SOUND, UNDECIDED, build, model

from harmonia_py.engines import Database
from harmonia_py.isolation.infer import infer, merge
from harmonia_py.isolation.introspect import introspect
from harmonia_py.isolation.model import load
from harmonia_py.isolation.proof import prove, prove_table


@pytest.fixture
def conn(plain_database: Database) -> Any:
    with plain_database.connect() as connection:
        connection.execute(BASE)
        yield connection


@pytest.mark.parametrize("name", SOUND)
def test_sound_idioms_are_proven_for_every_command(conn: Any, name: str) -> None:
    proofs = build(conn, "notes", SOUND[name])
    assert {(p.command, p.status, p.reason) for p in proofs if p.role == "authenticated"} == {
        (command, "proven", "no row of another tenant passes")
        for command in ("select", "insert", "update", "delete")
    }


@pytest.mark.parametrize("name", LEAKY)
def test_leaky_idioms_are_refuted_with_a_world_that_shows_it(conn: Any, name: str) -> None:
    proofs = build(conn, "notes", LEAKY[name])
    found = {p.command: p.status for p in proofs if p.role == "authenticated"}
    assert set(found.values()) == {"refuted"}, proofs


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_is_not_understood_is_never_proven(conn: Any, name: str) -> None:
    proofs = build(conn, "notes", UNDECIDED[name])
    unknown = [p for p in proofs if p.role == "authenticated"]
    assert {p.status for p in unknown} == {"unknown"}
    said = {
        "dynamic sql": "app.dynamic",
        "several forms": "sees has several forms",
        "an exception": "exception handler",
        "different from all": "<> all over a set",
        "the greater": "MinMaxExpr",
        "a row of names": "sub-query",
    }
    assert all(said[name] in p.reason for p in unknown), unknown


def test_a_child_is_proven_through_its_parent(conn: Any) -> None:
    proofs = build(
        conn, "cards",
        "exists (select 1 from public.boards b where b.id = board_id and app.is_member(b.org_id))",
    )  # fmt: skip
    assert {p.status for p in proofs} == {"proven"}


def test_a_child_of_any_parent_is_refuted(conn: Any) -> None:
    proofs = build(
        conn, "cards", "exists (select 1 from public.boards b where app.is_member(b.org_id))"
    )
    assert {p.status for p in proofs if p.role == "authenticated"} == {"refuted"}


def test_a_table_without_row_level_security_is_refuted(conn: Any) -> None:
    conn.execute("alter table public.notes disable row level security")
    proofs = build(conn, "notes", "app.is_member(org_id)")
    assert {p.status for p in proofs if p.role == "authenticated"} == {"refuted"}


def test_a_restrictive_policy_alone_lets_nobody_in(conn: Any) -> None:
    conn.execute(
        "create policy r on public.notes as restrictive for all to authenticated using (true)"
    )
    catalog = introspect(conn)
    proofs = prove_table(catalog, model(conn), catalog.tables["public.notes"])
    assert {p.status for p in proofs} == {"proven"}


def test_a_restrictive_policy_closes_a_permissive_hole(conn: Any) -> None:
    conn.execute(
        "create policy r on public.notes as restrictive for all to authenticated"
        " using (app.is_member(org_id))"
    )
    assert {p.status for p in build(conn, "notes", "true")} == {"proven"}


def test_every_table_of_harmonia_is_proven(database: Database) -> None:
    root = Path(__file__).resolve().parents[3]
    with database.connect() as conn:
        catalog = introspect(conn)
    proofs = prove(catalog, merge(infer(catalog), load(root / "harmonia.toml")))
    assert [p for p in proofs if p.status != "proven"] == []
    judged = {p.table for p in proofs}
    assert {"public.organizations", "public.memberships", "public.contacts"} <= judged


def test_a_hole_in_the_authorizer_takes_every_proof_away(database: Database) -> None:
    root = Path(__file__).resolve().parents[3]
    with database.connect() as conn:
        definition = conn.execute(
            "select pg_get_functiondef('private.org_ids(text[])'::regprocedure)"
        ).fetchone()
        assert definition is not None
        hole = definition[0].replace("m.user_id = v_user_id", "m.user_id is not null", 1)
        assert hole != definition[0]
        conn.execute(hole)
        catalog = introspect(conn)
    said = merge(infer(catalog), load(root / "harmonia.toml"))
    proofs = prove_table(catalog, said, catalog.tables["public.contacts"])
    assert {p.status for p in proofs if p.role == "authenticated"} == {"refuted"}
