"""Two runs on the same project say the same, word for word: a verdict is no matter of luck.

Ids that are made up, the order of sets and of rows, and which of two connections was faster must
not show. Only the clock does.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fix_cli import harmonia
from isolation_idioms import BASE, LEAKY, build

from harmonia_py.engines import Database

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+\d\d(:?\d\d)?|Z)?")


def told(database: Database, folder: Path, seed: str) -> str:
    done = harmonia(
        *("verify", "--db-url", database.owner_dsn, "--output", "json"),
        env={"PYTHONHASHSEED": seed},
        cwd=folder,
        code=5,
    )
    data = json.loads(done.stdout)["data"]
    assert data["findings"]
    kept = {k: v for k, v in data.items() if k not in ("seconds", "timings")}
    return _TIME.sub("TIME", json.dumps(kept, indent=1))


@pytest.mark.parametrize("name", ["a cut id", "status forgotten", "user metadata"])
def test_two_runs_say_the_same(plain_database: Database, tmp_path: Path, name: str) -> None:
    with plain_database.connect() as conn:
        conn.execute(BASE)
        build(conn, "notes", LEAKY[name])
    assert told(plain_database, tmp_path, "1") == told(plain_database, tmp_path, "2")
