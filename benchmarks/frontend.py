"""The statements a frontend sends, and whether the database answers them from one tenant's rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

__all__ = [
    "DEAF",
    "FLOOR",
    "PER_ROW",
    "STATEMENTS",
    "SWAP",
    "USER",
    "Statement",
    "as_sent",
    "request",
    "tables",
    "whole_scans",
]

Connection = psycopg.Connection[Any]

USER = "00000000-0000-7000-8000-00000000be5c"
#: What is not worth an index, and is read whole by every good plan.
SMALL = 1_000


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing a frontend asks; ``hand`` is the same written without RLS.

    ``per_row`` is what one would send instead below policies that check each row; None is the
    same as ``policy``. ``goal`` bounds the ratio of ``policy`` to ``hand``.
    """

    name: str
    policy: str
    hand: str
    goal: float
    rounds: int = 40
    per_row: str | None = None


_LIST = (
    "select id, full_name, email, status, owner_id, created_at from public.contacts"
    " where deleted_at is null"
)
_PAGE = " order by created_at desc, id limit 50"
_ONE = " and organization_id = %(org)s"
_MINE = " and organization_id = any(%(orgs)s)"
_COUNT = "select count(*) from public.contacts where deleted_at is null"
_BOARD = (
    "select id, name, stage_id, amount_minor from public.deals where deleted_at is null"
    " and organization_id = %(org)s and pipeline_id = %(pipeline)s and status = 'open'"
    " order by stage_id, created_at desc, id limit 200"
)
_SEARCH = "select id, full_name from public.search_contacts(%(org)s, %(words)s)"
# The expression is the one of contacts_search_idx; the words are what search_query() makes of them.
_WORDS = (
    "select id, full_name from public.contacts where organization_id = %(org)s"
    " and deleted_at is null"
    " and to_tsvector('pg_catalog.simple', translate(coalesce(first_name, '') || ' '"
    " || coalesce(last_name, '') || ' ' || coalesce(email, '') || ' ' || coalesce(phone, '')"
    " || ' ' || coalesce(job_title, ''), '@.-_+/\\', '       ')) @@ %(query)s::tsquery"
) + _PAGE
_INSERT = (
    "insert into public.contacts (organization_id, first_name, last_name, email, owner_id)"
    " select %(org)s, 'Bench', 'Mark', 'bench.' || n || '@mail.example', %(user)s"
    " from generate_series(1, {}) as n"
)
_UPDATE = "update public.contacts set job_title = 'Buyer' where id = %(id)s" + _ONE
_DELETE = "delete from public.contacts where id = %(id)s" + _ONE


def _same(name: str, text: str, goal: float, rounds: int = 40) -> Statement:
    return Statement(name, text, text, goal, rounds)


STATEMENTS = (
    _same("latest 50 of one organization", _LIST + _ONE + _PAGE, 1.5),
    Statement("latest 50 over all mine", _LIST + _PAGE, _LIST + _MINE + _PAGE, 1.5),
    _same("count in one organization", _COUNT + _ONE, 1.1),
    Statement("count over all mine", _COUNT, _COUNT + _MINE, 1.1),
    Statement("by id", _LIST + " and id = %(id)s", _LIST + _ONE + " and id = %(id)s", 1.5),
    _same("by status", _LIST + _ONE + " and status = 'customer'" + _PAGE, 1.5),
    _same("by e-mail", _LIST + _ONE + " and email = %(email)s", 1.5),
    _same("deal board", _BOARD, 1.5),
    Statement("search", _SEARCH, _WORDS, 1.5, per_row=_WORDS),
    _same("insert one", _INSERT.format(1), 1.5),
    _same("insert 10,000", _INSERT.format(10_000), 1.5, rounds=1),
    _same("update one", _UPDATE, 1.5),
    _same("delete one", _DELETE, 1.5),
)

SWAP = """
do $$
declare
    v_policy record;
begin
    for v_policy in
        select p.polrelid::regclass as place, p.polname as name, p.polcmd as command
        from pg_policy as p
        where p.polrelid in ('public.contacts'::regclass, 'public.deals'::regclass)
    loop
        execute format('alter policy %I on %s', v_policy.name, v_policy.place)
            || case when v_policy.command <> 'a' then ' using ({condition})' else '' end
            || case when v_policy.command in ('a', 'w')
                then ' with check ({condition})' else '' end;
    end loop;
end
$$;
"""

#: Turns a copy of the database into what most projects begin with.
PER_ROW = """
create function private.bench_is_member(p_organization_id uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.memberships as m
        where m.organization_id = p_organization_id
            and m.user_id = auth.uid() and m.status = 'active'
    )
$$;
grant execute on function private.bench_is_member(uuid) to authenticated;
""" + SWAP.replace("{condition}", "private.bench_is_member(organization_id)")

