"""Small projects of different idioms, and a way to judge a variation of one in a transaction."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from isolation_leaks import prepare

from harmonia_py.engines import Database, Engine
from harmonia_py.isolation import runner
from harmonia_py.isolation.finding import Report
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.proof import Proof, prove

FOLDER = Path(__file__).parent / "isolation_fixtures"
IDIOMS = (
    "helper",
    "memberships_in",
    "claims",
    "owners",
    "teams",
    "profiles",
    "seats",
    "stalls",
    "ready",
)

Judge = Callable[..., Report]

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+\d\d(:?\d\d)?|Z)?")


@pytest.fixture(scope="module")
def prepared(engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    """A database with two tenants, for one policy after another and what it lets out."""
    with engine.database() as database, database.connect() as conn:
        prepare(conn)
        yield conn


@pytest.fixture(scope="session")
def isolation_databases(engine: Engine) -> Iterator[dict[str, Database]]:
    """One database per idiom and an empty one, made once: every test rolls back."""
    made: dict[str, Database] = {}
    try:
        for idiom in (*IDIOMS, "empty"):
            database = engine.create_database(f"idiom_{idiom}")
            made[idiom] = database
            with database.connect() as conn:
                if idiom != "empty":
                    conn.execute((FOLDER / f"{idiom}.sql").read_bytes())
        yield made
    finally:
        for database in made.values():
            engine.drop_database(database.name)


@pytest.fixture
def judge(isolation_databases: dict[str, Database]) -> Judge:
    """Apply a change to an idiom, judge the result, and take the change back.

    With ``proven`` the policies are also put to the solver, and what refutes them is tried.
    """

    def run(
        idiom: str, change: str = "", model: TenancyModel | None = None, *, proven: bool = False
    ) -> Report:
        with isolation_databases[idiom].connect_admin() as conn:
            with conn.transaction(force_rollback=True):
                if change:
                    conn.execute(change.encode())
                with runner.laboratory(conn, model) as lab:
                    proofs = partial(prove, lab.catalog, lab.model) if proven else list[Proof]
                    return runner.judge(lab, proofs=proofs)

    return run


def said(report: dict[str, Any]) -> list[str]:
    """Return the lines of a report (as :meth:`Report.as_dict` gives it) without the clock's."""
    kept = {k: v for k, v in report.items() if k not in ("seconds", "timings")}
    return _TIME.sub("TIME", json.dumps(kept, indent=1)).splitlines()


def differing(one: list[str], other: list[str]) -> str:
    """Return what is in one of two reports only, cut to what a person reads; empty if nothing."""
    lines = difflib.unified_diff(one, other, n=0, lineterm="")
    return "\n".join(line[:400] for line in lines)
