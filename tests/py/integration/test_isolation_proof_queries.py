"""Proofs on queries that give rows where there are none, and on names that others give."""

from __future__ import annotations

from typing import Any

import pytest
from isolation_leaks import MINE, SQL, function, holds

_HELPED = "app.helper(org_id)"
_SEAT = f"from public.members m where m.org_id = notes.org_id and {MINE}"
_IN_PUBLIC = SQL.replace("''", "public")
_MADE_UP = (
    "select (with members as (select o as org_id, auth.uid() as user_id, 'active' as status)"
    f" select exists (select 1 from {{}} m where m.org_id = o and {MINE}))"
)
_AGGREGATED = f"select coalesce(array_agg(m.org_id), {{}}) from public.members m where {MINE}"
_LOCKS = "create table app.locks (x integer);"
_TOTAL = "create aggregate app.total(integer) (sfunc = int4pl, stype = int4, initcond = '0');"
_MEMBER_ONCE = """
insert into public.members values ('00000000-0000-0000-0000-00000000000b',
    '00000000-0000-0000-0000-0000000000a1', 'member');
create materialized view app.kept as select * from public.members;
delete from public.members where role = 'member';
"""
_SEEN = f"select exists (select 1 from {{}} m where m.org_id = o and {MINE})"
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
    "an empty table": (
        _LOCKS + function("select coalesce((select false from app.locks), true)"),
        _HELPED,
        "leaks",
    ),
    "an empty table in a helper": (
        _LOCKS + function("select false from app.locks"),
        "coalesce(app.helper(org_id), true)",
        "leaks",
    ),
    "a table that may be empty": (
        _LOCKS
        + function("select coalesce((select false from app.locks), false) or app.is_member(o)"),
        _HELPED,
        "proven",
    ),
    "an aggregate of one's own": (_TOTAL, f"exists (select app.total(1) {_SEAT})", "leaks"),
    "an aggregate of one's own, of groups": (
        _TOTAL,
        f"exists (select app.total(1) {_SEAT} group by m.role)",
        "proven",
    ),
    "a total that begins with something": (
        _TOTAL,
        f"(select app.total(1) {_SEAT}) = 0",
        "leaks",
    ),
    "totals of groups": (
        "",
        "(select sum(1) from (values (1, 1), (1, 2)) v (x, y) group by v.x)"
        " <> (select sum(1) from (values (1)) v (x) group by v.x)",
        "leaks",
    ),
    "a view that keeps what was": (
        _MEMBER_ONCE + function(_SEEN.format("app.kept")),
        _HELPED,
        "leaks",
    ),
    "a view of what is": (
        _MEMBER_ONCE.replace("materialized view", "view") + function(_SEEN.format("app.kept")),
        _HELPED,
        "proven",
    ),
    "a table beside one made up": (
        function(_MADE_UP.format("public.members"), how=_IN_PUBLIC),
        _HELPED,
        "proven",
    ),
}

_BESIDE = f"select exists (select 1 from public.members m{{}} where {MINE} and {{}})"
_RECORDS = """, jsonb_to_recordset('[{"which": "00000000-0000-0000-0000-00000000000a"}]')"""
_RECURSIVE = (
    "select o in (with recursive r as (select g.id from public.orgs g"
    " join public.members m on {}) select {} from r)"
)
_ORGS_OF = (
    f"select o in (select org_id from (select m.org_id from public.members m where {MINE}) m"
    " {} public.boards b using (org_id))"
)
_LEFT = "create function app.left(t text, n int) returns text language sql as $$ select t $$;"
_UNION = " cross join ({} union all select g.id from public.orgs g) s"


def _which(query: str) -> str:
    """Write a helper whose parameter is called as a column may be, which then hides it."""
    return function(query, given="which uuid")


