"""Teams of two organizations with one id, as a copied tenant has them: neither opens the other."""

from __future__ import annotations

import psycopg
import pytest
from fix_database import Connection, as_user

ALDER = "a0000000-0000-7000-8000-000000000001"
BIRCH = "b0000000-0000-7000-8000-000000000001"
NORTH = "a1000000-0000-7000-8000-000000000001"
RITA_REP = "e0000000-0000-4000-8000-000000000007"
IDA = "a7000000-0000-7000-8000-000000000001"
LUIS = "a7000000-0000-7000-8000-000000000004"
FILE = "af000000-0000-7000-8000-0000000000f1"
OBJECT = f"{ALDER}/{FILE}/plan.pdf"


@pytest.fixture(params=[BIRCH, ALDER], ids=["elsewhere", "here"])
def opens(request: pytest.FixtureRequest, conn: Connection) -> bool:
    """Whether Rita, who may do much with what is her teams', is in the team that is Ida's."""
    conn.execute(
        "insert into public.teams (organization_id, id, name) values (%s, %s, 'North')",
        [BIRCH, NORTH],
    )
    conn.execute(
        "insert into public.memberships (organization_id, user_id, role) values (%s, %s, 'viewer')",
        [BIRCH, RITA_REP],
    )
    conn.execute(
        "insert into public.team_members (organization_id, team_id, user_id) values (%s, %s, %s)",
        [request.param, NORTH, RITA_REP],
    )
    conn.execute("delete from public.role_permissions where organization_id = %s", [ALDER])
    conn.execute(
        "insert into public.role_permissions (organization_id, role, permission)"
        " select %s, 'sales_rep', p.key from public.permissions as p where p.key = 'files.read'"
        " or p.key ~ '^(companies|contacts|deals|activities|files)[.].*_team$'",
        [ALDER],
    )
    for table in ("companies", "contacts", "deals", "activities"):
        conn.execute(
            f"update public.{table} set team_id = %s where organization_id = %s".encode(),
            [NORTH, ALDER],
        )
    conn.execute(
        "insert into public.files (organization_id, id, path, name, team_id)"
        " values (%s, %s, %s, 'plan.pdf', %s)",
        [ALDER, FILE, OBJECT, NORTH],
    )
    conn.commit()
    return bool(request.param == ALDER)


@pytest.mark.parametrize(
    ("search", "word"),
    [("companies", "harbour"), ("contacts", "ida"), ("deals", "stone"), ("activities", "drawings")],
)
def test_search_finds_what_the_policies_show(
    conn: Connection, opens: bool, search: str, word: str
) -> None:
    with as_user(conn, RITA_REP):
        shown = conn.execute(
            f"select id from public.{search} where organization_id = %s".encode(), [ALDER]
        ).fetchall()
        found = conn.execute(
            f"select id from public.search_{search}(%s, %s)".encode(), [ALDER, word]
        ).fetchall()
    assert bool(shown) == opens
    assert bool(found) == opens


@pytest.mark.parametrize(
    "statement",
    [
        f"select public.soft_delete('{ALDER}', 'contact', array['{IDA}']::uuid[])",
        f"select public.merge_contacts('{ALDER}', '{IDA}', '{LUIS}')",
    ],
    ids=["soft_delete", "merge"],
)
def test_functions_change_what_the_policies_let_change(
    conn: Connection, opens: bool, statement: str
) -> None:
    if opens:
        with as_user(conn, RITA_REP):
            conn.execute(statement.encode())
        return
    with pytest.raises(psycopg.Error) as caught, as_user(conn, RITA_REP):
        conn.execute(statement.encode())
    assert (caught.value.sqlstate or "").startswith("PT4")


@pytest.mark.parametrize("command", ["insert", "update", "delete"])
def test_stored_objects_follow_the_team_of_their_file(
    conn: Connection, opens: bool, command: str
) -> None:
    if command != "insert":
        conn.execute(
            "insert into storage.objects (bucket_id, name, owner_id) values ('crm', %s, %s)",
            [OBJECT, RITA_REP],
        )
    conn.commit()
    statement = {
        "insert": "insert into storage.objects (bucket_id, name, owner_id)"
        f" values ('crm', '{OBJECT}', '{RITA_REP}')",
        "update": f"update storage.objects set metadata = '{{}}' where name = '{OBJECT}'",
        "delete": f"delete from storage.objects where name = '{OBJECT}'",
    }[command]
    changed = 0
    try:
        with as_user(conn, RITA_REP):
            # What Storage itself says before it deletes.
            conn.execute("select set_config('storage.allow_delete_query', 'true', true)")
            changed = conn.execute(statement.encode()).rowcount
    except psycopg.errors.InsufficientPrivilege:
        assert command == "insert"
    assert changed == opens
