"""PostgREST as the companion of the development database: it starts and stops with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from harmonia_py import tokens
from harmonia_py.engines.server import HOST, free_port
from harmonia_py.errors import CheckFailed, ServerStartFailed, ToolNotFound
from harmonia_py.postgrest import program as programs
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
    """The API of one project. ``pid`` is 0 while it is stopped.

    ``started`` is when the process began: a process id may be given to another program.
    ``container`` is the name of the container it runs in, if it does. ``directory`` is where this
    was written: in a copy of it the process is another project's.
    """

    port: int
    admin_port: int
    pid: int
    started: str
    secret: str = field(repr=False)
    container: str = ""
    directory: str = ""

    @property
    def running(self) -> bool:
        """Whether the process is there and is the one that was started."""
        return self.pid > 0 and self.started != "" and _started(self.pid) == self.started

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
        found = DevelopmentApi(**json.loads((directory / STATE).read_text()))
    except (OSError, ValueError, TypeError):
        raise CheckFailed("this project has no API yet", hint="harmonia up") from None
    if found.directory != str(directory):
        return replace(found, pid=0, started="", container="")
    return found


class PostgrestCompanion:
    """Runs PostgREST beside the development database, when a program is found."""

    def start(self, development: Development) -> None:
        """Start it unless it runs. Without a program nothing happens: see :meth:`describe`."""
        try:
            before = read(development.directory)
        except CheckFailed:
            before = None
        if before is not None and before.running:
            if ready(before.admin_port):
                return
            # It lost its database; a new one would not get its port.
            self.stop(development)
        try:
            found = programs.find(Path(development.root))
        except ToolNotFound:
            return
        if before is not None:
            # One whose client was killed would hold the port.
            programs.remove_container(before.container)
        port = before.port if before is not None else DEFAULT_PORT
        api = DevelopmentApi(
            port if _is_free(port) else free_port(),
            free_port(),
            0,
            "",
            before.secret if before is not None else tokens.new_secret(),
            f"harmonia-api-{token_hex(6)}" if found.image else "",
        )
        settings = environment(
            development.dsn_as("authenticator"),
            secret=api.secret,
            port=api.port,
            admin_port=api.admin_port,
        )
        with (development.directory / LOG).open("wb") as log:
            process = subprocess.Popen(
                found.arguments(settings, api.container),
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        running = {"pid": process.pid, "started": _started(process.pid)}
        _write(development.directory, DevelopmentApi(**{**asdict(api), **running}))
        deadline = time.monotonic() + START_TIMEOUT
        while not ready(api.admin_port):
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop(development)
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
        if api.running:
            os.kill(api.pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_TIMEOUT
            while api.running:
                if time.monotonic() > deadline:
                    os.kill(api.pid, signal.SIGKILL)
                time.sleep(0.05)
        programs.remove_container(api.container)
        stopped = {"pid": 0, "started": "", "container": ""}
        _write(development.directory, DevelopmentApi(**{**asdict(api), **stopped}))

    def describe(self, development: Development) -> dict[str, object]:
        """Return address and anon key, or why there is no API and what to do."""
        try:
            api = read(development.directory)
        except CheckFailed:
            api = None
        if api is None or not api.running:
            return {"name": "api", "running": False, **_why_not(development)}
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


def _why_not(development: Development) -> dict[str, object]:
    try:
        programs.find(Path(development.root))
    except ToolNotFound as error:
        return {"reason": str(error), "hint": error.hint}
    return {"reason": f"it is stopped (see {development.directory / LOG})", "hint": "harmonia up"}


def _started(pid: int) -> str:
    """Return when a process began, or nothing when there is none."""
    try:
        # In ticks since the machine began: `ps` makes a time of day of it, which may be set.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        return "" if state == "Z" else fields[18]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
    state, _, began = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.partition(" ")
    return "" if state.startswith("Z") else began.strip()


def _write(directory: Path, api: DevelopmentApi) -> None:
    path = directory / STATE
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(replace(api, directory=str(directory)))))
