<<<<<<< HEAD
"""Every file of tests/sql, on a fresh copy with pgTAP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fix_pgtap import TapFailure, judge, run_psql

from harmonia_py.engines import Database


@pytest.mark.pgtap
def test_sql(
    sql_test: Path, database: Database, record_property: Callable[[str, object], None]
) -> None:
    with database.connect_admin() as conn:
        conn.execute("create extension if not exists pgtap with schema extensions")
    record_property("assertions", judge(run_psql(database, sql_test)))


@pytest.mark.parametrize(
    "output",
    [
        "",
        "1..2\nok 1 - a\n",
        "1..2\nok 1 - a\nnot ok 2 - b\n",
        "1..0\n",
        "ok 1 - a\n",
        "1..1\nok 1 - a\nok 2 - b\n",
    ],
)
def test_a_file_that_does_not_do_what_it_planned_fails(output: str) -> None:
    with pytest.raises(TapFailure):
        judge(output)


def test_a_file_that_does_what_it_planned_passes() -> None:
    assert judge("1..2\nok 1 - a\nok 2 - b\n") == 2
=======
"""Every file of tests/sql passes in pgTAP, and a failing one is noticed.

pgTAP is an extension of the server, so these always run on Debian's PostgreSQL 15, whatever
``--engine`` says: the packages ``postgresql-15`` and ``postgresql-15-pgtap``.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fix_database import DEBIAN_15, ROOT, apply_project
from psycopg.conninfo import conninfo_to_dict

from harmonia_py.engines import Database
from harmonia_py.engines.embedded import EmbeddedEngine

FILES = sorted((ROOT / "tests" / "sql").glob("*.sql"))
PGTAP = Path("/usr/share/postgresql/15/extension/pgtap.control")


@dataclass(frozen=True)
class Tap:
    """What a test file printed."""

    passed: int
    failed: int
    planned: int | None
    text: str


@pytest.fixture(scope="module")
def debian_15() -> Iterator[Database]:
    """Harmonia complete, with the seed. The files roll back, so one database serves them all."""
    if not PGTAP.exists():
        pytest.fail("pgTAP is not installed: apt-get install postgresql-15-pgtap")
    with EmbeddedEngine(DEBIAN_15) as engine, engine.database() as database:
        apply_project(database)
        yield database


def run(database: Database, path: Path) -> Tap:
    """Run one file as ``postgres``, as `supabase test db` and pg_prove do."""
    at = conninfo_to_dict(database.owner_dsn)
    done = subprocess.run(
        [str(DEBIAN_15 / "psql"), "--no-psqlrc", "--quiet", "--file", str(path)],
        env={
            **os.environ,
            "PGHOST": str(at["host"]),
            "PGPORT": str(at["port"]),
            "PGUSER": str(at["user"]),
            "PGPASSWORD": str(at["password"]),
            "PGDATABASE": str(at["dbname"]),
            "PGOPTIONS": "-c client_min_messages=warning",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    plan = re.search(r"^1\.\.(\d+)$", done.stdout, re.MULTILINE)
    return Tap(
        passed=len(re.findall(r"^ok \d", done.stdout, re.MULTILINE)),
        failed=len(re.findall(r"^not ok \d", done.stdout, re.MULTILINE)),
        planned=int(plan[1]) if plan else None,
        text=done.stdout + done.stderr,
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_passes(debian_15: Database, path: Path) -> None:
    tap = run(debian_15, path)
    # A file that stops half-way prints no plan: plans are written by finish().
    assert tap.planned is not None, tap.text
    assert tap.failed == 0, tap.text
    assert tap.passed == tap.planned > 0, tap.text


@pytest.mark.parametrize(
    ("body", "failed", "planned"),
    [
        ("select ok(true); select * from finish();", 0, 1),
        ("select ok(false); select * from finish();", 1, 1),
        ("select ok(true); select 1 / 0; select * from finish();", 0, None),
    ],
    ids=["passing", "failing", "stopping"],
)
def test_failure_is_noticed(
    debian_15: Database, tmp_path: Path, body: str, failed: int, planned: int | None
) -> None:
    helpers = ROOT / "tests" / "sql" / "helpers.psql"
    path = tmp_path / "probe.sql"
    path.write_text(f"begin;\n\\i '{helpers}'\nselect no_plan();\n{body}\nrollback;\n")
    tap = run(debian_15, path)
    assert (tap.failed, tap.planned) == (failed, planned), tap.text


def test_there_are_files() -> None:
    assert len(FILES) >= 8
>>>>>>> ca2d9eb (Try the known pitfalls of tenant isolation, each by name, and run pgTAP in the suite)
