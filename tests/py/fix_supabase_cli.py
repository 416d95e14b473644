"""The real Supabase CLI, pinned, for tests that compare Harmonia with it.

``HARMONIA_SUPABASE_CLI`` names a binary; otherwise npm installs the pinned version once into
``.harmonia/tools``. It runs with a home of its own, no telemetry and no Docker.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fix_npm import missing, npm_package

from harmonia_py import dsn
from harmonia_py.engines import Database

VERSION = "3.1.0"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class SupabaseCli:
    """Runs the CLI in one project folder."""

    binary: Path
    home: Path

    def start(self, project: Path, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; its stdout will be one JSON object."""
        environment = {
            **{key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ},
            "HOME": str(self.home),
            "SUPABASE_TELEMETRY_DISABLED": "1",
            "DO_NOT_TRACK": "1",
            "DOCKER_HOST": "tcp://127.0.0.1:1",
        }
        return subprocess.Popen(
            [str(self.binary), *arguments, "--workdir", str(project), "--output-format", "json"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, project: Path, *arguments: str, fails: bool = False) -> dict[str, Any]:
        """Return the JSON a command prints; its exit code must be as expected."""
        process = self.start(project, *arguments)
        out, err = process.communicate(timeout=120)
        assert (process.returncode != 0) == fails, f"{arguments[:2]}: {out}\n{err}"
        result: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
        return result

    def push(self, project: Path, database: Database) -> dict[str, Any]:
        """Apply every pending migration and the seed."""
        return self.run(project, "db", "push", "--remote", url(database), "--include-seed", "--yes")


def url(database: Database) -> str:
    """Return the owner's URL in the form the CLI reads."""
    values = dsn.parse(database.owner_dsn)
    password = quote(values.get("password", ""), safe="")
    return (
        f"postgres://{values['user']}:{password}@{values['host']}:{values['port']}"
        f"/{values['dbname']}?sslmode=disable"
    )


@pytest.fixture(scope="session")
def supabase_cli(tmp_path_factory: pytest.TempPathFactory) -> SupabaseCli:
    """The pinned CLI. Its absence fails the run in CI and skips elsewhere."""
    binary = _find()
    if binary is None:
        missing("no Supabase CLI: install npm, or set HARMONIA_SUPABASE_CLI")
    return SupabaseCli(binary, tmp_path_factory.mktemp("home"))


@pytest.fixture
def project_copy(tmp_path: Path) -> Path:
    """A copy of this project's supabase folder, which the CLI may write beside."""
    target = tmp_path / "a project"
    shutil.copytree(ROOT / "supabase", target / "supabase")
    return target


def _find() -> Path | None:
    named = os.environ.get("HARMONIA_SUPABASE_CLI")
    if named:
        return Path(named)
    modules = npm_package(f"supabase-{VERSION}", "supabase", VERSION)
    binary = modules / ".bin" / "supabase" if modules else None
    return binary if binary and binary.exists() else None
