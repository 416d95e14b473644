"""Run other tools on the same variants: what they signal, and when their gate turns red.

``signalled``: the tool says something on the patched schema that it does not say on the clean
one, whatever its exit code. ``gate``: the exit code is red when patched and green when clean; a
tool that is already red on correct code cannot guard anything.

The whole comparison is more than a thousand runs. With ``--json`` each result is kept as soon as
it is there, and a second call runs only what is missing; ``--minutes`` ends a call in time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harmonia_py.engines.embedded import EmbeddedEngine
from isolation_bench import peer_tools, variants
from isolation_bench.database import Bench
from isolation_bench.peer_tools import TOOLS, Answer, Peers, Target
from isolation_bench.result import Result, digest, load, markdown, ratio, save, spread
from isolation_bench.variants import Variant

HELPER_SCHEMAS = {"fleet": "internal", "studio": "app", "salesroom": ""}
SAVE_EVERY = 5.0  # seconds


def _schemas_of(schema: str) -> tuple[str, ...]:
    helper = HELPER_SCHEMAS.get(schema, "private")
    return tuple(filter(None, ("public", helper, "storage", "realtime")))


@dataclass(slots=True)
class Ledger:
    """The results so far: read from ``path`` if it exists, written there as they come."""

    path: Path | None
    deadline: float
    left: int = 0
    _results: dict[tuple[str, str], Result] = field(default_factory=dict)
    _saved: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Read what an earlier call left."""
        if self.path and self.path.exists():
            self._results = {(r.tool, r.id): r for r in load(self.path)}

    def has(self, tool: str, what: str, mark: str) -> bool:
        """Tell whether this very run was made before."""
        known = self._results.get((tool, what))
        return known is not None and known.digest == mark

    def is_late(self) -> bool:
        """Tell whether no new run may begin; count the one that asks."""
        late = time.monotonic() > self.deadline
        if late:
            with self._lock:
                self.left += 1
        return late

    def add(self, result: Result) -> None:
        """Keep a result, in the file too, at most every few seconds."""
        with self._lock:
            self._results[result.tool, result.id] = result
            if time.monotonic() - self._saved > SAVE_EVERY:
                self._write()

    def close(self) -> None:
        """Write what is not in the file yet."""
        with self._lock:
            self._write()

    def results(self) -> list[Result]:
        """Return every result, tool by tool in the order of ``TOOLS``."""
        order = list(TOOLS)
        return sorted(self._results.values(), key=lambda r: (order.index(r.tool), r.id))

    def _write(self) -> None:
        self._saved = time.monotonic()
        if self.path:
            save(list(self._results.values()), self.path)


def _result(
    tool: str, variant: Variant, clean: Answer, answer: Answer, seconds: float, mark: str
) -> Result:
    fresh = answer.findings - clean.findings
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
        mark,
    )


@dataclass(slots=True)
class Comparison:
    """All tools on one schema."""

    bench: Bench
    peers: Peers
    schema: str
    parent: Path
    ledger: Ledger

    def mark(self, tool: str, patch: str = "") -> str:
        """Return what a result stands for: the tool's version, the clean project, the patch."""
        files = variants.migrations(variants.SCHEMAS / self.schema)
        return digest(peer_tools.requirement(tool), *(f.read_text() for f in files), patch)

    @contextmanager
    def target(self, variant: Variant | None = None) -> Iterator[Target]:
        """Yield a database of its own and a folder that is removed again."""
        with (
            self.bench.clone(self.schema, variant) as database,
            peer_tools.scratch(self.parent, _schemas_of(self.schema)) as folder,
        ):
            yield Target(database, self.parent / f"{self.schema}.json", folder)

    def ask(self, tool: str, variant: Variant | None = None) -> tuple[Answer, float]:
        """Run one tool once."""
        with self.target(variant) as target:
            begun = time.perf_counter()
            answer = TOOLS[tool](self.peers, target)
            return answer, time.perf_counter() - begun

    def run(self, tools: Sequence[str], chosen: Sequence[Variant], jobs: int) -> None:
        """Run every tool: on the clean schema, then on each variant that has no result yet."""
        missing = {
            tool: [v for v in chosen if not self.ledger.has(tool, v.id, self.mark(tool, v.patch))]
            for tool in tools
        }
        if not any(missing.values()):
            return
        with self.target() as target:
            peer_tools.take_snapshot(self.peers, target)
        with ThreadPoolExecutor(jobs) as pool:
            for tool in filter(missing.get, tools):
                if self.ledger.is_late():
                    continue
                clean = self._clean(tool)
                list(pool.map(lambda v, t=tool, c=clean: self._one(t, c, v), missing[tool]))
                print(f"{self.schema}: {tool} compared", file=sys.stderr)

    def _clean(self, tool: str) -> Answer:
        answer, seconds = self.ask(tool)
        self.ledger.add(
            Result(
                tool, self.schema, "clean", "clean", "", bool(answer.findings), answer.red,
                len(answer.findings), seconds, int(answer.red), answer.trouble[:200],
                self.mark(tool),
            )
        )  # fmt: skip
        return answer

    def _one(self, tool: str, clean: Answer, variant: Variant) -> None:
        if self.ledger.is_late():
            return
        answer, seconds = self.ask(tool, variant)
        mark = self.mark(tool, variant.patch)
        self.ledger.add(_result(tool, variant, clean, answer, seconds, mark))


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
        own = tool.startswith("harmonia")
        if own:
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
                0 if own else sum(bool(r.detail) for r in mine),
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
            "runs that failed",
        ],
        rows,
    )


def with_others(text: str, page: str) -> str:
    """Add to a table the lines of the tools that were not run again, as the page has them."""
    lines = text.splitlines()
    known = {line.split("|")[1].strip() for line in lines}
    before = page.partition(lines[0])[2].partition("\n\n")[0].splitlines()
    kept = [
        line for line in before if line.startswith("|") and line.split("|")[1].strip() not in known
    ]
    return "\n".join([*lines, *kept]) + "\n"


def run(options: argparse.Namespace) -> int:
    """Install the peers if needed, run what is missing, print the table."""
    limit = 60.0 * options.minutes if options.minutes else float("inf")
    ledger = Ledger(Path(options.json) if options.json else None, time.monotonic() + limit)
    peers = Peers(Path(options.home))
    peers.install()
    chosen = (options.schema,) if options.schema else variants.schemas()
    with (
        tempfile.TemporaryDirectory(prefix="peers-") as parent,
        EmbeddedEngine(options.pg_bin) as engine,
    ):
        bench = Bench(engine)
        try:
            for schema in chosen:
                wanted = list(variants.variants(schema=schema, only=options.only))
                comparison = Comparison(bench, peers, schema, Path(parent), ledger)
                comparison.run(peer_tools.names(options.tool), wanted, options.jobs)
        finally:
            ledger.close()
    print(table(ledger.results()))
    for result in ledger.results():
        if result.detail:
            print(f"trouble: {result.tool} on {result.id}: {result.detail!r}", file=sys.stderr)
    if ledger.left:
        print(f"time is up, {ledger.left} runs or tools not begun: call again", file=sys.stderr)
        return 4
    return 0
