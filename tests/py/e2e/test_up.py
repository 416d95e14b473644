"""``harmonia up`` serves: the API beside the development database, and tokens for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from harmonia_py.engines.server import free_port

ROOT = Path(__file__).resolve().parents[3]
MAIN = "from harmonia_cli.main import main; main()"


class Project:
    """A checkout of one's own, and the command line in it."""

    def __init__(self, root: Path, binary: Path) -> None:
        self.root = root
        self.environment = {**os.environ, "HARMONIA_POSTGREST": str(binary)}
        self.environment.pop("DATABASE_URL", None)

    def run(self, *arguments: str, code: int = 0) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments, "--output", "json"],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        answer = json.loads(done.stdout)
        return answer["data"] if answer["ok"] else answer["error"]


@pytest.fixture
def project(tmp_path: Path, postgrest_binary: Path, request: pytest.FixtureRequest) -> Any:
    if request.config.getoption("--engine") not in {"embedded", "debian15"}:
        pytest.skip("harmonia up is the embedded engine")
    shutil.copytree(ROOT / "supabase", tmp_path / "supabase")
    project = Project(tmp_path, postgrest_binary)
    yield project
    project.run("down", "--delete")


def test_up_serves_and_down_stops(project: Project) -> None:
    project.run("token", "--as", "olga.owner@alder.example", code=3)
    up = project.run("up", "--port", str(free_port()))
    (api,) = (item for item in up["companions"] if item["name"] == "api")
    assert api["running"]
    assert api["url"] in api["snippet"]
    token = project.run("token", "--as", "olga.owner@alder.example", "--organization", "alder")
    headers = {"authorization": f"Bearer {token['token']}"}
    rows = httpx.get(f"{api['url']}/organizations?select=slug", headers=headers).json()
    assert {"slug": "alder"} in rows
    anon = {"authorization": f"Bearer {api['anon_key']}"}
    assert httpx.get(f"{api['url']}/organizations", headers=anon).status_code in (401, 403)
    assert oct((project.root / ".harmonia" / "api.json").stat().st_mode)[-3:] == "600"
    # Again changes nothing; an unknown person is one clear error.
    again = project.run("up")
    assert again["companions"] == up["companions"]
    assert project.run("token", "--as", "x@x.example", code=1)["code"] == "api.not_found"
    project.run("down")
    with pytest.raises(httpx.ConnectError):
        httpx.get(api["url"])
    assert project.run("status", code=3)["code"] == "check.failed"
