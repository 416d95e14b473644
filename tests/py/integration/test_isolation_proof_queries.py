"""Proofs on queries that give rows where there are none, and on names that others give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from isolation_leaks import MINE, SQL, function, holds, prepare

from harmonia_py.engines import Engine

_HELPED = "app.helper(org_id)"
_SEAT = f"from public.members m where m.org_id = notes.org_id and {MINE}"
_IN_PUBLIC = SQL.replace("''", "public")
_MADE_UP = (
    "select (with members as (select o as org_id, auth.uid() as user_id, 'active' as status)"
    f" select exists (select 1 from {{}} m where m.org_id = o and {MINE}))"
)
_AGGREGATED = f"select coalesce(array_agg(m.org_id), {{}}) from public.members m where {MINE}"
AGGREGATES: dict[str, tuple[str, str, str]] = {
    "HAVING": ("", f"exists (select 1 {_SEAT} having count(*) < 5)", "leaks"),
    "HAVING of groups": (
        "",
        f"exists (select 1 {_SEAT} group by m.org_id having count(*) < 5)",
        "proven",
    ),
    "GROUP BY nothing": ("", f"exists (select 1 {_SEAT} group by ())", "leaks"),
    "a total": ("", f"exists (select 1 {_SEAT} group by rollup (m.org_id))", "leaks"),
    "ORDER BY a count": ("", f"exists (select 1 {_SEAT} order by count(*))", "leaks"),
    "ORDER BY a column": ("", f"exists (select 1 {_SEAT} order by m.role)", "proven"),
    "an array of nothing": ("", f"exists (select array_agg(m.role) {_SEAT})", "leaks"),
    "an array of a group": (
        "",
        f"exists (select array_agg(m.role) {_SEAT} group by m.org_id)",
        "proven",
    ),
    "a deviation of nothing": ("", f"exists (select stddev(1) {_SEAT})", "leaks"),
    "an array or else another": (
        function(_AGGREGATED.format("array[o]") + " and m.org_id = o", returns="uuid[]"),
        "org_id = any(app.helper(org_id))",
        "leaks",
    ),
    "an array or else none": (
        function(_AGGREGATED.format("'{}'") + " and m.org_id = o", returns="uuid[]"),
        "org_id = any(app.helper(org_id))",
        "proven",
    ),
    "the rest of nothing": (
        "",
        "coalesce((select app.is_member(org_id) limit 0), true)",
        "leaks",
    ),
    "what is skipped": ("", "coalesce((select app.is_member(org_id) offset 1), true)", "leaks"),
    "one of one": ("", "coalesce((select app.is_member(org_id) limit 1), true)", "proven"),
    "what is in both": (
        "",
        "coalesce((select app.is_member(org_id) intersect select not app.is_member(org_id)), true)",
        "leaks",
    ),
    "a table made up": (function(_MADE_UP.format("members"), how=_IN_PUBLIC), _HELPED, "leaks"),
    "a table beside one made up": (
        function(_MADE_UP.format("public.members"), how=_IN_PUBLIC),
        _HELPED,
        "proven",
    ),
}


@pytest.fixture(scope="module")
def prepared(engine: Engine) -> Iterator[Any]:
    with engine.database() as database, database.connect() as conn:
        prepare(conn)
        yield conn


@pytest.mark.parametrize("name", AGGREGATES)
def test_a_query_gives_the_rows_that_postgresql_gives(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *AGGREGATES[name])
