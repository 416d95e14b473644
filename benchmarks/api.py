"""What a request costs: PostgREST with and without the guard, with and without RLS.

    python -m benchmarks.api --into docs/performance.md    # 20,000 contacts, wrk on the loopback

Rounds alternate between the servers and medians are compared. Processor time per request, of
PostgREST and its backends together, is what a busy machine does not distort: ``ratio`` compares
that. Linux only. Last, one user sends three times the limit over many connections at
once, and the admitted requests are counted: more than 1 % over the limit is exit code 1.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql

from benchmarks import postgres, report
from harmonia_py import migrations, tokens
from harmonia_py.engines import Database, EmbeddedEngine
from harmonia_py.postgrest import PostgREST, install

ROOT = Path(__file__).parents[1]
USER = "00000000-0000-7000-8000-0000000a9100"
ORGANIZATION = "00000000-0000-7000-8000-0000000a9101"
ROWS = 20_000
PATHS = {
    "one record": f"/contacts?organization_id=eq.{ORGANIZATION}&limit=1&select=id,full_name",
    "latest 50": (
        f"/contacts?organization_id=eq.{ORGANIZATION}&deleted_at=is.null"
        "&order=created_at.desc,id&limit=50"
    ),
}
SETUP = """
insert into auth.users (id, email) values (%(user)s, 'bench@bench.example');
insert into public.organizations (id, name, slug) values (%(organization)s, 'Bench', 'bench-api');
insert into public.memberships (organization_id, user_id, role)
values (%(organization)s, %(user)s, 'owner');
insert into public.contacts (organization_id, first_name, email, created_at)
select %(organization)s, 'Contact ' || n, 'c' || n || '@mail.example', now() - n * interval '1 min'
from generate_series(1, %(rows)s) as n;
create function private.bench_nothing() returns void language plpgsql set search_path = ''
as 'begin end';
grant execute on function private.bench_nothing() to authenticated, service_role;
update private.rate_limits set per_user = 1000000, per_organization = 1000000;
"""


@dataclass(frozen=True)
class Round:
    """What wrk says of one run, and the processor time of servers and backends; milliseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float = 0.0


