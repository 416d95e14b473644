"""Run ``harmonia verify`` on every variant, as CI would, and count what it says.

A leak counts as detected when the exit code is 5, an over-restriction when it is 3 or 5, and
only if a finding is there that the clean schema does not have and that names the patched object
(for a helper that no client can name: any new finding). A harmless refactoring must exit 0.

With ``--model`` the intent comes from a ``harmonia.toml`` that ``harmonia verify --init`` wrote on
the clean schema, as where a project commits it once; nobody corrects a word of it here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from harmonia_py.engines import Database
from harmonia_py.engines.embedded import EmbeddedEngine
from isolation_bench import database, variants
from isolation_bench.database import Bench
from isolation_bench.result import Result, markdown, ratio, save, spread
from isolation_bench.variants import Variant

TIMEOUT = 180.0
ENTRY = "from harmonia_cli.main import main; main()"
CLIENT_SCHEMAS = ("public", "storage", "realtime")
PLAIN, COMMITTED = "harmonia", "harmonia, committed model"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one call of ``harmonia verify`` answered."""

    exit_code: int
    seconds: float
    findings: tuple[Mapping[str, Any], ...]
    errors: tuple[Mapping[str, Any], ...]
    story: str

    @property
    def ids(self) -> frozenset[str]:
        """The stable ids of the findings."""
        return frozenset(str(finding["id"]) for finding in self.findings)

    def titles(self) -> str:
        """Return the findings and errors in one line, for a person."""
        said = [
            f"{finding.get('rule')}: {finding.get('title')}"
            for finding in (*self.findings, *self.errors)
        ]
        return "; ".join(said) or self.story


