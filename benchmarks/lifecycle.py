"""Export, import and purge of a large organization, beside pg_dump and with live traffic.

``python -m benchmarks.lifecycle [--rows 1000000] [--pg-bin DIR] [--into PAGE]``; exits 1 when
fingerprints differ, a row is lost, or a process needed more than 200 MiB.

1. An organization of that many rows (companies and contacts) is exported and imported into another
   database, each in a process of its own; printed are seconds, rows per second and the peak memory
   of the process, beside ``pg_dump --data-only`` of the same tables. Fingerprints must agree.
2. Among 100 organizations it is purged while clients write into ten of the others; the purge is
   killed twice and resumed. The fingerprints of the quiet ones must be equal, every row the
   clients were told is written must be there, and the certificate must verify.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks import postgres, report
from harmonia_py import audit, dsn, migrations
from harmonia_py.connection import session
from harmonia_py.engines.database import Database
from harmonia_py.engines.embedded import EmbeddedEngine
from harmonia_py.lifecycle import backup, catalog, retention

PROJECT = Path(__file__).parents[1] / "supabase"
SQL = Path(__file__).with_name("lifecycle.sql")
ORGANIZATIONS, BUSY = 100, 10
PEAK = 200.0

CHILD = """
import json, resource, sys, time
from pathlib import Path
from uuid import UUID
from harmonia_py.lifecycle import exporting, importing, retention
given = json.loads(sys.stdin.readline())
start = time.perf_counter()
if given["what"] == "export":
    exporting.export_organization(given["url"], UUID(given["org"]), Path(given["path"]))
elif given["what"] == "import":
    importing.import_organization(given["url"], Path(given["path"]))
else:
    retention.purge(
        given["url"], UUID(given["org"]), batch=int(given["batch"]),
        progress=lambda *_: print("+", flush=True),
    )
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak_mib": peak}), flush=True)
"""


def child(**given: str) -> subprocess.Popen[str]:
    """Start one step in a process of its own; the URL goes in by stdin."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT.parent)},
    )
    if process.stdin is None:
        raise AssertionError("stdin is a pipe")
    process.stdin.write(json.dumps(given) + "\n")
    process.stdin.close()
    return process


def run(**given: str) -> dict[str, float]:
    """Run one step to its end and return what it measured."""
    process = child(**given)
    if process.stdout is None:
        raise AssertionError("stdout is a pipe")
    lines = process.stdout.read().splitlines()
    if process.wait() != 0:
        raise SystemExit(f"{given['what']} failed")
    result: dict[str, float] = json.loads(lines[-1])
    return result


def prints(database: Database, orgs: list[UUID]) -> dict[str, Any]:
    """Return fingerprints of every exported table of the organizations."""
    with session(database.owner_dsn) as conn:
        return {
            f"{table.name} {org}": catalog.fingerprint(conn, table, org)
            for table in catalog.tables(conn)
            for org in orgs
        }


def dump_seconds(engine: EmbeddedEngine, database: Database) -> float:
    """Return how long pg_dump takes for the same two tables, data only, uncompressed."""
    start = time.perf_counter()
    subprocess.run(
        [
            engine.binaries.path("pg_dump"), "--data-only", "--no-password",
            "--table=public.companies", "--table=public.contacts", "--file=/dev/null",
        ],
        env=backup.environment(database.owner_dsn),
        check=True,
    )  # fmt: skip
    return time.perf_counter() - start


def round_trip(
    engine: EmbeddedEngine, source: Database, target: Database, org: UUID
) -> tuple[str, bool]:
    """Measure part 1; return what to say, and whether the goals are met."""
    with tempfile.TemporaryDirectory() as scratch:
        path = str(Path(scratch) / "export")
        with session(source.owner_dsn) as conn:
            count = sum(catalog.fingerprint(conn, t, org)[0] for t in catalog.tables(conn))
        out = run(what="export", url=source.owner_dsn, org=str(org), path=path)
        dump = dump_seconds(engine, source)
        back = run(what="import", url=target.owner_dsn, path=path)
    same = prints(source, [org]) == prints(target, [org])
    rows = [
        [name, f"{seconds:.1f}", f"{count / seconds:,.0f}", f"{seconds / dump:.1f} x", peak]
        for name, seconds, peak in (
            ("`pg_dump --data-only`", dump, ""),
            ("export, CSV and NDJSON", out["seconds"], f"{out['peak_mib']:.0f}"),
            ("import, checked", back["seconds"], f"{back['peak_mib']:.0f}"),
        )
    ]
    text = report.table(
        [f"{count:,} rows", "s", "rows/s", "to pg_dump", "peak MiB (goal: 200)"], rows
    )
    text += f"\nFingerprints after the round trip: {'equal' if same else 'DIFFERENT'}.\n"
    return text, same and max(out["peak_mib"], back["peak_mib"]) < PEAK


