"""Explanations agree with what the database then does."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from harmonia_py.engines import Database
from harmonia_py.errors import UsageError
from harmonia_py.isolation.explain import explain
from harmonia_py.isolation.explain.matrix import matrix

Connection = psycopg.Connection[Any]


@pytest.fixture
def people(conn: Connection) -> dict[str, Any]:
    """An active member, a suspended one and a contact of the same organization."""
    found = conn.execute(
        "select m.organization_id, c.id,"
        " (select user_id from public.memberships as o where o.organization_id ="
        "  m.organization_id and o.role = 'owner' limit 1)::text,"
        " m.user_id::text"
        " from public.memberships as m"
        " inner join public.contacts as c on c.organization_id = m.organization_id"
        " where m.status = 'suspended' limit 1"
    ).fetchone()
    assert found is not None
    return dict(zip(("org", "contact", "owner", "suspended"), found, strict=True))


def test_an_owner_may_read_a_contact(conn: Connection, people: dict[str, Any]) -> None:
    answer = explain(conn, table="contacts", user=people["owner"], row=str(people["contact"]))
    assert answer.allowed is True
    assert "select_member passes" in answer.because
    assert "Scan" in answer.scan


def test_a_suspended_member_is_told_which_condition_is_false(
    conn: Connection, people: dict[str, Any]
) -> None:
    answer = explain(conn, table="contacts", user=people["suspended"], row=str(people["contact"]))
    assert answer.allowed is False
    assert "private.org_ids(" in answer.because
    assert "is false" in answer.because
    leaves = [leaf for p in answer.policies for leaf in p.condition.leaves()]
    assert {leaf.value for leaf in leaves} <= {"false", "true", "null"}
    assert any(leaf.value == "false" for leaf in leaves)


def test_a_missing_grant_is_the_first_answer(conn: Connection, people: dict[str, Any]) -> None:
    answer = explain(
        conn, table="memberships", user=people["owner"], command="delete",
        row=people["owner"],
    )  # fmt: skip
    assert (answer.allowed, answer.grants) == (False, ())
    assert "holds no DELETE privilege" in answer.because
    assert explain(conn, table="contacts", user="anon").because.startswith("anon holds no SELECT")


def test_without_a_row_the_visible_rows_are_counted(
    conn: Connection, people: dict[str, Any]
) -> None:
    answer = explain(conn, table="contacts", user=people["owner"])
    assert answer.allowed is None
    assert answer.visible is not None and answer.total is not None
    assert 0 < answer.visible < answer.total


def test_an_insert_for_another_organization_is_refused_and_says_so(
    conn: Connection, people: dict[str, Any]
) -> None:
    other = conn.execute(
        "select id from public.organizations as o where not exists (select 1 from"
        " public.memberships as m where m.organization_id = o.id and m.user_id = %s)",
        (people["owner"],),
    ).fetchone()
    assert other is not None
    for org, allowed in ((people["org"], True), (other[0], False)):
        answer = explain(
            conn, table="contacts", user=people["owner"], command="insert",
            values={"organization_id": str(org), "first_name": "New", "owner_id": people["owner"]},
        )  # fmt: skip
        assert answer.allowed is allowed
    assert "does not pass the SELECT policies" in answer.returning


def test_recursion_is_named(plain_database: Database) -> None:
    with plain_database.connect() as conn:
        conn.execute(
            "create table public.loop (id uuid primary key, owner uuid);"
            "alter table public.loop enable row level security;"
            "grant select on public.loop to authenticated;"
            "create policy p on public.loop for select to authenticated using"
            " (exists (select 1 from public.loop as other where other.owner = auth.uid()))"
        )
        conn.execute("insert into auth.users (id, email) values (gen_random_uuid(), 'a@b.example')")
        answer = explain(conn, table="loop", user="a@b.example")
    assert answer.scan.startswith("recursion: infinite recursion")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"table": "nothing"}, "no table public.nothing"),
        ({"user": "nobody@nowhere.example"}, "no user nobody"),
        ({"row": "00000000-0000-0000-0000-000000000000"}, "no row whose id"),
        ({"command": "truncate"}, "is not one of"),
        ({"command": "insert", "values": {"nope": 1}}, "no column nope"),
    ],
)
def test_mistakes_are_named(
    conn: Connection, people: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        explain(conn, **({"table": "contacts", "user": people["owner"]} | given))


def test_the_matrix_tells_closed_from_open(conn: Connection) -> None:
    conn.execute("create table public.open_door (id uuid primary key)")
    conn.execute("grant select on public.open_door to anon")
    cells = {(c.table, c.role, c.command): c.access for c in matrix(conn)}
    assert cells["public.open_door", "anon", "select"] == "open"
    assert cells["public.contacts", "anon", "select"] == "none"
    assert cells["public.contacts", "authenticated", "select"] == "policy"
