"""``python -m isolation_bench``: list, validate, measure, or compare with peers."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks import report
from isolation_bench.peer_tools import TOOLS
from isolation_bench.variants import KINDS, Variant, schemas, variants


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="isolation_bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_text in (
        ("list", "print the manifest as JSON lines"),
        ("validate", "prove the set: every exploit works patched and fails clean"),
        ("measure", "run harmonia verify on every variant"),
        ("peers", "run other tools on every variant"),
    ):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("--schema", choices=schemas(), help="only this schema")
        command.add_argument("--pg-bin", help="PostgreSQL binaries of the embedded engine")
        if name != "validate":  # a set is proven as a whole, schema by schema
            command.add_argument(
                "--only",
                action="append",
                default=[],
                help="only variants whose id contains this (repeatable)",
            )
        if name in ("measure", "peers"):
            command.add_argument("--json", help="also write the results to this file")
            command.add_argument(
                "--jobs", type=report.at_least_one, default=2, help="runs at the same time"
            )
        if name == "measure":
            command.add_argument(
                "--broken-only", action="store_true", help="only the schemas without rows"
            )
            command.add_argument(
                "--model",
                action="store_true",
                help="judge by the harmonia.toml that --init writes on the clean schema",
            )
        if name == "peers":
            command.add_argument(
                "--tool", action="append", choices=TOOLS, help="only this tool (repeatable)"
            )
            command.add_argument(
                "--home", default=".harmonia/peers", help="where the tools are installed"
            )
            command.add_argument(
                "--minutes", type=float, help="begin no run after this time; call again to go on"
            )
    command = commands.add_parser("table", help="print one table of saved results, all tools")
    command.add_argument("files", nargs="+", help="files written by --json")
    report.add_option(command)
    options = parser.parse_args(arguments)
    # Nothing to run is nothing to report, and looks like success.
    if getattr(options, "only", None) and not any(_chosen(options)):
        parser.error(f"no variant has {' or '.join(options.only)} in its id")
    if options.command == "table":
        return _table(options)
    if options.command == "list":
        return _list(options)
    if options.command == "validate":
        return _validate(options)
    if options.command == "measure":
        from isolation_bench import measure

        return measure.run(options)
    from isolation_bench import peers

    return peers.run(options)


def _chosen(options: argparse.Namespace) -> Iterator[Variant]:
    return variants(schema=options.schema, only=options.only)


def _list(options: argparse.Namespace) -> int:
    for variant in _chosen(options):
        fields = ("id", "channel", "object", "says")
        print(json.dumps({key: getattr(variant, key) for key in fields}))
    return 0


def _table(options: argparse.Namespace) -> int:
    from isolation_bench import measure, peers
    from isolation_bench.result import load

    results = [result for name in options.files for result in load(Path(name))]
    # The bench's own tool comes first, the others in the order they ran.
    order = {measure.PLAIN: 0, measure.COMMITTED: 1}
    results.sort(key=lambda result: order.get(result.tool, 2))
    text = peers.table([result for result in results if result.kind != "broken"])
    if options.into:
        text = peers.with_others(text, Path(options.into).read_text(encoding="utf-8"))
    for tool, heading in ((measure.PLAIN, "Without a model"), (measure.COMMITTED, "With one")):
        mine = [result for result in results if result.tool == tool]
        if mine:
            text += f"\n{heading}:\n\n{measure.table(mine)}\n{measure.channels(mine)}"
    report.publish("results", text, options.into)
    return 0


def _validate(options: argparse.Namespace) -> int:
    from harmonia_py.engines.embedded import EmbeddedEngine
    from isolation_bench.database import Bench
    from isolation_bench.validate import validate

    failed = False
    with EmbeddedEngine(options.pg_bin) as engine:
        bench = Bench(engine)
        for schema in (options.schema,) if options.schema else schemas():
            begun = time.perf_counter()
            problems = validate(bench, schema)
            counts = Counter(variant.kind for variant in variants(schema=schema))
            shown = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
            print(f"{schema}: {shown}; {len(problems)} problems", end=" ")
            print(f"({time.perf_counter() - begun:.1f} s)")
            for problem in problems:
                print(f"  {problem}")
            failed = failed or bool(problems)
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