def wrk(url: str, token: str, *, seconds: int, connections: int) -> Round:
    """Load one address for a bounded time."""
    # The token is one of a throw-away database.
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += ["-H", f"Authorization: Bearer {token}", url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out:
        sys.exit(f"the server refused requests:\n{out}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert rate
    return Round(float(rate[1]), _latency(out, "50%"), _latency(out, "99%"))


def _latency(out: str, row: str) -> float:
    found = re.search(rf"^\s+{re.escape(row)}\s+([\d.]+)(us|ms|s)", out, re.MULTILINE)
    assert found, out
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def processor_seconds(server: PostgREST, database: Database) -> dict[Path, float]:
    """Return the processor time so far of each thread of a PostgREST, and each backend (Linux).

    Unlike wall-clock time it does not depend on what else the machine does.
    """
    with database.connect_admin() as conn:
        rows = conn.execute(
            "select pid from pg_catalog.pg_stat_activity where usename = 'authenticator'"
        ).fetchall()
    folders = [Path(f"/proc/{pid}") for (pid,) in rows]
    folders += list(Path(f"/proc/{server.pid}/task").iterdir())
    return {f: int((f / "schedstat").read_text().split()[0]) / 1e9 for f in folders}


def in_session(database: Database, function: str, calls: int = 3000) -> float:
    """Return the microseconds of processor time of one call, the best of five batches."""
    best = float("inf")
    with database.connect(autocommit=True) as conn:
        settings = {
            "request.jwt.claims": f'{{"sub": "{USER}", "role": "authenticated", "aal": "aal1"}}',
            "request.method": "GET",
            "request.path": "/contacts",
            "request.headers": '{"host": "x", "accept": "*/*", "user-agent": "wrk"}',
            "request.cookies": "{}",
        }
        for name, value in settings.items():
            conn.execute("select set_config(%s, %s, false)", [name, value])
        backend = Path(f"/proc/{conn.info.backend_pid}/schedstat")
        loop = sql.SQL(
            "do $$ begin for i in 1..{} loop perform private.{}(); end loop; end $$"
        ).format(sql.Literal(calls), sql.Identifier(function))
        for _ in range(5):
            before = int(backend.read_text().split()[0])
            conn.execute(loop)
            best = min(best, (int(backend.read_text().split()[0]) - before) / calls / 1000)
    return best


def exactness(api: PostgREST, database: Database, token: str, limit: int) -> dict[int, int]:
    """Send three times the limit at once and count the answers by status."""
    with database.connect(autocommit=True) as conn:
        conn.execute(
            "update private.rate_limits set per_user = %s, window_seconds = 20"
            " where route_class = 'read'",
            [limit],
        )
    headers = {"authorization": f"Bearer {token}"}
    address = api.url + PATHS["one record"]
    time.sleep(20 - time.time() % 20 + 0.05)
    started = time.time()
    limits = httpx.Limits(max_connections=40, max_keepalive_connections=40)
    with httpx.Client(headers=headers, limits=limits, timeout=30) as client:
        with ThreadPoolExecutor(40) as pool:
            codes = Counter(pool.map(lambda _: client.get(address).status_code, range(3 * limit)))
        # What connections still hold of their slots is spent by going on, one by one.
        for _ in range(limit // 4):
            codes[client.get(address).status_code] += 1
    if int(started) // 20 != int(time.time()) // 20:
        sys.exit("the machine was too slow: the requests fell into two windows")
    with database.connect(autocommit=True) as conn:
        conn.execute("update private.rate_limits set per_user = 1000000, window_seconds = 10")
    return dict(codes)


def main() -> None:
    """Run everything and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=report.at_least_one, default=3)
    parser.add_argument("--rounds", type=report.at_least_one, default=5)
    parser.add_argument("--connections", type=report.at_least_one, default=4)
    parser.add_argument("--limit", type=report.at_least_one, default=300)
    postgres.add_option(parser)
    report.add_option(parser)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("this benchmark needs wrk: apt-get install wrk")
    secret = tokens.new_secret()
    user = tokens.sign(tokens.user_claims(USER, "bench@bench.example"), secret)
    service = tokens.sign({"role": "service_role", "exp": 2_100_000_000}, secret)
    binary = install(ROOT)
    engine = EmbeddedEngine(options.pg_bin)
    try:
        with engine.database() as database:
            migrations.apply(database.owner_dsn, ROOT / "supabase" / "migrations")
            _set_up(database)
            text = _measure(database, binary, secret, user, service, options)
            report.publish("api", report.made_by(engine.label) + text, options.into)
    finally:
        engine.close()


def _set_up(database: Database) -> None:
    names = {"user": USER, "organization": ORGANIZATION, "rows": ROWS}
    with database.connect(autocommit=True) as conn:
        cursor = psycopg.ClientCursor(conn)
        cursor.execute(SETUP, names)
        conn.execute("analyze")


def _measure(
    database: Database, binary: Path, secret: str, user: str, service: str, options: Any
) -> str:
    """Run everything and return Markdown; exit with 1 when the limit was not held."""
    dsn = database.dsn_as("authenticator")
    with (
        PostgREST(dsn, secret=secret, binary=binary) as guarded,
        PostgREST(dsn, secret=secret, binary=binary, pre_request="private.bench_nothing") as empty,
        PostgREST(dsn, secret=secret, binary=binary, pre_request=None) as bare,
    ):
        ways = {
            "no pre-request": (bare, user),
            "empty pre-request": (empty, user),
            "guard": (guarded, user),
            "no pre-request, no RLS": (bare, service),
        }
        rows: list[list[str]] = []
        for name, path in PATHS.items():
            rows += _rows(name, _rounds(path, ways, database, options))
        guard, nothing = (in_session(database, f) for f in ("pre_request", "bench_nothing"))
        codes = exactness(guarded, database, user, options.limit)
    head = ("request", "way", "requests/s", "p50 ms", "p99 ms", "processor ms", "ratio")
    over = codes.get(200, 0) - options.limit
    text = report.table(head, rows)
    text += f"""
{ROWS:,} contacts, {options.connections} connections, medians of {options.rounds} rounds of
{options.seconds} s. Repeated inside one transaction, a call of the guard takes {guard:.0f} us of
processor time and one of an empty function {nothing:.1f} us.

With a limit of {options.limit}, one user over 40 connections at once was answered
{", ".join(f"{count} times with {status}" for status, count in sorted(codes.items()))}:
{over:+d} of the limit ({over / options.limit:+.1%}).
"""
    if over > options.limit * 0.01:
        sys.exit(f"{text}\nmore than 1 % over the limit were admitted")
    return text


def _rounds(
    path: str, ways: dict[str, tuple[PostgREST, str]], database: Database, options: Any
) -> dict[str, list[Round]]:
    runs: dict[str, list[Round]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, (server, token) in ways.items():
            # Only this server works now, so all backends' time is its own.
            before = processor_seconds(server, database)
            run = wrk(
                server.url + path, token, seconds=options.seconds, connections=options.connections
            )
            # A backend that ended meanwhile takes its time with it, and must not count backwards.
            after = processor_seconds(server, database)
            used = sum(time - before.get(place, 0.0) for place, time in after.items())
            runs[way].append(replace(run, cpu=used * 1000 / (run.rate * options.seconds)))
    return runs


def _rows(name: str, runs: dict[str, list[Round]]) -> list[list[str]]:
    base = statistics.median(run.cpu for run in runs["no pre-request"])
    rows = []
    for way, found in runs.items():
        rate, p50, p99, cpu = (
            statistics.median(getattr(run, field) for run in found)
            for field in ("rate", "p50", "p99", "cpu")
        )
        figures = [f"{rate:.0f}", f"{p50:.2f}", f"{p99:.1f}", f"{cpu:.2f}", f"{cpu / base:.2f}"]
        rows.append([name, way, *figures])
    return rows


if __name__ == "__main__":
    main()
