"""Run a pgTAP file through psql and judge what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fix_database import DEBIAN_15, ROOT

from harmonia_py import dsn
from harmonia_py.engines import Database

SQL_TESTS = ROOT / "tests" / "sql"
TIMEOUT = 120


class TapFailure(AssertionError):
    """A pgTAP file failed; the message is its own output."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``sql_test`` one value per file of tests/sql."""
    if "sql_test" in metafunc.fixturenames:
        files = sorted(SQL_TESTS.glob("*.sql"))
        metafunc.parametrize("sql_test", files, ids=[path.stem for path in files])


def run_psql(database: Database, path: Path) -> str:
    """Run a file as ``postgres``, as ``supabase test db`` does, and return what it prints."""
    psql = shutil.which("psql") or str(DEBIAN_15 / "psql")
    values = dsn.parse(database.owner_dsn)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    environment = {**os.environ, "PGPASSWORD": values["password"]}
    environment |= {names[key]: values[key] for key in names}
    done = subprocess.run(
        [psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        raise TapFailure(f"{path.name}: psql exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def judge(output: str) -> int:
    """Return how many assertions passed; raise :class:`TapFailure` unless all planned ones did."""
    plan = re.search(r"^1\.\.(\d+)", output, re.M)
    passed = len(re.findall(r"^ok \d+", output, re.M))
    failed = re.findall(r"^not ok \d+(?!.*# TODO)", output, re.M)
    if plan is None:
        raise TapFailure(f"no plan\n{output}")
    if failed or passed != int(plan[1]) or passed == 0:
        raise TapFailure(f"{passed} of {plan[1]} assertions passed\n{output}")
    return passed
