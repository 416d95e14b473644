"""PostgREST from a container image serves as the binary does, and leaves nothing behind."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fix_cli import answer

from harmonia_py import tokens
from harmonia_py.engines import Database
from harmonia_py.engines.server import free_port
from harmonia_py.errors import ToolNotFound
from harmonia_py.postgrest import PostgREST, program

pytestmark = pytest.mark.container

ROOT = Path(__file__).resolve().parents[3]
IMAGE = "harmonia/postgrest:test"


def docker(*arguments: str, data: bytes | None = None) -> str:
    done = subprocess.run(
        ["docker", *arguments], input=data, capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode()


def containers() -> list[str]:
    return docker("ps", "--all", "--quiet", "--filter", f"ancestor={IMAGE}").split()


@pytest.fixture(scope="module")
def image(postgrest_binary: Path) -> Iterator[str]:
    """An image of nothing but the binary, which is static; none has to be pulled."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        content = postgrest_binary.read_bytes()
        entry = tarfile.TarInfo("bin/postgrest")
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, io.BytesIO(content))
    start = 'ENTRYPOINT ["/bin/postgrest"]'
    docker("import", "--change", start, "-", IMAGE, data=packed.getvalue())
    yield IMAGE
    docker("image", "rm", "--force", IMAGE)


def test_it_serves_and_is_removed(
    image: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARMONIA_POSTGREST_IMAGE", image)
    secret = tokens.new_secret()
    with PostgREST(database.dsn_as("authenticator"), secret=secret) as api:
        assert len(containers()) == 1
        shown = docker("top", containers()[0], "-o", "pid,args")
        assert "postgres" in shown
        assert database.dsn_as("authenticator") not in shown
        assert httpx.get(f"{api.url}/permissions?limit=1").status_code == 401
        claims = {"iss": tokens.ISSUER, "role": "service_role", "exp": time.time() + 60}
        token = tokens.sign(claims, secret)
        answer = httpx.get(
            f"{api.url}/permissions?limit=1", headers={"authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 200, answer.text
    assert containers() == []


def test_an_image_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMONIA_POSTGREST_IMAGE", "harmonia.invalid/postgrest:none")
    with pytest.raises(ToolNotFound, match="names harmonia"):
        program.find()


def test_a_binary_by_name_is_never_replaced(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "DEFAULT_IMAGE", image)
    monkeypatch.delenv("HARMONIA_POSTGREST_IMAGE", raising=False)
    monkeypatch.setenv("HARMONIA_POSTGREST", "/nowhere/postgrest")
    with pytest.raises(ToolNotFound, match="HARMONIA_POSTGREST"):
        program.find()
    monkeypatch.delenv("HARMONIA_POSTGREST")
    monkeypatch.setenv("PATH", os.path.dirname(shutil.which("docker") or ""))
    assert program.find(Path("/")) == program.Program(image=image)


def api_of(root: Path, image: str, *arguments: str) -> Any:
    told = answer(*arguments, cwd=root, env={"HARMONIA_POSTGREST_IMAGE": image})
    (api,) = (item for item in told["companions"] if item["name"] == "api")
    return api


def test_up_serves_from_it_and_survives_a_killed_client(image: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "supabase", tmp_path / "supabase")
    try:
        api = api_of(tmp_path, image, "up", "--port", str(free_port()))
        assert api["running"], api
        assert httpx.get(api["url"], timeout=10).status_code < 500
        state = json.loads((tmp_path / ".harmonia" / "api.json").read_text())
        # The client cannot pass on what it does not survive: the container stays.
        os.kill(state["pid"], signal.SIGKILL)
        assert len(containers()) == 1
        again = api_of(tmp_path, image, "up")
        assert again["running"], again
        assert len(containers()) == 1
        assert again["url"] == api["url"]
    finally:
        answer("down", "--delete", cwd=tmp_path)
    assert containers() == []
