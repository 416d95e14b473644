"""What row level security costs: policies against hand-written filters and per-row helpers.

    python -m benchmarks.rls                      # 1,000,000 contacts in 1,000 organizations
    python -m benchmarks.rls --pg-bin /usr/lib/postgresql/15/bin

Each statement of ``benchmarks.frontend`` runs in turn, in one process, in five ways, in several
passes over all of them, and the lower deciles are compared, which hold still on a machine that does
other things too:

* ``hand``: as a role that bypasses RLS, with ``organization_id = ...`` written by hand;
* ``floor``: as ``authenticated`` under the least policy that still looks up who asks: one range of
  one index, once a statement. What it costs no policy can save; a goal below it cannot be met;
* ``deaf``: as ``authenticated`` under Harmonia's policies, over seats that are constants: what is
  between it and ``policy`` are the looks into the seats;
* ``policy``: as ``authenticated`` under Harmonia's policies, as a frontend sends it;
* ``per row``: the same under ``is_member(organization_id)`` called for each row.

The least and the deaf policies are those of copies of the database, which have other pages in other
places of the caches. So each is compared with the statement by hand on its own copy; the two come
one right after the other, either first as often as the other.

All are prepared and keep their connection, as PostgREST does unless ``db-prepared-statements`` is
off, and ``plan_cache_mode`` stays at ``auto``: after five executions PostgreSQL keeps one plan for
all that follow (``generic_plans`` in ``pg_prepared_statements``). The two statements by hand over
"all mine" are the exception: with the list of organizations as a parameter they are planned anew
each time, which below the policies they are not, so these two ratios flatter the policies.

``policy`` compares the statements alone, with the time the policies add; ``request`` compares the
transactions PostgREST makes of them: begin, the settings of role and claims, the rows as JSON, the
end; ``planned anew`` the statements as a client sends them that prepares nothing, so that their
policies are planned each time as well. Exits with 1 when a plan reads a whole tenant table, and
with 3 when a statement is above its goal.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import psycopg

from benchmarks import postgres, report, tenants
from benchmarks.frontend import (
    DEAF,
    FLOOR,
    PER_ROW,
    STATEMENTS,
    USER,
    Statement,
    as_sent,
    request,
    tables,
    whole_scans,
)
from harmonia_py.engines import Database, EmbeddedEngine

Connection = psycopg.Connection[Any]
Taken = tuple[float, float, float]
Way = TypeVar("Way")
#: The ways that are compared with the statement by hand, and what that is called on their database.
BY_HAND = {"policy": "hand", "floor": "hand beside floor", "deaf": "hand beside deaf"}
#: All statements are gone through this many times: what disturbs the machine for a second then
#: falls on a part of the rounds of many statements, and not on all rounds of one.
PASSES = 5
#: A peer that takes seconds need not take them a hundred times.
PATIENCE = 10.0
#: Fills the caches; and from the sixth execution on, PostgreSQL may keep one plan. Later passes
#: find both, and only fetch back what the statements between them pushed out.
WARM_UP, WARM_AGAIN = 8, 2
HEAD = (
    "statement",
    "hand, ms",
    "policy, ms",
    "floor",
    "deaf",
    "policy",
    "request",
    "planned anew",
    "per row",
    "goal",
    "met",
)


def prepare(
    engine: EmbeddedEngine, options: argparse.Namespace
) -> tuple[Database, Database, Database, Database]:
    """Build the database, fill it, and copy it for the least, deaf and per-row policies."""
    database = tenants.build(engine, "bench_rls", options)
    join(database)
    floor, deaf, peer = (
        _changed(engine, database, name, text)
        for name, text in (("floor", FLOOR), ("deaf", DEAF), ("peer", PER_ROW))
    )
    return database, floor, deaf, peer


def _changed(engine: EmbeddedEngine, database: Database, name: str, text: str) -> Database:
    copy = engine.create_database(f"bench_rls_{name}", template=database.name)
    with copy.connect() as connection:
        connection.execute(text.encode())
    return copy


def join(database: Database) -> None:
    """Make the user who asks a member of three organizations."""
    with database.connect(autocommit=True) as connection:
        connection.execute(
            "insert into auth.users (id, email, email_confirmed_at) values (%s, %s, now())",
            (USER, "bench@generated.example"),
        )
        connection.execute(
            "insert into public.memberships (organization_id, user_id, role)"
            " select o.id, %s, 'admin' from public.organizations as o"
            " where o.slug like 'generated-%%' order by o.id limit 3",
            (USER,),
        )
        connection.execute("vacuum analyze public.memberships")


def parameters(connection: Connection) -> dict[str, Any]:
    """Choose one organization, contact and pipeline to ask for, and a name to search."""
    orgs = [
        r[0]
        for r in connection.execute(
            "select organization_id from public.memberships where user_id = %s order by 1", (USER,)
        )
    ]
    contact = connection.execute(
        "select id, email, first_name, last_name from public.contacts where organization_id = %s"
        " order by id offset (select count(*) / 2 from public.contacts where organization_id = %s)"
        " limit 1",
        (orgs[0], orgs[0]),
    ).fetchone()
    pipeline = connection.execute(
        "select id from public.pipelines where organization_id = %s limit 1", (orgs[0],)
    ).fetchone()
    assert contact is not None and pipeline is not None
    words = contact[3][:4]  # as typed halfway through a name
    query = connection.execute("select private.search_query(%s)::text", (words,)).fetchone()
    assert query is not None
    return {
        "org": orgs[0],
        "orgs": orgs,
        "id": contact[0],
        "email": contact[1],
        "pipeline": pipeline[0],
        "user": USER,
        "words": words,
        "query": query[0],
    }


def timed(connection: Connection, role: str, text: str, values: Mapping[str, Any]) -> Taken:
    """Return the seconds of the statement, of the request made of it, and of it planned anew."""
    with request(connection, role):
        alone = _run(connection, text, values)
    with request(connection, role):
        anew = _run(connection, text, values, prepare=False)
    began = time.perf_counter()
    with request(connection, role):
        _run(connection, as_sent(text), values)
    return alone, time.perf_counter() - began, anew


def _run(
    connection: Connection, text: str, values: Mapping[str, Any], *, prepare: bool = True
) -> float:
    started = time.perf_counter()
    cursor = connection.execute(text.encode(), values, prepare=prepare)
    if cursor.description:
        cursor.fetchall()
    return time.perf_counter() - started


def turned(ways: Sequence[Way], turn: int) -> list[Way]:
    """Return the ways in an order of which another is the first each time.

    What runs after another way finds the machine as that one left it.
    """
    first = turn % len(ways)
    return [*ways[first:], *ways[:first]]


def measure(
    connections: Mapping[str, Connection],
    statement: Statement,
    values: Mapping[str, Any],
    taken: dict[str, list[Taken]],
) -> None:
    """Add one pass of the statement, its ways in turns, to what was taken."""
    ways = {
        way: (
            (connection, "postgres", statement.hand)
            if way in BY_HAND.values()
            else (connection, "authenticated", statement.policy)
        )
        for way, connection in connections.items()
    }
    ways["per row"] = (*ways["per row"][:2], statement.per_row or statement.policy)
    fresh: dict[str, list[Taken]] = {way: [] for way in ways}
    warm_up = WARM_AGAIN if taken else WARM_UP
    for turn in range(warm_up + statement.rounds):
        for way in in_pairs(turn):
            connection, role, text = ways[way]
            spent = sum(map(sum, fresh[way])) + sum(map(sum, taken.get(way, ())))
            if spent < PATIENCE:
                fresh[way].append(timed(connection, role, text, values))
        if turn == warm_up - 1:
            # What took too long to be repeated keeps its one figure.
            fresh = {way: [] if len(found) > turn else found for way, found in fresh.items()}
    for way, found in fresh.items():
        taken.setdefault(way, []).extend(found)


def in_pairs(turn: int) -> list[str]:
    """Return the ways, each beside the one by hand on its database, before or after it in turns."""
    pairs = [[way, hand] if turn % 2 else [hand, way] for way, hand in BY_HAND.items()]
    order = turned(range(len(pairs)), turn // 2)
    return [way for place in order for way in pairs[place]] + ["per row"]


def undisturbed(seconds: Sequence[float]) -> float:
    """Return the lower decile: what it takes when nothing else wants the processor."""
    return statistics.quantiles(seconds, n=10)[0] if len(seconds) > 10 else min(seconds)


def line(
    statement: Statement, taken: dict[str, list[Taken]], scans: Sequence[str]
) -> tuple[tuple[str, ...], bool]:
    """Return the line of one statement and whether it meets its goal."""
    alone = {way: undisturbed([t[0] for t in found]) for way, found in taken.items()}
    whole = {way: undisturbed([t[1] for t in found]) for way, found in taken.items()}
    anew = {way: undisturbed([t[2] for t in found]) for way, found in taken.items()}
    ratio, sent = alone["policy"] / alone["hand"], whole["policy"] / whole["hand"]
    # What a function answers is judged inside it, whatever the policies say.
    least = alone["floor"] / alone[BY_HAND["floor"]] if statement.per_row is None else None
    met = round(ratio, 2) <= statement.goal
    verdict = "yes" if met else "as a request" if round(sent, 2) <= statement.goal else "no"
    if least is not None and round(least, 2) > statement.goal:
        verdict += ", nor does the floor"
    cells = (
        statement.name,
        f"{alone['hand'] * 1000:.2f}",
        f"{(alone['policy'] - alone['hand']) * 1000:+.2f}",
        "" if least is None else f"{least:.2f} x",
        f"{alone['deaf'] / alone[BY_HAND['deaf']]:.2f} x",
        f"{ratio:.2f} x",
        f"{sent:.2f} x",
        f"{anew['policy'] / anew['hand']:.2f} x",
        f"{alone['per row'] / alone['hand']:.2f} x",
        f"{statement.goal} x",
        "; ".join([verdict, *scans]),
    )
    return cells, met


def compare(database: Database, floor: Database, deaf: Database, peer: Database) -> tuple[str, int]:
    """Return the table and the exit code."""
    rows, code = [], 0
    databases = {"policy": database, "floor": floor, "deaf": deaf, "per row": peer}
    databases |= {hand: databases[way] for way, hand in BY_HAND.items()}
    with ExitStack() as open_:
        # A connection for each way: changing the role of one would throw its plans away.
        connections = {
            way: open_.enter_context(where.connect(autocommit=True))
            for way, where in databases.items()
        }
        hand, own = connections["hand"], connections["policy"]
        values, large = parameters(hand), tables(hand)
        taken: dict[str, dict[str, list[Taken]]] = {}
        for turn in range(PASSES):
            print(f"pass {turn + 1} of {PASSES}", file=sys.stderr, flush=True)
            for statement in STATEMENTS:
                ways = taken.setdefault(statement.name, {})
                measure(connections, statement, values, ways)
        for statement in STATEMENTS:
            scans = whole_scans(own, statement.policy, values, large)
            cells, met = line(statement, taken[statement.name], scans)
            rows.append(cells)
            code = 1 if scans or code == 1 else code or (0 if met else 3)
    return report.table(HEAD, rows), code


def main() -> int:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    tenants.add_options(parser, organizations=1_000, contacts=1_000_000)
    postgres.add_option(parser)
    report.add_option(parser)
    options = parser.parse_args()
    with EmbeddedEngine(options.pg_bin) as engine:
        databases = prepare(engine, options)
        table, code = compare(*databases)
        major = databases[0].server_version // 10_000
        text = report.made_by(engine.label) + table
        report.publish(f"rls-{major}", text, options.into)
    return code


if __name__ == "__main__":
    sys.exit(main())