NAMES: dict[str, tuple[str, str, str]] = {
    "all of a recursive query": (
        function(_RECURSIVE.format("true", "*")),
        _HELPED,
        "leaks",
    ),
    "a right join USING": (function(_ORGS_OF.format("right join")), _HELPED, "leaks"),
    "a full join USING": (function(_ORGS_OF.format("full join")), _HELPED, "leaks"),
    "a left join USING": (function(_ORGS_OF.format("left join")), _HELPED, "proven"),
    "a natural join": (
        _which(
            "select exists (select 1 from public.members m natural join"
            " (select g.id as which, g.id as org_id from public.orgs g) g"
            f" where {MINE} and which = g.org_id)"
        ),
        _HELPED,
        "leaks",
    ),
    "columns named anew": (
        function(
            _BESIDE.format("", "true")
            .replace(" m where", " m (o, user_id, role, status) where")
            .replace("and true", "and m.o = o")
        ),
        _HELPED,
        "leaks",
    ),
    "columns named anew, and the parameter": (
        function(
            _BESIDE.format("", "true")
            .replace(" m where", " m (o, user_id, role, status) where")
            .replace("and true", "and m.o = $1")
        ),
        _HELPED,
        "proven",
    ),
    "a column of records": (
        _which(
            _BESIDE.format(
                _RECORDS + " as r (which uuid)", "r.which = m.org_id and m.org_id = which"
            )
        ),
        _HELPED,
        "leaks",
    ),
    "a column beside records": (
        _which(
            _BESIDE.format(_RECORDS + " as r (which uuid)", "r.which = m.org_id and m.org_id = $1")
        ),
        _HELPED,
        "proven",
    ),
    "several functions in one": (
        _which(
            _BESIDE.format(
                ", rows from (unnest(array[m.org_id]), unnest(array[1])) as u (which, n)",
                "m.org_id = which",
            )
        ),
        _HELPED,
        "leaks",
    ),
    "elements with their numbers": (
        _which(
            _BESIDE.format(
                ", unnest(array[m.org_id]) with ordinality as u (which, n)", "m.org_id = which"
            )
        ),
        _HELPED,
        "leaks",
    ),
    "the value of a document": (
        function(
            _BESIDE.format(
                ", jsonb_array_elements_text(jsonb_build_array(m.org_id)) as e",
                "m.org_id = value::uuid",
            ),
            given="value uuid",
        ),
        _HELPED,
        "leaks",
    ),
    "a later part of a union": (
        _which(_BESIDE.format(_UNION.format("select null::uuid as which"), "which = m.org_id")),
        _HELPED,
        "leaks",
    ),
    "beside a union": (
        _which(_BESIDE.format(_UNION.format("select null::uuid as which"), "$1 = m.org_id")),
        _HELPED,
        "proven",
    ),
    "a sample": (
        function(
            _BESIDE.format(", public.boards tablesample system (100)", "id = m.org_id"),
            given="id uuid",
        ),
        _HELPED,
        "leaks",
    ),
    "a join with a name": (
        _which(
            "select exists (select 1 from (public.members m cross join"
            " (select g.id as which from public.orgs g) g) j where j.user_id = auth.uid()"
            " and j.status = 'active' and j.which = j.org_id)"
        ),
        _HELPED,
        "leaks",
    ),
    "no partner among nothing": (
        function(
            "select exists (select 1 from public.orgs g left join unnest('{}'::text[]) as u (x)"
            " on true where g.id = o)"
        ),
        _HELPED,
        "leaks",
    ),
    "a namesake of what PostgreSQL has": (
        _LEFT,
        f"exists (select 1 from public.members m where {MINE}"
        " and left(m.org_id::text, 1) = left(notes.org_id::text, 1))",
        "leaks",
    ),
    "a namesake called by its schema": (
        _LEFT,
        f"exists (select 1 from public.members m where {MINE}"
        " and app.left(m.org_id::text, 1) = app.left(notes.org_id::text, 1))",
        "proven",
    ),
    "a namesake in the search path": (
        _LEFT
        + function(
            _BESIDE.format("", "left(m.org_id::text, 1) = left(o::text, 1)"),
            how=SQL.replace("''", "app"),
        ),
        _HELPED,
        "leaks",
    ),
}


@pytest.mark.parametrize("name", AGGREGATES)
def test_a_query_gives_the_rows_that_postgresql_gives(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *AGGREGATES[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_of_what_postgresql_finds_first(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *NAMES[name])
