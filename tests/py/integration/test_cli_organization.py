"""Every command takes an organization by its short name or its id."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from harmonia_py.engines import Database

MAIN = "from harmonia_cli.main import main; main()"


def harmonia(
    database: Database, *arguments: str, organization: str | None = None, code: int = 0
) -> Any:
    environment = {**os.environ, "DATABASE_URL": database.owner_dsn}
    environment.pop("HARMONIA_ORGANIZATION", None)
    if organization:
        environment["HARMONIA_ORGANIZATION"] = organization
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *arguments, "--output", "json"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    answer = json.loads(done.stdout)
    return answer["data"] if answer["ok"] else answer["error"]


def organizations(database: Database) -> dict[str, str]:
    """Two of them, each with an act on record."""
    with database.connect() as conn:
        rows = conn.execute(
            "insert into public.organizations (name, slug) values ('One', 'one'), ('Two', 'two')"
            " returning slug, id::text"
        ).fetchall()
        for _, id_ in rows:
            conn.execute(
                "insert into public.teams (organization_id, name) values (%s, 'Team')", [id_]
            )
    return dict(rows)


def test_by_short_name_by_id_and_from_the_environment(database: Database) -> None:
    ids = organizations(database)
    by_id = harmonia(database, "audit", "tail", "--organization", ids["one"])
    assert ids["one"] in {event["record_key"] for event in by_id}
    assert harmonia(database, "audit", "tail", "--organization", "one") == by_id
    assert harmonia(database, "audit", "tail", organization="one") == by_id
    two = harmonia(database, "audit", "tail", "--organization", "two", organization="one")
    assert ids["two"] in {event["record_key"] for event in two}
    assert ids["one"] not in {event["record_key"] for event in two}


def test_a_name_that_nobody_has(database: Database) -> None:
    organizations(database)
    error = harmonia(database, "audit", "tail", "--organization", "three", code=1)
    assert error["code"] == "api.not_found"
    assert "three" in error["message"]
    assert "slug" in error["hint"]


def test_a_filter_is_never_taken_from_the_environment(database: Database) -> None:
    """A check of everything that looks at one organization only would be green by accident."""
    organizations(database)
    everything = harmonia(database, "audit", "verify")
    assert harmonia(database, "audit", "verify", organization="one") == everything
    part = harmonia(database, "audit", "verify", "--organization", "one")
    assert part["organizations"] == 1 < everything["organizations"]
