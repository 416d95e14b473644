"""Proofs on names that mean something else than they seem to: siblings, WITH, fields, casts."""

from __future__ import annotations

from typing import Any

import pytest
from isolation_idioms import BASE, build

from harmonia_py.engines import Database

_MINE = "m.user_id = auth.uid() and m.status = 'active'"
_SQL = """
create function app.sees(org_id uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    {}
$$;
"""
_PLPGSQL = """
create type app.key as (org_id uuid, user_id uuid);
create function app.sees(org_id uuid) returns boolean
language plpgsql stable security definer set search_path = '' as $$
declare
    v_key app.key;
    v_org uuid;
begin
    {}
    return v_key.org_id = $1;
end $$;
"""
# A column hides a parameter of its name: each function is called with an org_id.
QUERIES = {
    "a sub-query beside another": (
        "exists (select 1 from public.members m cross join (select org_id as x) l"
        f" where {_MINE} and l.x = m.org_id)",
        "proven",
    ),
    "a sub-query beside another that looks at it": (
        "exists (select 1 from public.members m cross join lateral (select m.org_id as x) l"
        f" where {_MINE} and l.x = $1)",
        "proven",
    ),
    "a lateral sub-query": (
        "exists (select 1 from public.members m, lateral (select org_id as x) l"
        f" where {_MINE} and l.x = m.org_id)",
        "leaks",
    ),
    "a lateral sub-query in a join": (
        "exists (select 1 from public.members m cross join lateral (select org_id as x) l"
        f" where {_MINE} and l.x = m.org_id)",
        "leaks",
    ),
    "a function in FROM": (
        "exists (select 1 from public.members m, unnest(array[org_id]) as l (x)"
        f" where {_MINE} and l.x = m.org_id)",
        "leaks",
    ),
    "a sub-query that does not see its sibling": (
        "exists (select 1 from public.members m cross join (select org_id as x) l"
        f" where {_MINE} and l.x = $1)",
        "leaks",
    ),
    "WITH": (
        f"with c as (select m.org_id as x from public.members m where {_MINE})"
        " select exists (select 1 from c where c.x = $1)",
        "proven",
    ),
    "WITH that is read elsewhere": (
        "with c as (select org_id as x) select exists (select 1 from public.members m"
        f" where {_MINE} and exists (select 1 from c where c.x = $1))",
        "leaks",
    ),
    "WITH of a table's name": (
        f"with members as (select m.org_id from public.members m where {_MINE})"
        " select exists (select 1 from public.members m where m.org_id = $1)",
        "leaks",
    ),
    "one letter": (
        "exists (select 1 from public.members m"
        f""" where {_MINE} and m.org_id::text::"char" = $1::text::"char")""",
        "leaks",
    ),
}
BODIES = {
    "a field": (f"select m.org_id into v_org from public.members m where {_MINE}"
                " and m.org_id = $1; v_key.org_id := v_org;", "proven"),
    "a field from a query": (
        "v_key.org_id := null; select m.org_id into v_key.org_id from public.members m"
        " where m.org_id = $1;",
        "leaks",
    ),
    "a row from a query": (
        "v_key.org_id := null; select m.org_id, m.user_id into v_key from public.members m"
        " where m.org_id = $1;",
        "leaks",
    ),
    "a row, then a field": (
        f"select m.org_id, m.user_id into v_key from public.members m where {_MINE};"
        " v_key.org_id := $1;",
        "leaks",
    ),
}  # fmt: skip


@pytest.fixture
def conn(plain_database: Database) -> Any:
    with plain_database.connect() as connection:
        connection.execute(BASE)
        yield connection


def _holds(conn: Any, text: str, outcome: str) -> None:
    conn.execute("drop function app.sees(text); drop function app.sees(uuid)")
    conn.execute(text.encode())
    proofs = build(conn, "notes", "app.sees(org_id)")
    found = {p.status for p in proofs if p.role == "authenticated"}
    assert found == {"proven"} if outcome == "proven" else "proven" not in found


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_read_as_postgresql_reads_it(conn: Any, name: str) -> None:
    query, outcome = QUERIES[name]
    text = query if query.startswith("with ") else f"select {query}"
    _holds(conn, _SQL.format(text), outcome)


@pytest.mark.parametrize("name", BODIES)
def test_a_field_holds_what_it_was_given_last(conn: Any, name: str) -> None:
    body, outcome = BODIES[name]
    _holds(conn, _PLPGSQL.format(body), outcome)


def test_policies_of_a_role_whose_privileges_a_client_has_count(plain_database: Database) -> None:
    with plain_database.connect_admin() as conn:
        conn.execute(BASE)
        conn.execute("create role harmonia_test_editors")
        conn.execute(
            "create policy all_p on public.notes for select to harmonia_test_editors using (true)"
        )
        assert _of_notes(conn)["select"] == "proven"
        # As on the platform, it inherits what it is given.
        conn.execute("grant harmonia_test_editors to authenticated")
        found = _of_notes(conn)
        conn.rollback()
    assert (found["select"], found["delete"]) == ("refuted", "proven")


def _of_notes(conn: Any) -> dict[str, str]:
    with conn.transaction(force_rollback=True):
        proofs = build(conn, "notes", "app.is_member(org_id)")
    return {p.command: p.status for p in proofs if p.role == "authenticated"}
