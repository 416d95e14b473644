"""How long it takes to build the database, and how fast it fills.

    python -m benchmarks.load                     # migrate an empty database, load 1,200,000 rows
    python -m benchmarks.load --pg-bin /usr/lib/postgresql/15/bin

Beside the load of ``seed generate`` runs its floor: the same rows, by the same number of COPY
streams, into tables without keys, indexes, constraints and triggers. The ratio says what those
cost. Exits with 3 when a goal is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from psycopg import sql

from benchmarks import postgres, report, tenants
from harmonia_py import dsn
from harmonia_py.connection import Connection
from harmonia_py.engines import Database, EmbeddedEngine
from harmonia_py.seed.generate import generate

ROWS_PER_SECOND = 50_000
MIGRATE_SECONDS = 3.0
TABLES = ("companies", "contacts", "deals")


def migrate(engine: EmbeddedEngine, rounds: int) -> tuple[float, int]:
    """Return the seconds of the best round on an empty, prepared database, and the files."""
    best, files = float("inf"), 0
    for _ in range(rounds):
        with engine.database() as database:
            started = time.perf_counter()
            files = tenants.apply(database)
            best = min(best, time.perf_counter() - started)
    return best, files


def floor(source: Database, streams: int) -> float:
    """Return the seconds that copying the rows of ``source`` into bare tables takes."""
    with source.connect(autocommit=True) as connection:
        for table in TABLES:
            names = sql.Identifier("private", f"bench_{table}"), sql.Identifier("public", table)
            connection.execute(sql.SQL("create table {} as table {} with no data").format(*names))
    parts: list[list[tuple[str, bytes]]] = [[] for _ in range(streams)]
    with source.connect() as connection:
        for table in TABLES:
            for n, block in enumerate(_blocks(connection, table)):
                parts[n % streams].append((table, block))

    def fill(part: list[tuple[str, bytes]]) -> None:
        with dsn.connect(source.owner_dsn) as connection, connection.cursor() as cursor:
            for table, block in part:
                into = sql.SQL("copy {} from stdin").format(
                    sql.Identifier("private", f"bench_{table}")
                )
                with cursor.copy(into) as copy:
                    copy.write(block)

    started = time.perf_counter()
    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(fill, parts))
    return time.perf_counter() - started


def _blocks(connection: Connection, table: str, size: int = 1 << 20) -> Iterator[bytes]:
    statement = sql.SQL("copy (select * from {}) to stdout").format(sql.Identifier("public", table))
    held = bytearray()
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in copy:
            held += row
            if len(held) >= size:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)


def main() -> int:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    tenants.add_options(parser, organizations=1_000, contacts=1_000_000)
    parser.add_argument("--connections", type=report.at_least_one, default=2)
    parser.add_argument("--rounds", type=report.at_least_one, default=5)
    postgres.add_option(parser)
    report.add_option(parser)
    options = parser.parse_args()
    with EmbeddedEngine(options.pg_bin) as engine:
        seconds, files = migrate(engine, options.rounds)
        with engine.database() as database:
            tenants.apply(database)
            plan = tenants.plan(options)
            done = generate(database.owner_dsn, plan, connections=options.connections)
            rows = sum(done.rows.values())
            bare = rows / floor(database, options.connections)
            major = database.server_version // 10_000
        speed = done.rows_per_second
        table = report.table(
            ("what", "figure", "goal", "met"),
            (
                (
                    f"`migrate apply`, {files} files, empty database, best of {options.rounds}",
                    f"{seconds:.2f} s",
                    f"< {MIGRATE_SECONDS:.0f} s",
                    "yes" if seconds < MIGRATE_SECONDS else "no",
                ),
                (
                    f"`seed generate`, {rows:,} rows with keys, indexes, triggers, vacuum, analyze",
                    f"{speed:,.0f} rows/s",
                    f"{ROWS_PER_SECOND:,} rows/s",
                    "yes" if speed >= ROWS_PER_SECOND else "no",
                ),
                (
                    "its floor: the same rows copied into bare tables",
                    f"{bare:,.0f} rows/s; {bare / speed:.1f} x",
                    "",
                    "",
                ),
            ),
        )
        report.publish(f"load-{major}", report.made_by(engine.label) + table, options.into)
    return 0 if seconds < MIGRATE_SECONDS and speed >= ROWS_PER_SECOND else 3


if __name__ == "__main__":
    sys.exit(main())
