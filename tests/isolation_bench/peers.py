"""Run other tools on the same variants: what they signal, and when their gate turns red.

``signalled``: the tool says something on the patched schema that it does not say on the clean
one, whatever its exit code. ``gate``: the exit code is red when patched and green when clean; a
tool that is already red on correct code cannot guard anything.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harmonia_py.engines import Database
from harmonia_py.engines.embedded import EmbeddedEngine
from isolation_bench import peer_tools, variants
from isolation_bench.database import Bench
from isolation_bench.peer_tools import TOOLS, Answer, Peers, Target
from isolation_bench.result import Result, markdown, ratio, save, spread
from isolation_bench.variants import Variant

HELPER_SCHEMAS = {"fleet": "internal", "studio": "app", "salesroom": ""}


def _schemas_of(schema: str) -> tuple[str, ...]:
    helper = HELPER_SCHEMAS.get(schema, "private")
    return tuple(filter(None, ("public", helper, "storage", "realtime")))


def _ask(peers: Peers, tool: str, target: Target) -> tuple[Answer, float]:
    begun = time.perf_counter()
    answer = TOOLS[tool](peers, target)
    return answer, time.perf_counter() - begun


def _result(tool: str, variant: Variant, clean: Answer, answer: Answer, seconds: float) -> Result:
    fresh = sorted(answer.findings - clean.findings)
    return Result(
        tool,
        variant.schema,
        variant.kind,
        variant.name,
        variant.channel,
        bool(fresh),
        answer.red and not clean.red,
        len(fresh),
        seconds,
        int(answer.red),
        answer.trouble[:200],
    )


def compare_schema(
    bench: Bench,
    peers: Peers,
    schema: str,
    tools: Sequence[str],
    only: str,
    jobs: int,
    parent: Path,
) -> list[Result]:
    """Run every tool on one schema: clean, then each variant, on a database of its own."""
    snapshot = parent / f"{schema}.json"

    def target(database: Database) -> Target:
        return Target(database, snapshot, peer_tools.scratch(parent, _schemas_of(schema)))

    with bench.clone(schema) as database:
        peer_tools.take_snapshot(peers, target(database))
    clean: dict[str, Answer] = {}
    results: list[Result] = []
    for tool in tools:
        with bench.clone(schema) as database:
            clean[tool], seconds = _ask(peers, tool, target(database))
        answer = clean[tool]
        results.append(
            Result(
                tool, schema, "clean", "clean", "", bool(answer.findings), answer.red,
                len(answer.findings), seconds, int(answer.red), answer.trouble[:200],
            )
        )  # fmt: skip

    def one(job: tuple[str, Variant]) -> Result:
        tool, variant = job
        with bench.clone(schema, variant) as database:
            answer, seconds = _ask(peers, tool, target(database))
        return _result(tool, variant, clean[tool], answer, seconds)

    chosen = [variant for variant in variants.variants(schema=schema) if only in variant.id]
    with ThreadPoolExecutor(jobs) as pool:
        results += pool.map(one, [(tool, variant) for tool in tools for variant in chosen])
    return results


def table(results: Sequence[Result]) -> str:
    """Return one line per tool."""
    rows = []
    for tool in dict.fromkeys(r.tool for r in results):
        mine = [r for r in results if r.tool == tool]
        kinds = {
            kind: [r for r in mine if r.kind == kind]
            for kind in ("clean", "leaks", "restrictions", "harmless")
        }
        green = ratio(kinds["clean"], lambda r: not r.gate)
        if tool == "harmonia":
            green = ratio(kinds["clean"], lambda r: r.exit_code == 0)
        rows.append(
            [
                tool,
                ratio(kinds["leaks"], lambda r: r.signalled),
                ratio(kinds["leaks"], lambda r: r.gate),
                ratio(kinds["restrictions"], lambda r: r.signalled),
                ratio(kinds["harmless"], lambda r: r.signalled),
                green,
                sum(r.findings for r in kinds["clean"]),
                spread([r.seconds for r in mine]),
            ]
        )
    return markdown(
        [
            "tool",
            "leaks signalled",
            "leaks that turn its gate red",
            "over-restrictions signalled",
            "false alarms on harmless",
            "clean schemas with a green gate",
            "findings on the clean schemas",
            "seconds per run, median (max)",
        ],
        rows,
    )


def run(options: argparse.Namespace) -> int:
    """Install the peers if needed, run them, print the table."""
    home = os.environ.get("ISOLATION_BENCH_PEERS")
    with tempfile.TemporaryDirectory(prefix="peers-") as temporary:
        peers = Peers(Path(home or temporary))
        peers.install()
        results: list[Result] = []
        with EmbeddedEngine(options.pg_bin) as engine:
            bench = Bench(engine)
            for schema in (options.schema,) if options.schema else variants.schemas():
                results += compare_schema(
                    bench,
                    peers,
                    schema,
                    peer_tools.names(options.tool),
                    options.only,
                    options.jobs,
                    Path(temporary),
                )
                print(f"{schema} compared", file=sys.stderr)
                if options.json:  # after each schema: a run over all of them takes long
                    save(results, Path(options.json))
    print(table(results))
    troubled = [r for r in results if r.detail]
    for result in troubled:
        print(f"trouble: {result.tool} on {result.id}: {result.detail!r}", file=sys.stderr)
    return 0
