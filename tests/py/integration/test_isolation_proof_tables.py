"""Proofs on what is particular to a table: its keys, what they lead to, and who else reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from isolation_idioms import BASE, build, model

from harmonia_py.engines import Database
from harmonia_py.isolation.introspect import introspect
from harmonia_py.isolation.model import Membership
from harmonia_py.isolation.proof import prove, prove_table

_HELPERS = """
create table public.papers (id uuid primary key, org_id uuid not null references public.orgs);
create function app.is_mine(p uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select 1 from public.papers n where n.id = p and app.is_member(n.org_id))
$$;
create function app.board_is_mine(p uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select 1 from public.boards b where b.id = p and app.is_member(b.org_id))
$$;
create table public.postings (id uuid primary key, org_id uuid not null references public.orgs);
create table public.walls (id uuid primary key, org_id uuid not null references public.orgs);
create table public.tasks (id uuid primary key, board_id uuid not null references public.walls);
alter table public.papers enable row level security;
alter table public.postings enable row level security;
alter table public.walls enable row level security;
alter table public.tasks enable row level security;
grant select, insert, update, delete on public.papers, public.postings, public.tasks
to authenticated;
"""
_NOTE = "exists (select 1 from public.boards b where b.id = board_id and app.is_member(b.org_id))"
_KEY = "foreign key (board_id, org_id) references public.boards (id, org_id)"


@pytest.fixture
def conn(plain_database: Database) -> Any:
    with plain_database.connect_admin() as connection:
        connection.execute(BASE)
        yield connection


def _of(conn: Any, predicate: str, *tables: str) -> dict[str, set[str]]:
    for table in tables:
        build(conn, table, predicate)
    catalog = introspect(conn)
    proofs = prove(catalog, model(conn))
    return {
        table: {
            p.status
            for p in proofs
            if p.table == f"public.{table}" and (p.role, p.command) == ("authenticated", "select")
        }
        for table in tables
    }


def test_a_policy_that_another_table_has_as_well_is_asked_for_each(conn: Any) -> None:
    conn.execute(_HELPERS)
    found = _of(conn, "app.is_mine(id)", "papers", "postings")
    assert found == {"papers": {"proven"}, "postings": {"refuted"}}


def test_columns_of_one_name_may_lead_elsewhere(conn: Any) -> None:
    conn.execute(_HELPERS)
    found = _of(conn, "app.board_is_mine(board_id)", "cards", "tasks")
    assert found == {"cards": {"proven"}, "tasks": {"refuted"}}


KEYS = {
    "valid": ("", "proven"),
    "not valid": (" not valid", "refuted"),
    "checked late": (" deferrable initially deferred", "refuted"),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_of_two_columns_leads_where_every_row_meets_it(conn: Any, name: str) -> None:
    how, outcome = KEYS[name]
    conn.execute("alter table public.boards add unique (id, org_id)")
    conn.execute(f"alter table public.notes add {_KEY}{how}".encode())
    assert _of(conn, _NOTE, "notes")["notes"] == {outcome}


def test_a_key_says_nothing_of_the_rows_of_heirs(conn: Any) -> None:
    conn.execute("alter table public.boards add unique (id, org_id)")
    conn.execute(f"alter table public.notes add {_KEY}".encode())
    conn.execute("create table public.old_boards () inherits (public.boards)")
    assert _of(conn, _NOTE, "notes")["notes"] == {"refuted"}


def test_a_key_that_is_checked_late_is_none(conn: Any) -> None:
    conn.execute(
        "alter table public.cards drop constraint cards_board_id_fkey;"
        "alter table public.notes drop constraint notes_board_id_fkey;"
        "alter table public.boards drop constraint boards_pkey;"
        "alter table public.boards add unique (id) deferrable"
    )
    conn.execute("alter table public.boards add unique (id, org_id)")
    conn.execute(f"alter table public.notes add {_KEY}".encode())
    assert _of(conn, _NOTE, "notes")["notes"] == {"refuted"}


def test_an_index_that_was_not_built_is_no_key(conn: Any) -> None:
    conn.execute(
        "alter table public.cards drop constraint cards_board_id_fkey;"
        "alter table public.notes drop constraint notes_board_id_fkey;"
        "alter table public.boards drop constraint boards_pkey;"
        "create unique index boards_id on public.boards (id);"
        "alter table public.boards add unique (id, org_id);"
    )
    conn.execute(f"alter table public.notes add {_KEY}".encode())
    with conn.transaction(force_rollback=True):
        assert _of(conn, _NOTE, "notes")["notes"] == {"proven"}
    conn.execute(
        "update pg_index set indisvalid = false where indexrelid = 'public.boards_id'::regclass"
    )
    assert _of(conn, _NOTE, "notes")["notes"] == {"refuted"}


def test_a_ticket_may_not_be_moved_to_another_tenant(conn: Any) -> None:
    conn.execute(
        "create table public.tickets (id uuid primary key, org_id uuid not null references"
        " public.orgs, holder_id uuid not null references auth.users);"
        "alter table public.tickets enable row level security;"
        "grant select, update on public.tickets to authenticated;"
        "create policy u on public.tickets for update to authenticated"
        " using (holder_id = auth.uid()) with check (holder_id = auth.uid())"
    )
    catalog = introspect(conn)
    said = replace(
        model(conn), grants=(Membership("public.tickets", user="holder_id", tenant="org_id"),)
    )
    proofs = prove_table(catalog, said, catalog.tables["public.tickets"])
    found = {p.command: p.status for p in proofs if p.role == "authenticated"}
    assert found["update"] == "refuted"