def call(target: Database, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run ``harmonia verify --output json`` on ``target`` in the working directory ``folder``."""
    parts = conninfo_to_dict(target.owner_dsn)
    # A password never goes into an argument: other processes can read those.
    environment = {**os.environ, "PGPASSWORD": str(parts.pop("password", "")), "NO_COLOR": "1"}
    url = "postgresql://{user}@{host}:{port}/{dbname}?sslmode=disable".format(**parts)
    return subprocess.run(
        [sys.executable, "-c", ENTRY, "verify", "--db-url", url, "--output", "json", *more],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def commit(target: Database, folder: Path) -> None:
    """Write ``harmonia.toml`` into ``folder`` as ``verify --init`` does on a clean schema."""
    done = call(target, folder, "--init")
    if done.returncode:
        raise RuntimeError(f"verify --init failed: {(done.stdout + done.stderr)[-400:]}")


def verify(target: Database, folder: Path) -> Verdict:
    """Judge ``target``; a ``harmonia.toml`` in ``folder`` is its model."""
    begun = time.perf_counter()
    try:
        done = call(target, folder)
    except subprocess.TimeoutExpired:
        return Verdict(-1, TIMEOUT, (), (), f"no answer within {TIMEOUT:.0f} s")
    seconds = time.perf_counter() - begun
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        # Silence is not an answer, whatever the exit code.
        story = f"no JSON, exit {done.returncode}: {(done.stdout + done.stderr)[-400:]}"
        return Verdict(-1, seconds, (), (), story)
    data = answer.get("data") or {}
    story = json.dumps(answer.get("error")) if answer.get("error") else ""
    return Verdict(
        done.returncode,
        seconds,
        tuple(data.get("findings", ())),
        tuple(data.get("errors", ())),
        story,
    )


def judge(variant: Variant, clean: Verdict, patched: Verdict, tool: str = PLAIN) -> Result:
    """Compare the verdict on a variant with the one on its clean schema."""
    fresh = [finding for finding in patched.findings if finding["id"] not in clean.ids]
    schema, _, name = variant.object.partition(".")
    told = json.dumps(fresh)
    about = bool(fresh) and (schema not in CLIENT_SCHEMAS or name in told)
    wanted = {"leaks": (5,), "restrictions": (3, 5), "harmless": ()}[variant.kind]
    if variant.kind == "harmless":
        signalled = bool(fresh) or patched.exit_code not in (0, clean.exit_code)
    else:
        signalled = about and patched.exit_code in wanted
    return Result(
        tool,
        variant.schema,
        variant.kind,
        variant.name,
        variant.channel,
        signalled,
        patched.exit_code != 0 and clean.exit_code == 0,
        len(fresh),
        patched.seconds,
        patched.exit_code,
        "; ".join(f"{f.get('rule')}: {f.get('title')}" for f in fresh) or patched.story,
    )


def clean_result(schema: str, verdict: Verdict, tool: str = PLAIN) -> Result:
    """Return the result of the clean schema: any finding there is a false alarm."""
    return Result(
        tool,
        schema,
        "clean",
        "clean",
        "",
        verdict.exit_code != 0,
        verdict.exit_code != 0,
        len(verdict.findings),
        verdict.seconds,
        verdict.exit_code,
        verdict.titles(),
    )


def measure_schema(
    bench: Bench, schema: str, only: Sequence[str], jobs: int, *, model: bool = False
) -> list[Result]:
    """Measure one schema: clean, then every variant whose id contains one of ``only`` (or all)."""
    tool = COMMITTED if model else PLAIN
    with tempfile.TemporaryDirectory() as empty:
        # Never in the schema's own folder: a file left there would be taken for its model.
        folder = Path(empty)
        with bench.clone(schema) as target:
            if model:
                commit(target, folder)
            clean = verify(target, folder)

        def one(variant: Variant) -> Result:
            with bench.clone(schema, variant) as target:
                return judge(variant, clean, verify(target, folder), tool)

        chosen = list(variants.variants(schema=schema, only=only))
        with ThreadPoolExecutor(jobs) as pool:
            return [clean_result(schema, clean, tool), *pool.map(one, chosen)]


def measure_broken(bench: Bench) -> list[Result]:
    """Measure the schemas that cannot be seeded: the answer must not be "safe"."""
    results = []
    for folder in sorted(variants.BROKEN.iterdir()):
        target = database.build(bench.engine, folder, f"broken_{folder.name}")
        verdict = verify(target, folder)
        bench.engine.drop_database(target.name)
        unseeded = "team_users" if folder.name.startswith("membership") else "vault"
        said = json.dumps([*verdict.findings, *verdict.errors])
        refused = verdict.exit_code in (1, 3, 5) and unseeded in said
        results.append(
            Result(
                "harmonia",
                "broken_seeding",
                "broken",
                folder.name,
                "",
                refused,
                verdict.exit_code != 0,
                len(verdict.findings),
                verdict.seconds,
                verdict.exit_code,
                verdict.titles(),
            )
        )
    return results


def table(results: Sequence[Result]) -> str:
    """Return the summary, one line per schema."""

    def row(name: str, some: Sequence[Result]) -> list[object]:
        kinds = {
            kind: [r for r in some if r.kind == kind]
            for kind in ("clean", "leaks", "restrictions", "harmless")
        }
        return [
            name,
            sum(r.findings for r in kinds["clean"]),
            ratio(kinds["leaks"], lambda r: r.signalled),
            ratio(kinds["restrictions"], lambda r: r.signalled),
            ratio(kinds["harmless"], lambda r: r.signalled),
            spread([float(r.findings) for r in kinds["leaks"] if r.signalled]),
            spread([r.seconds for r in some]),
        ]

    names = sorted({r.schema for r in results if r.kind != "broken"})
    rows = [row(name, [r for r in results if r.schema == name]) for name in names]
    rows.append(row("all", [r for r in results if r.kind != "broken"]))
    text = markdown(
        [
            "schema",
            "findings on clean",
            "leaks detected",
            "over-restrictions detected",
            "false alarms on harmless",
            "new findings per detected leak, median (max)",
            "seconds per run, median (max)",
        ],
        rows,
    )
    broken = [r for r in results if r.kind == "broken"]
    if broken:
        refused = ratio(broken, lambda r: r.signalled)
        text += f"\nSchemas that cannot be seeded and are not called safe: {refused}.\n"
    return text


def channels(results: Iterable[Result]) -> str:
    """Return detection per channel."""
    leaks = [r for r in results if r.kind == "leaks"]
    names = sorted({r.channel for r in leaks})
    return markdown(
        ["channel", "leaks detected"],
        [[n, ratio([r for r in leaks if r.channel == n], lambda r: r.signalled)] for n in names],
    )


def run(options: argparse.Namespace) -> int:
    """Measure, print the tables, and return 3 unless everything was as it should be."""
    results: list[Result] = []
    with EmbeddedEngine(options.pg_bin) as engine:
        bench = Bench(engine)
        chosen = (options.schema,) if options.schema else variants.schemas()
        for schema in () if options.broken_only else chosen:
            results += measure_schema(
                bench, schema, options.only, options.jobs, model=options.model
            )
            print(f"{schema} measured", file=sys.stderr)
        if not options.schema and not options.only and not options.model:
            results += measure_broken(bench)
    print(table(results))
    print(channels(results))
    wrong = [
        r for r in results if r.signalled is (r.kind in ("clean", "harmless")) or r.exit_code < 0
    ]
    for result in wrong:
        verb = {"clean": "false alarm", "harmless": "false alarm"}.get(result.kind, "missed")
        print(f"{verb}: {result.id} ({result.channel}), exit {result.exit_code}: {result.detail}")
    if options.json:
        save(results, Path(options.json))
    return 3 if wrong else 0
