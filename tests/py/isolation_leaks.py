"""Two tenants with rows, and whether somebody is shown what is another's: what proofs answer to."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from isolation_idioms import BASE, build

MINE = "m.user_id = auth.uid() and m.status = 'active'"
SQL = "language sql stable security definer set search_path = ''"
PLPGSQL = "language plpgsql stable security definer set search_path = ''"
_ID = "00000000-0000-0000-0000-0000000000"
#: What everybody may say of himself.
_META = {
    "id": f"{_ID}b1",
    "org_id": f"{_ID}0b",
    "nothing": None,
    "shouted": f"{_ID}B1",
    "sure": "t",
    "one": 1,
    "exact": 1.0,
}
_ROWS = f"""
insert into auth.users (id) values ('{_ID}a1'), ('{_ID}b1'), ('{_ID}c1');
insert into public.orgs values ('{_ID}0a'), ('{_ID}0b');
insert into public.members (org_id, user_id, role)
values ('{_ID}0a', '{_ID}a1', 'admin'), ('{_ID}0b', '{_ID}b1', 'admin');
insert into public.boards values ('{_ID}0a', '{_ID}0a'), ('{_ID}0b', '{_ID}0b');
insert into public.notes (id, org_id, is_public)
values ('{_ID}0a', '{_ID}0a', true), ('{_ID}0b', '{_ID}0b', true);
"""


def prepare(conn: psycopg.Connection[Any]) -> None:
    """Make the schema of the idioms, two tenants with a member and a note each, and a stranger."""
    conn.execute(BASE)
    conn.execute(_ROWS.encode())


def function(body: str, *, given: str = "o uuid", returns: str = "boolean", how: str = SQL) -> str:
    """Write a helper called ``app.helper``."""
    return f"create function app.helper({given}) returns {returns} {how} as $$ {body} $$;"


def holds(conn: psycopg.Connection[Any], setup: str, predicate: str, outcome: str) -> None:
    """Assert that a policy is ``proven`` and keeps to it, or that it ``leaks`` and is not proven.

    Members see their own notes, in any case: a policy that lets nobody in proves little.
    """
    conn.execute(setup.encode())
    proofs = {p.status for p in build(conn, "notes", predicate) if p.role == "authenticated"}
    shown = {person: _shown(conn, person) for person in ("a1", "c1")}
    leaks = "0b" in shown["a1"] or bool(shown["c1"])
    assert leaks == (outcome == "leaks"), shown
    if leaks:
        assert "proven" not in proofs, proofs
    else:
        assert (proofs, shown["a1"]) == ({"proven"}, ["0a"])


def _shown(conn: psycopg.Connection[Any], person: str) -> list[str]:
    claims = {"sub": _ID + person, "role": "authenticated", "user_metadata": _META}
    conn.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps(claims),))
    conn.execute("set local role authenticated")
    found = [str(i)[-2:] for (i,) in conn.execute("select org_id from public.notes order by 1")]
    conn.execute("reset role")
    return found
