"""How long ``harmonia verify`` takes and how much memory, by the number of tables.

``python -m benchmarks.verify [--tables 9 69 300] [--mutate 9] [--pg-bin DIR] [--into PAGE]``

Each row is one run of the whole command in a process of its own: it starts a database, applies the
migrations, probes, proves and stops the server. ``wall`` is what a person waits, ``CPU`` the
processor time of everything it started, the server's included. ``memory`` is the largest sum of the
proportional set sizes (PSS) of all its processes, looked at ten times a second; ``growth`` is
that beside the smallest project of the run. The generated projects have organizations,
memberships, profiles and tables with four policies each, composite keys, checks, a helper with
owner rights, views and functions; Harmonia itself comes last. The command exits with 1 when a run
finds something, because the projects are correct.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import postgres, report

ROOT = Path(__file__).parents[1]
SQL = Path(__file__).parent
FIXED = 3  # organizations, memberships, profiles
EVERY = 10
HEAD = ("project", "tables", "probes", "wall", "CPU", "memory", "growth", "found")
MUTATE_HEAD = ("project", "mutants", "noticed", "share", "equivalent", "wall", "CPU", "memory")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command: what it said, in which time (seconds) and memory (MiB)."""

    said: dict[str, Any]
    code: int
    wall: float
    cpu: float
    memory: float


def project(folder: Path, tables: int) -> Path:
    """Write a project of that many tables and return its supabase folder."""
    migrations = folder / "supabase" / "migrations"
    migrations.mkdir(parents=True)
    (folder / "supabase" / "config.toml").write_text('project_id = "bench"\n')
    parts = [(SQL / "tenancy.sql").read_text()]
    one, extra = ((SQL / f"tenancy_{name}.sql").read_text() for name in ("table", "extra"))
    for number in range(1, tables - FIXED + 1):
        text = one + (extra if number % EVERY == 1 else "")
        # Chains of five: parents are older than their children, as in real projects.
        parent = number - 1 if number % 5 else number
        parts.append(text.replace("{n}", str(number)).replace("{parent}", str(max(parent, 1))))
    (migrations / "20260101000000_tables.sql").write_text("\n".join(parts))
    return folder / "supabase"


def measure(supabase: Path, *options: str) -> Run:
    """Run ``harmonia verify`` on a project and measure the whole tree of its processes."""
    command = [str(Path(sys.executable).with_name("harmonia")), "verify", "--output", "json"]
    command += ["--supabase-dir", str(supabase), *options]
    started = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        peak = 0
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, sum(_pss(child) for child in _tree(process.pid)))
            time.sleep(0.1)
        wall = time.monotonic() - started
        process.returncode = code = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        text, story = out.read(), err.read()
    try:
        said = json.loads(text)
    except ValueError:
        said = {}
    if not said.get("ok"):
        sys.exit(f"{' '.join(command)}: {text.decode()[-2000:]}{story.decode()[-2000:]}")
    return Run(said["data"], code, wall, usage.ru_utime + usage.ru_stime, peak / 1024)


def _tree(root: int) -> Iterator[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:  # it has ended meanwhile
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    todo = [root]
    while todo:
        pid = todo.pop()
        yield pid
        todo += parents.get(pid, ())


def _pss(pid: int) -> int:
    """Return a process's proportional set size in KiB, 0 when it has ended."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        return 0
    return 0


def _projects(folder: Path, sizes: Sequence[int]) -> Iterator[tuple[str, Path]]:
    for size in sizes:
        yield f"generated, {size}", project(folder / str(size), size)
    yield "Harmonia", ROOT / "supabase"


def main() -> int:
    """Measure, print and keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, nargs="+", default=[9, 69, 300], metavar="N")
    parser.add_argument(
        "--mutate", type=int, nargs="*", default=[9], metavar="N", help="sizes to mutate as well"
    )
    postgres.add_option(parser)
    report.add_option(parser)
    options = parser.parse_args()
    if min([*options.tables, *options.mutate]) <= FIXED:
        parser.error(f"a project has more than {FIXED} tables")
    extra = ["--pg-bin", str(options.pg_bin)] if options.pg_bin else []
    wrong = 0
    server = ""
    with tempfile.TemporaryDirectory() as scratch:
        rows = []
        least: float | None = None
        for name, supabase in _projects(Path(scratch) / "plain", options.tables):
            run = measure(supabase, *extra)
            least = run.memory if least is None else least
            found = len(run.said["findings"]) + len(run.said["errors"])
            wrong += found
            server = run.said["engine"]
            rows.append(
                (
                    name,
                    len(run.said["coverage"]),
                    run.said["probes"],
                    f"{run.wall:.1f} s",
                    f"{run.cpu:.1f} s",
                    f"{run.memory:.0f} MiB",
                    f"{run.memory - least:+.0f} MiB",
                    found,
                )
            )
            print(*rows[-1], sep="\t", file=sys.stderr, flush=True)
        mutated = []
        for name, supabase in _projects(Path(scratch) / "mutated", options.mutate):
            run = measure(supabase, "--mutate", *extra)
            said = run.said
            share = 100 * said["killed"] / said["counted"] if said["counted"] else 100.0
            mutated.append(
                (
                    name,
                    said["counted"],
                    said["killed"],
                    f"{share:.1f} %",
                    said["equivalent"],
                    f"{run.wall:.1f} s",
                    f"{run.cpu:.1f} s",
                    f"{run.memory:.0f} MiB",
                )
            )
            print(*mutated[-1], sep="\t", file=sys.stderr, flush=True)
    text = report.made_by(server) + report.table(HEAD, rows)
    text += "\nWith `--mutate`:\n\n" + report.table(MUTATE_HEAD, mutated)
    report.publish("verify", text, options.into)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
