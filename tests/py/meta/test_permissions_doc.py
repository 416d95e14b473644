"""The page on permissions says what the database does."""

from __future__ import annotations

from fix_database import ROOT, Connection
from harmonia_cli.permissions_reference import render

PAGE = ROOT / "docs" / "reference" / "permissions.md"


def test_the_page_is_current(conn: Connection) -> None:
    assert PAGE.read_text(encoding="utf-8") == render(conn), (
        "run: python -m harmonia_cli.permissions_reference > docs/reference/permissions.md"
    )


def test_a_change_of_the_data_shows(conn: Connection) -> None:
    before = render(conn)
    conn.execute(
        "delete from public.builtin_role_permissions"
        " where role = 'viewer' and permission = 'contacts.read'"
    )
    after = render(conn)
    changed = {line for line in after.splitlines() if line not in before.splitlines()}
    assert [line for line in changed if line.startswith("| `contacts.read`")] == list(changed)
    assert changed
