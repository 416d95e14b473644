"""One running PostgREST, which never outlives its parent."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from harmonia_py.engines.server import HOST, WATCHDOG, free_port
from harmonia_py.errors import ServerStartFailed
from harmonia_py.postgrest import program as programs

__all__ = ["PRE_REQUEST", "PostgREST", "environment", "ready"]

PRE_REQUEST = "private.pre_request"
START_TIMEOUT = 20.0
STOP_TIMEOUT = 10.0
MAX_ROWS = 1000


def environment(
    dsn: str,
    *,
    secret: str,
    port: int,
    admin_port: int,
    pre_request: str | None = PRE_REQUEST,
) -> dict[str, str]:
    """Return the settings of a PostgREST over one database, as environment variables."""
    return {
        "PGRST_DB_URI": dsn,
        "PGRST_JWT_SECRET": secret,
        "PGRST_DB_SCHEMAS": "public",
        "PGRST_DB_EXTRA_SEARCH_PATH": "public, extensions",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_DB_MAX_ROWS": str(MAX_ROWS),
        "PGRST_DB_PRE_REQUEST": pre_request or "",
        # What it is told here counts, not what an older migration left in the database.
        "PGRST_DB_CONFIG": "false",
        "PGRST_SERVER_HOST": HOST,
        "PGRST_SERVER_PORT": str(port),
        "PGRST_ADMIN_SERVER_PORT": str(admin_port),
        "PGRST_LOG_LEVEL": "error",
    }


def ready(admin_port: int) -> bool:
    """Return whether a PostgREST has its connections and schema cache."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{admin_port}/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class PostgREST:
    """Serves the schema ``public`` of one database over HTTP on the loopback interface.

    ``dsn`` is that of the role ``authenticator``. ``secret`` is an HS256 secret, or a JWK or JWKS
    as JSON text for RS256 and ES256. ``pre_request`` is for measurements only: without the guard
    nothing is limited. Without a ``binary`` :func:`harmonia_py.postgrest.program.find` decides what
    runs. Use as a context manager, or call :meth:`stop`.
    """

    def __init__(
        self,
        dsn: str,
        *,
        secret: str,
        port: int = 0,
        binary: Path | None = None,
        pre_request: str | None = PRE_REQUEST,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Start it and wait until its schema cache is loaded.

        Raises :class:`ServerStartFailed` with its last words, ``ToolNotFound`` without a program.
        """
        self.port = port or free_port()
        self.admin_port = free_port()
        self._program = programs.Program(path=binary) if binary else programs.find()
        self._root = Path(tempfile.mkdtemp(prefix="harmonia-postgrest-"))
        self._log = self._root / "log"
        self._container = self._root.name if self._program.image else ""
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        own = environment(
            dsn,
            secret=secret,
            port=self.port,
            admin_port=self.admin_port,
            pre_request=pre_request,
        )
        try:
            self._start({**own, **(settings or {})})
        except BaseException:
            self.stop()
            raise
        atexit.register(self.stop)

    def __enter__(self) -> PostgREST:
        """Return the running server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def url(self) -> str:
        """Its base address, without a trailing slash."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id, or ``None`` when it is not running."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def log(self) -> str:
        """Return what it has written so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def stop(self) -> None:
        """Stop it and delete its files. Harmless when repeated."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        watchdog, self._watchdog = self._watchdog, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_TIMEOUT)
        if watchdog is not None:
            watchdog.kill()
            watchdog.wait(STOP_TIMEOUT)
            if watchdog.stdin is not None:
                watchdog.stdin.close()
        programs.remove_container(self._container)
        shutil.rmtree(self._root, ignore_errors=True)

    def _start(self, environment: Mapping[str, str]) -> None:
        # The database URL holds a password: it travels in the environment, never in argv.
        with self._log.open("wb") as sink:
            self._process = subprocess.Popen(
                self._program.arguments(environment, self._container),
                env={**os.environ, **environment},
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._watchdog = subprocess.Popen(
            ["sh", "-c", WATCHDOG, "harmonia-watchdog", str(self._process.pid), str(self._root)],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                lines = [line for line in self.log().splitlines() if line.strip()]
                last = lines[-1].partition(": ")[2] if lines else "no message"
                raise ServerStartFailed(f"PostgREST did not start: {last}")
            if ready(self.admin_port):
                return
            time.sleep(0.05)
        raise ServerStartFailed(f"PostgREST was not ready after {START_TIMEOUT:.0f} s")