#: Turns a copy of the database into the least that still looks up who asks: one index, and nothing
#: about roles, permissions, owners, teams, bans, second factors or the state of the organization.
FLOOR = """
create view private.bench_memberships with (security_barrier) as
select m.organization_id from public.memberships as m
where m.user_id = (select auth.uid()) and m.status = 'active';
grant select on private.bench_memberships to authenticated;
""" + SWAP.replace(
    "{condition}",
    "organization_id = any(array(select m.organization_id from private.bench_memberships as m))",
)

#: Leaves the policies as they are, and lets the seats say something without being looked at: what
#: the policies then still cost is PostgreSQL's price of having them.
DEAF = f"""
do $$
declare
    v_seats text;
begin
    select string_agg(format('(%L::uuid, %L::bigint[])', s.organization_id, s.rights), ', ')
    into v_seats
    from private.seats as s where s.user_id = '{USER}';
    execute 'create or replace view private.my_seats with (security_barrier = true) as '
        || format('select * from (values %s) as v (organization_id, rights)', v_seats);
end
$$;
"""


_SETTINGS = "select " + ", ".join(
    f"set_config('{name}', %({key})s, true)"
    for name, key in {
        "search_path": "path",
        "role": "role",
        "request.jwt.claims": "claims",
        "request.method": "method",
        "request.path": "url",
        "request.headers": "headers",
        "request.cookies": "cookies",
    }.items()
)
_VALUES = {
    "path": '"public", "extensions"',
    "claims": json.dumps({"sub": USER, "role": "authenticated", "aal": "aal1"}),
    "method": "GET",
    "url": "/contacts",
    "headers": '{"host": "crm.example", "accept": "*/*"}',
    "cookies": "{}",
}


@contextmanager
def request(connection: Connection, role: str) -> Iterator[None]:
    """Open the transaction PostgREST opens, and roll it back."""
    # Not through psycopg, which forgets its prepared statements at each rollback. PostgREST keeps
    # them as long as the connection lives.
    connection.pgconn.exec_(b"begin")
    connection.execute(_SETTINGS.encode(), {**_VALUES, "role": role}, prepare=True)
    yield
    connection.pgconn.exec_(b"rollback")


def as_sent(text: str) -> str:
    """Return a statement as PostgREST sends it: the rows as one JSON document."""
    if text.startswith("select"):
        return (
            f"with pgrst_source as ({text}) select null::bigint as total_result_set,"
            " pg_catalog.count(_postgrest_t) as page_total,"
            " coalesce(json_agg(_postgrest_t), '[]') as body"
            " from (select * from pgrst_source) as _postgrest_t"
        )
    return (
        f"with pgrst_source as ({text} returning 1) select ''::text as total_result_set,"
        " pg_catalog.count(_postgrest_t) as page_total, ''::text as body"
        " from (select * from pgrst_source) as _postgrest_t"
    )


def tables(connection: Connection) -> dict[str, int]:
    """Return the tenant tables that are too large to be read whole, with their rows."""
    rows = connection.execute(
        """
        select c.oid::regclass::text, c.reltuples::bigint
        from pg_class as c
        inner join pg_attribute as a on c.oid = a.attrelid and a.attname = 'organization_id'
        where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and c.reltuples > %s
        """,
        (SMALL,),
    )
    return {name.removeprefix("public."): count for name, count in rows}


def whole_scans(
    connection: Connection, text: str, values: Mapping[str, Any], large: Mapping[str, int]
) -> list[str]:
    """Run a statement as a user and return the reads that go over a whole tenant table.

    A sequential scan, or an index without a condition, anywhere in the plan; and sequential scans
    inside functions, which the plan does not show but the statistics of the transaction do.
    """
    with request(connection, "authenticated"):
        plan = connection.execute(b"explain (format json) " + text.encode(), values).fetchone()
        connection.execute(text.encode(), values)
        counted = connection.execute(
            "select relname, seq_scan from pg_stat_xact_user_tables where seq_scan > 0"
        ).fetchall()
    assert plan is not None
    found = [f"sequential scan of {name}" for name, _ in counted if name in large]
    stack = [plan[0][0]["Plan"]]
    while stack:
        node = stack.pop()
        stack += node.get("Plans", ())
        kind = node["Node Type"]
        table = node.get("Relation Name", "")
        if kind == "Seq Scan" and table in large:
            found.append(f"{kind} on {table}")
        elif "Index" in kind and "Index Cond" not in node:
            found.append(f"{kind} of all of {node['Index Name']}")
    return sorted(set(found))
