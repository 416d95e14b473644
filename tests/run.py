"""Run every test on every engine that this machine has, and say what ran.

``make test`` calls it. What is missing (PostgreSQL 15, pgTAP, Docker) is said loudly; with
``CI=true`` it is a failure, as is a skipped test. Arguments go to pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin/postgres")
PGTAP = Path("/usr/share/postgresql/15/extension/pgtap.control")
REPORTS = ROOT / ".harmonia" / "test-reports"


@dataclass(frozen=True, slots=True)
class Suite:
    """One pytest run; ``missing`` says why it cannot run here."""

    name: str
    arguments: tuple[str, ...]
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run counted."""

    suite: Suite
    code: int
    ran: int = 0
    skipped: int = 0
    assertions: int = 0
    seconds: float = 0.0


def suites() -> list[Suite]:
    """Return the runs, with what each of them needs."""
    workers = ("-n", str(min(4, 1 + (os.cpu_count() or 1))), "--dist", "loadfile")
    on_15 = ("--engine=debian15",)
    # What asks for no engine has no other outcome on a second one.
    again = (*on_15, "--on-engine-only")
    no_15 = "" if DEBIAN_15.exists() else "PostgreSQL 15 is missing (apt install postgresql-15)"
    no_tap = "" if PGTAP.exists() and shutil.which("psql") else "pgTAP is missing"
    files = list((ROOT / "tests" / "sql").glob("*.sql"))
    plain = "not container and not pgtap"
    return [
        # It is built without ICU; Debian's has it.
        Suite("PostgreSQL of the wheel", ("tests/py", "-m", f"{plain} and not icu", *workers)),
        Suite("PostgreSQL 15", ("tests/py", "-m", plain, *again, *workers), no_15),
        Suite(
            "pgTAP",
            ("tests/py/integration/test_pgtap.py", "-m", "pgtap", *on_15),
            no_15
            or (f"{no_tap} (apt install postgresql-15-pgtap)" if no_tap else "")
            or ("" if files else "there is no file in tests/sql"),
        ),
        Suite(
            "container",
            (
                "tests/py/integration/test_container.py",
                "tests/py/e2e/test_postgrest_container.py",
                "-m",
                "container",
            ),
            no_docker(),
        ),
    ]


def no_docker() -> str:
    """Return why the container tests cannot run, or nothing."""
    if shutil.which("docker") is None:
        return "Docker is missing (apt install docker.io, which root starts)"
    done = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"],
        capture_output=True,
        check=False,
        timeout=30,
    )
    if done.returncode == 0:
        return ""
    # It may run, and answer root and its own group only.
    return "no Docker engine answers (as root: start dockerd; usermod -aG docker USER)"


def run(suite: Suite, extra: list[str]) -> Outcome:
    """Run one suite and count."""
    if suite.missing:
        return Outcome(suite, 0)
    print(f"\n=== {suite.name} ===", flush=True)
    report = REPORTS / f"{suite.name.replace(' ', '-')}.xml"
    report.unlink(missing_ok=True)
    started = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", *suite.arguments, *extra]
    # xunit1 is the report that may hold properties: how many assertions a SQL file made.
    command += [f"--junitxml={report}", "-o", "junit_family=xunit1"]
    # One order of sets in every worker: test names may hold one.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    seconds = time.monotonic() - started
    code = 0 if done.returncode == 5 and extra else done.returncode  # 5: -k matched nothing here
    if not report.exists():
        return Outcome(suite, code, seconds=seconds)
    tree = ElementTree.parse(report).getroot()  # our own file
    cases = list(tree.iter("testcase"))
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    values = [node.get("value", "0") for node in tree.iter("property")]
    assertions = sum(int(value) for value in values if value.isdigit())
    return Outcome(suite, code, len(cases) - skipped, skipped, assertions, seconds)


def main() -> int:
    """Run all suites, print the sums, and return the exit code."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    strict = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
    outcomes = [run(suite, sys.argv[1:]) for suite in suites()]
    print("\n=== what ran ===")
    failed = False
    for outcome in outcomes:
        suite = outcome.suite
        if suite.missing:
            print(f"NOT RUN  {suite.name}: {suite.missing}")
            failed |= strict
            continue
        extra = f", {outcome.assertions} assertions" if outcome.assertions else ""
        skips = f", {outcome.skipped} SKIPPED" if outcome.skipped else ""
        word = "ok      " if outcome.code == 0 else "FAILED  "
        print(f"{word} {suite.name}: {outcome.ran} tests{extra}{skips} in {outcome.seconds:.0f} s")
        failed |= outcome.code != 0 or (strict and outcome.skipped > 0)
    print(f"{sum(outcome.ran for outcome in outcomes)} tests ran")
    if failed and strict:
        print("With CI=true a missing engine and a skipped test are failures.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
