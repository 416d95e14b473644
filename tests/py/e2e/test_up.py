"""``harmonia up`` serves: the API beside the development database, and tokens for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from fix_cli import answer

from harmonia_py.engines.server import free_port
from harmonia_py.postgrest.companion import DevelopmentApi, read

ROOT = Path(__file__).resolve().parents[3]


class Project:
    """A checkout of one's own, and the command line in it."""

    def __init__(self, root: Path, binary: Path) -> None:
        self.root = root
        self.environment: dict[str, str | None] = {"HARMONIA_POSTGREST": str(binary)}

    def run(self, *arguments: str, code: int = 0) -> Any:
        return answer(*arguments, cwd=self.root, env=self.environment, code=code)


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


def api_of(told: Any) -> Any:
    (api,) = (item for item in told["companions"] if item["name"] == "api")
    return api


def state(project: Project) -> DevelopmentApi:
    return read(project.root / ".harmonia")


def test_what_was_killed_is_started_again_at_its_address(project: Project) -> None:
    url = api_of(project.run("up", "--port", str(free_port())))["url"]
    first = state(project)
    os.kill(first.pid, signal.SIGKILL)
    assert api_of(project.run("status"))["hint"] == "harmonia up"
    assert api_of(project.run("up"))["url"] == url
    second = state(project)
    # The database, too: the API that lost it must neither stay nor keep its port from the next.
    os.kill(project.run("status")["pid"], signal.SIGKILL)
    up = project.run("up")
    assert api_of(up)["url"] == url
    third = state(project)
    assert third == second or not second.running
    assert third.running
    anon = {"authorization": f"Bearer {api_of(up)['anon_key']}"}
    assert httpx.get(f"{url}/organizations", headers=anon).status_code in (401, 403)
    project.run("down")
    assert not any(api.running for api in (first, second, third))


def test_down_leaves_another_program_alone(project: Project) -> None:
    """One that was given the process id since, even another PostgREST."""
    project.run("up", "--port", str(free_port()))
    kept = state(project)
    os.kill(kept.pid, signal.SIGKILL)
    with subprocess.Popen(["sleep", "60"]) as other:
        path = project.root / ".harmonia" / "api.json"
        path.write_text(json.dumps({**asdict(kept), "pid": other.pid}))
        assert not api_of(project.run("status"))["running"]
        project.run("down")
        assert other.poll() is None
        other.kill()


def test_up_says_why_there_is_no_api(project: Project) -> None:
    project.environment["HARMONIA_POSTGREST"] = "/nowhere/postgrest"
    api = api_of(project.run("up", "--port", str(free_port())))
    assert not api["running"]
    assert "/nowhere/postgrest" in api["reason"]
    project.environment["HARMONIA_POSTGREST"] = None
    project.environment["PATH"] = "/usr/bin:/bin"
    assert "npm install" in api_of(project.run("status"))["hint"]


def test_a_taken_port_is_left_alone(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        first = api_of(project.run("up", "--port", str(free_port())))["url"]
        project.run("down")
        path = project.root / ".harmonia" / "api.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "port": port}))
        url = api_of(project.run("up"))["url"]
        assert url != f"http://127.0.0.1:{port}"
        assert httpx.get(url).status_code == 200
    assert first
