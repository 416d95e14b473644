"""Proofs on names that mean something else than they seem to: siblings, WITH, fields, casts."""

from __future__ import annotations

from typing import Any

import pytest
from isolation_idioms import BASE, build

from harmonia_py.engines import Database

_MINE = "m.user_id = auth.uid() and m.status = 'active'"
_SQL = """
create function app.everybody() returns table (which uuid)
language sql stable security definer set search_path = '' as $$
    select m.org_id from public.members m
$$;
create function app.mine(out which uuid) returns setof uuid
language sql stable security definer set search_path = '' as $$
    select m.org_id from public.members m where m.user_id = auth.uid() and m.status = 'active'
$$;
create function app.sees({} uuid) returns boolean
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
    "one of many": (
        "exists (select 1 from ("
        + " union all ".join([f"select m.org_id from public.members m where {_MINE}"] * 64)
        + " union all select m.org_id from public.members m) s where s.org_id = $1)",
        "leaks",
    ),
    "one letter": (
        "exists (select 1 from public.members m"
        f""" where {_MINE} and m.org_id::text::"char" = $1::text::"char")""",
        "leaks",
    ),
}
# A parameter called "which" is meant where no column is.
OUTPUTS = {
    "the column of a table that a function returns": (
        f"exists (select 1 from public.members m, app.everybody() f where {_MINE}"
        " and f.which = m.org_id and m.org_id = which)",
        "leaks",
    ),
    "the same, and the parameter": (
        f"exists (select 1 from public.members m, app.everybody() f where {_MINE}"
        " and f.which = m.org_id and m.org_id = $1)",
        "proven",
    ),
    "the column that a function has": (
        "exists (select 1 from app.mine() f where f.which = $1)",
        "proven",
    ),
    "the column of a sub-query of one value": (
        f"exists (select 1 from public.members m, (select (select e.which from app.everybody() e"
        f" order by 1 limit 1)) s where {_MINE} and m.org_id = which)",
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
    "a row by its places": (
        f"select $1 as user_id, m.org_id as org_id into v_key from public.members m where {_MINE};",
        "leaks",
    ),
    "a row by its places, rightly": (
        f"select m.org_id as user_id, m.user_id as org_id into v_key from public.members m"
        f" where {_MINE} and m.org_id = $1;",
        "proven",
    ),
    "a row, then another": (
        f"select m.org_id, m.user_id into v_key from public.members m where {_MINE};"
        " v_key := row($1, $1);",
        "leaks",
    ),
    "a variable of a block within": (
        f"select m.org_id into v_org from public.members m where {_MINE}; declare w uuid := v_org;"
        " begin v_key.org_id := w; end; v_org := $1; declare w2 uuid := v_org;"
        " begin v_key.org_id := w2; end;",
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
    _holds(conn, _SQL.format("org_id", text), outcome)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_column_has_the_name_that_its_query_gives_it(conn: Any, name: str) -> None:
    query, outcome = OUTPUTS[name]
    _holds(conn, _SQL.format("which", f"select {query}"), outcome)


@pytest.mark.parametrize("name", BODIES)
def test_a_field_holds_what_it_was_given_last(conn: Any, name: str) -> None:
    body, outcome = BODIES[name]
    _holds(conn, _PLPGSQL.format(body), outcome)


@pytest.mark.parametrize("said", ["use_variable", "use_column"])
def test_a_function_may_prefer_its_variables(conn: Any, said: str) -> None:
    text = f"""
create function app.sees(o uuid) returns boolean
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict {said}
declare
    user_id uuid := auth.uid();
begin
    return exists (
        select 1 from public.members m
        where user_id = auth.uid() and m.status = 'active' and m.org_id = o
    );
end $$;
"""
    _holds(conn, text, "leaks" if said == "use_variable" else "proven")


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
