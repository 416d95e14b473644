"""What is generated from the catalog is what is in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmonia_py import reference
from harmonia_py.connection import Connection
from harmonia_py.reference import catalog

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", sorted(reference.TARGETS))
def test_it_is_current(conn: Connection, name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert reference.render(conn)[name] == text, "refresh it with: harmonia reference"


def test_a_changed_column_makes_it_stale(conn: Connection) -> None:
    before = reference.render(conn)
    conn.execute("alter table public.contacts add column nickname text")
    conn.execute("grant select (nickname) on public.contacts to authenticated")
    after = reference.render(conn)
    assert all("nickname" in after[name] and "nickname" not in before[name] for name in before)


@pytest.mark.parametrize(
    ("function", "permissions"),
    [
        ("create_api_key", {"api_keys.write"}),
        ("update_role", {"roles.write"}),
        ("merge_contacts", {"contacts.delete", "contacts.write"}),
        ("my_permissions", set()),
    ],
)
def test_a_function_names_the_permissions_it_asks_for(
    conn: Connection, function: str, permissions: set[str]
) -> None:
    found = {item.name: set(item.permissions) for item in catalog.read(conn).functions}
    assert found[function] >= permissions
    assert bool(found[function]) is bool(permissions)


def test_a_table_names_what_its_policies_ask_of_clients(conn: Connection) -> None:
    """Not what they ask of other roles, such as the vault's, which have policies of their own."""
    found = {table.name: table.permissions for table in catalog.read(conn).tables}
    assert found["integrations"] == {
        "select": ("integrations.read",),
        "insert": ("integrations.write",),
        "update": ("integrations.write",),
        "delete": ("integrations.write",),
    }
