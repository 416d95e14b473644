"""What row level security costs: policies against hand-written filters and per-row helpers.

    python -m benchmarks.rls                      # 1,000,000 contacts in 1,000 organizations
    python -m benchmarks.rls --pg-bin /usr/lib/postgresql/15/bin

Each statement runs in turn, in one process, in three ways, and the medians are compared:

* ``hand``: as a role that bypasses RLS, with ``organization_id = ...`` written by hand;
* ``policy``: as ``authenticated`` under Harmonia's policies, as a frontend sends it;
* ``per row``: the same under ``is_member(organization_id)`` called for each row.

``statement`` is the statement alone; ``request`` is the transaction PostgREST makes of it: begin,
the settings of role and claims, the statement, the end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from harmonia_py import migrations
from harmonia_py.engines import Database, EmbeddedEngine
from harmonia_py.project import find
from harmonia_py.seed.generate import GeneratePlan, generate

USER = "00000000-0000-7000-8000-00000000be5c"
LIST = (
    "select id, full_name, email, status, owner_id, created_at from public.contacts"
    " where deleted_at is null"
)
PAGE = " order by created_at desc, id limit 50"
ROW = (
    "insert into public.contacts (organization_id, first_name, last_name, email, owner_id)"
    " select %(org)s, 'Bench', 'Mark', 'bench.' || n || '@mail.example', %(user)s"
    " from generate_series(1, {}) as n"
)


@dataclass(frozen=True)
class Statement:
    """One thing a frontend asks, and the same written by hand."""

    name: str
    policy: str
    hand: str
    goal: float
    rounds: int = 30


ONE = " and organization_id = %(org)s"
MINE = " and organization_id = any(%(orgs)s)"
COUNT = "select count(*) from public.contacts where deleted_at is null"
BOARD = (
    "select id, name, stage_id, amount_minor from public.deals where deleted_at is null"
    " and organization_id = %(org)s and pipeline_id = %(pipeline)s and status = 'open'"
    " order by stage_id, created_at desc, id limit 200"
)
SEARCH_HAND = (
    "select c.id, c.full_name from public.contacts as c"
    " where c.organization_id = %(org)s and c.deleted_at is null"
    " and {} order by c.created_at desc, c.id limit 50"
)

STATEMENTS = (
    Statement("latest 50, one organization", LIST + ONE + PAGE, LIST + ONE + PAGE, 1.5),
    Statement("latest 50, all mine", LIST + PAGE, LIST + MINE + PAGE, 1.5),
    Statement("count, one organization", COUNT + ONE, COUNT + ONE, 1.1),
    Statement("count, all mine", COUNT, COUNT + MINE, 1.1),
    Statement("by id", LIST + " and id = %(id)s", LIST + ONE + " and id = %(id)s", 1.5),
    Statement(
        "by status",
        LIST + ONE + " and status = 'customer'" + PAGE,
        LIST + ONE + " and status = 'customer'" + PAGE,
        1.5,
    ),
    Statement(
        "by e-mail",
        LIST + ONE + " and email = %(email)s",
        LIST + ONE + " and email = %(email)s",
        1.5,
    ),
    Statement("deal board", BOARD, BOARD, 1.5),
    Statement("insert one", ROW.format(1), ROW.format(1), 1.5),
    Statement("insert 10,000", ROW.format(10_000), ROW.format(10_000), 1.5, rounds=5),
    Statement(
        "update one",
        "update public.contacts set job_title = 'Buyer' where id = %(id)s" + ONE,
        "update public.contacts set job_title = 'Buyer' where id = %(id)s" + ONE,
        1.5,
    ),
    Statement(
        "delete one",
        "delete from public.contacts where id = %(id)s" + ONE,
        "delete from public.contacts where id = %(id)s" + ONE,
        1.5,
    ),
)
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
"""


@contextmanager
def transaction(connection: psycopg.Connection[Any], role: str) -> Iterator[None]:
    """Open what PostgREST opens, and roll it back."""
    claims = json.dumps({"sub": USER, "role": "authenticated", "aal": "aal1"})
    connection.execute("begin")
    connection.execute(
        "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
        (role, claims),
        prepare=True,
    )
    yield
    connection.execute("rollback")


def timed(
    connection: psycopg.Connection[Any], role: str, text: str, values: dict[str, Any]
) -> tuple[float, float]:
    """Return the seconds of the statement and of the request around it."""
    began = time.perf_counter()
    with transaction(connection, role):
        started = time.perf_counter()
        cursor = connection.execute(text.encode(), values, prepare=True)
        if cursor.description:
            cursor.fetchall()
        ended = time.perf_counter()
    return ended - started, time.perf_counter() - began


def scans(connection: psycopg.Connection[Any], text: str, values: dict[str, Any]) -> list[str]:
    """Return the tenant tables that the plan reads whole."""
    with transaction(connection, "authenticated"):
        plan = connection.execute(b"explain (format json) " + text.encode(), values).fetchone()
    assert plan is not None
    found: list[str] = []

    def walk(node: dict[str, Any]) -> None:
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in ("contacts", "deals"):
            found.append(node["Relation Name"])
        for child in node.get("Plans", ()):
            walk(child)

    walk(plan[0][0]["Plan"])
    return found