class Traffic(threading.Thread):
    """A client that adds tags to its organization and remembers what was committed."""

    def __init__(self, url: str, org: UUID) -> None:
        super().__init__(daemon=True)
        self.url, self.org = url, org
        self.written: list[UUID] = []
        self.slowest = 0.0
        self.stop = threading.Event()

    def run(self) -> None:
        """Write until told to stop."""
        with dsn.connect(self.url, autocommit=True) as conn:
            while not self.stop.is_set():
                id_, start = uuid4(), time.perf_counter()
                conn.execute(
                    "insert into public.tags (organization_id, id, name) values (%s, %s, %s)",
                    [self.org, id_, f"tag {id_}"],
                )
                self.written.append(id_)
                self.slowest = max(self.slowest, time.perf_counter() - start)
                time.sleep(0.02)


def until_free(database: Database) -> None:
    """Wait until the server has noticed that the killed client is gone."""
    with session(database.owner_dsn) as conn:
        conn.execute("select pg_advisory_lock(486103)")
        conn.execute("select pg_advisory_unlock(486103)")


def purge_under_traffic(
    database: Database, org: UUID, others: list[UUID], batch: int
) -> tuple[str, bool]:
    """Measure part 2; return what to say, and whether everything held."""
    step = {"what": "purge", "url": database.owner_dsn, "org": str(org), "batch": str(batch)}
    with session(database.owner_dsn) as conn:
        conn.execute("update public.organizations set status = 'closing' where id = %s", [org])
        conn.execute(
            "insert into private.closures (organization_id, closing_at, purge_after)"
            " values (%s, now() - interval '40 days', now() - interval '1 day')",
            [org],
        )
    busy, quiet = others[:BUSY], others[BUSY:]
    before = prints(database, quiet)
    clients = [Traffic(database.owner_dsn, id_) for id_ in busy]
    for client in clients:
        client.start()
    start = time.perf_counter()
    try:
        for batches in (3, 20):
            process = child(**step)
            if process.stdout is None:
                raise AssertionError("stdout is a pipe")
            for _ in range(batches):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            process.wait()
            until_free(database)
        last = run(**step)
    finally:
        for client in clients:
            client.stop.set()
            client.join()
    seconds = time.perf_counter() - start
    key = Ed25519PrivateKey.generate()
    content = retention.check_certificate(
        retention.certify(database.owner_dsn, org, key), key.public_key()
    )
    lost = 0
    with session(database.owner_dsn) as conn:
        for client in clients:
            row = conn.execute(
                "select count(*) from public.tags where organization_id = %s and id = any(%s)",
                [client.org, client.written],
            ).fetchone()
            lost += len(client.written) - (int(row[0]) if row else 0)
    same = prints(database, quiet) == before
    verified = audit.verify(database.owner_dsn).ok
    written = sum(len(client.written) for client in clients)
    rows = sum(table["rows"] for table in content["tables"].values())
    slowest = max(client.slowest for client in clients) * 1000
    text = (
        f"\nPurge of {rows:,} rows of one organization among {ORGANIZATIONS}, killed twice:"
        f" {seconds:.1f} s, peak {last['peak_mib']:.0f} MiB. Meanwhile {BUSY} clients wrote"
        f" {written:,} rows, {lost} lost, the slowest in {slowest:.0f} ms. Fingerprints of"
        f" {len(quiet)} others: {'equal' if same else 'DIFFERENT'}; the certificate verifies;"
        f" the audit record {'verifies' if verified else 'DOES NOT VERIFY'}.\n"
    )
    return text, same and verified and not lost and bool(written)


def main() -> None:
    """Build both databases and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=report.at_least_one, default=1_000_000)
    postgres.add_option(parser)
    report.add_option(parser)
    options = parser.parse_args()
    with EmbeddedEngine(options.pg_bin) as engine:
        target = engine.create_database("bench_target")
        migrations.apply(target.owner_dsn, PROJECT / "migrations")
        source = engine.create_database("bench_source", template="bench_target")
        with psycopg.connect(source.admin_dsn or "", autocommit=True) as admin:
            admin.execute(SQL.read_bytes())
            start = time.perf_counter()
            admin.execute("select bench.fill(%s, %s)", [ORGANIZATIONS, options.rows])
            admin.execute("analyze")
            rows = admin.execute("select id from bench.organizations order by n").fetchall()
        orgs = [row[0] for row in rows]
        print(f"filled in {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        parts = [
            round_trip(engine, source, target, orgs[0]),
            purge_under_traffic(source, orgs[0], orgs[1:], max(options.rows // 200, 1)),
        ]
        text = report.made_by(engine.label) + "".join(part for part, _ in parts)
        report.publish(f"lifecycle-{engine.binaries.major}", text, options.into)
    raise SystemExit(0 if all(good for _, good in parts) else 1)


if __name__ == "__main__":
    main()
