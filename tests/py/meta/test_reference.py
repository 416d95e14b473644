"""What is generated from the catalog is what is in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmonia_py import reference
from harmonia_py.connection import Connection

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