def prepare(engine: EmbeddedEngine, arguments: argparse.Namespace) -> tuple[Database, Database]:
    """Build the database, fill it, and copy it for the per-row policies."""
    database = engine.create_database("bench_rls")
    project = find(start=Path(__file__).parent)
    migrations.apply(database.owner_dsn, project.migrations)
    plan = GeneratePlan(
        organizations=arguments.organizations,
        contacts=arguments.contacts,
        companies=arguments.contacts // 10,
        deals=arguments.contacts // 10,
        activities=0,
    )
    report = generate(database.owner_dsn, plan)
    print(f"generated {sum(report.rows.values()):,} rows at {report.rows_per_second:,.0f} rows/s")
    with database.connect() as connection:
        connection.execute(
            "insert into auth.users (id, email, email_confirmed_at) values (%s, %s, now())",
            (USER, "bench@generated.example"),
        )
        connection.execute(
            "insert into public.memberships (organization_id, user_id, role)"
            " select id, %s, 'admin' from public.organizations order by id limit 3",
            (USER,),
        )
    with database.connect(autocommit=True) as connection:
        connection.execute("vacuum analyze public.memberships")
    peer = engine.create_database("bench_rls_peer", template=database.name)
    with peer.connect() as connection:
        connection.execute(PER_ROW)
        policies = connection.execute(
            "select tablename, policyname, cmd from pg_policies where schemaname = 'public'"
            " and tablename in ('contacts', 'deals')"
        ).fetchall()
        for table, policy, command in policies:
            clauses = {
                "INSERT": "with check (private.bench_is_member(organization_id))",
                "UPDATE": "using (private.bench_is_member(organization_id))"
                " with check (private.bench_is_member(organization_id))",
            }
            clause = clauses.get(command, "using (private.bench_is_member(organization_id))")
            connection.execute(
                sql.SQL("alter policy {} on {} {}").format(
                    sql.Identifier(policy), sql.Identifier("public", table), sql.SQL(clause)
                )
            )
    return database, peer


def main() -> int:
    """Print the table; exit 1 when a plan reads a whole tenant table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--organizations", type=int, default=1_000)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--pg-bin", type=Path, default=None)
    arguments = parser.parse_args()
    whole = False
    with EmbeddedEngine(pg_bin=arguments.pg_bin) as engine:
        database, peer = prepare(engine, arguments)
        print(f"{engine.label}; user in 3 organizations; ratios of medians to `hand`\n")
        print("| statement | hand ms | policy | per row | policy, request | goal | met |")
        print("|---|---|---|---|---|---|---|")
        # A connection for each way: changing the role of one would throw its plans away.
        with (
            database.connect(autocommit=True) as hand,
            database.connect(autocommit=True) as own,
            peer.connect(autocommit=True) as other,
        ):
            values = parameters(own)
            for statement in STATEMENTS:
                whole |= row((hand, own, other), statement, values)
    return 1 if whole else 0


def parameters(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """Choose one organization, contact and pipeline to ask for."""
    orgs = [
        r[0]
        for r in connection.execute(
            "select organization_id from public.memberships where user_id = %s order by 1", (USER,)
        )
    ]
    contact = connection.execute(
        "select id, email from public.contacts where organization_id = %s order by id"
        " offset (select count(*) / 2 from public.contacts where organization_id = %s) limit 1",
        (orgs[0], orgs[0]),
    ).fetchone()
    pipeline = connection.execute(
        "select id from public.pipelines where organization_id = %s limit 1", (orgs[0],)
    ).fetchone()
    assert contact is not None and pipeline is not None
    return {
        "org": orgs[0],
        "orgs": orgs,
        "id": contact[0],
        "email": contact[1],
        "pipeline": pipeline[0],
        "user": USER,
    }


def row(
    connections: tuple[psycopg.Connection[Any], ...],
    statement: Statement,
    values: dict[str, Any],
) -> bool:
    """Measure one statement, print its line, and say whether a plan reads a whole table."""
    hand_written, own, other = connections
    ways = {
        "hand": (hand_written, "postgres", statement.hand),
        "policy": (own, "authenticated", statement.policy),
        "per row": (other, "authenticated", statement.policy),
    }
    alone: dict[str, list[float]] = {way: [] for way in ways}
    request: dict[str, list[float]] = {way: [] for way in ways}
    for connection, role, text in ways.values():
        timed(connection, role, text, values)  # warms caches and prepares
    for _ in range(statement.rounds):
        for way, (connection, role, text) in ways.items():
            if sum(alone[way]) > 10:
                continue  # a peer that takes seconds need not take them thirty times
            once = timed(connection, role, text, values)
            alone[way].append(once[0])
            request[way].append(once[1])
    hand = statistics.median(alone["hand"])
    ratio = statistics.median(alone["policy"]) / hand
    peer = statistics.median(alone["per row"]) / hand
    whole = statistics.median(request["policy"]) / statistics.median(request["hand"])
    found = scans(own, statement.policy, values)
    met = ("yes" if ratio <= statement.goal else "no") + (", whole scan!" if found else "")
    print(
        f"| {statement.name} | {hand * 1000:.2f} | {ratio:.2f} x | {peer:.2f} x |"
        f" {whole:.2f} x | {statement.goal} x | {met} |",
        flush=True,
    )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
