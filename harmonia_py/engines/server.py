"""A throw-away PostgreSQL server: starts in a fraction of a second, never outlives its parent."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from harmonia_py.engines import catalogue, cluster
from harmonia_py.engines.binaries import Binaries
from harmonia_py.engines.osuser import RunAs, give, reachable, run_as
from harmonia_py.errors import ServerStartFailed

__all__ = ["DURABLE", "HOST", "THROWAWAY", "Server", "free_port", "settings_arguments"]

HOST = "127.0.0.1"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0
MEMORY_NEEDED = 6 * 1024**3  # bytes

# Nothing here is worth a disk flush: the data directory is deleted when the server stops.
THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_locks_per_transaction": "512",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "1h",
    "wal_level": "logical",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
}

# What a commit costs in production. Without effect on a data directory in memory.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}

# Runs until its standard input closes, which the kernel does when the parent dies, however it
# dies; then it stops the server and removes its files.
WATCHDOG = """
cat > /dev/null
kill -INT "$1" 2> /dev/null
n=0
while kill -0 "$1" 2> /dev/null && [ "$n" -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
kill -KILL "$1" 2> /dev/null
rm -rf "$2"
"""


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def settings_arguments(settings: Mapping[str, str]) -> list[str]:
    """Return server settings as arguments of ``postgres``."""
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


class Server:
    """One running server in a temporary directory.

    ``password`` opens every login role of the environment over TCP. Use as a context manager, or
    call :meth:`stop`; a watchdog process stops it if this process is killed.
    """

    def __init__(
        self,
        binaries: Binaries,
        settings: Mapping[str, str] | None = None,
        *,
        in_memory: bool = True,
    ) -> None:
        """Start it. Raises :class:`ServerStartFailed` with the server's own last words.

        ``in_memory`` allows a data directory on ``/dev/shm`` when there is room for it.
        """
        self.binaries = binaries
        self.password = secrets.token_urlsafe(18)
        self.user = run_as()
        self.root = _temporary_root(self.user, in_memory=in_memory)
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        try:
            data = self._directory("data")
            self._directory("socket")
            cluster.create(binaries, data, self.user)
            known = self._known(THROWAWAY)
            known |= catalogue.complete(binaries, self._directory("extensions"), self.user)
            self._start({**known, **(settings or {})})
        except BaseException:
            self.stop()
            raise
        atexit.register(self.stop)

    def __enter__(self) -> Server:
        """Return the running server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and delete its files."""
        self.stop()

    @property
    def socket_dir(self) -> Path:
        """The directory of its Unix socket; only root and the server's user may enter."""
        return self.root / "socket"

    @property
    def pid(self) -> int | None:
        """The process id, or ``None`` when it is not running."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def stop(self) -> None:
        """Stop the server (fast, then at once) and delete its files. Harmless when repeated."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        watchdog, self._watchdog = self._watchdog, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
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
        shutil.rmtree(self.root, ignore_errors=True)

    def _directory(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(mode=0o700)
        give(path, self.user)
        return path

    def _known(self, settings: Mapping[str, str]) -> dict[str, str]:
        return {
            name: value
            for name, value in settings.items()
            if name != "io_method" or self.binaries.major >= 18
        }

    def _start(self, settings: Mapping[str, str]) -> None:
        for _ in range(5):
            self.port = free_port()
            if self._start_once(settings):
                self._watch()
                return
        raise ServerStartFailed(f"PostgreSQL {self.binaries.version} found no free port")

    def _start_once(self, settings: Mapping[str, str]) -> bool:
        log = self.root / "log"
        own = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
        }
        command = [self.binaries.path("postgres"), "-D", str(self.root / "data")]
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                [*command, *settings_arguments({**own, **settings})],
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **cluster.options(self.user),  # type: ignore[call-overload]
            )
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._ready():
                return True
            if self._process.poll() is not None:
                words = log.read_text(errors="replace")
                if "Address already in use" in words or "could not bind" in words:
                    return False
                fatal = [line for line in words.splitlines() if "FATAL" in line]
                last = (fatal or words.splitlines() or ["no message"])[-1]
                raise ServerStartFailed(
                    f"PostgreSQL {self.binaries.version} ({self.binaries.bin_dir}) "
                    f"did not start: {last.split('FATAL:')[-1].strip()}"
                )
            time.sleep(0.01)
        raise ServerStartFailed(
            f"PostgreSQL {self.binaries.version} was not ready after {START_TIMEOUT:.0f} s"
        )

    def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            lines = (self.root / "data" / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[7].strip() == "ready"
        return False

    def _watch(self) -> None:
        assert self._process is not None  # noqa: S101 - set by _start_once
        self._watchdog = subprocess.Popen(
            ["sh", "-c", WATCHDOG, "harmonia-watchdog", str(self._process.pid), str(self.root)],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _temporary_root(user: RunAs | None, *, in_memory: bool) -> Path:
    """Make a directory short enough for a socket and reachable for the server's user."""
    bases = [tempfile.gettempdir(), "/tmp", "/var/tmp"]  # noqa: S108 - mkdtemp below
    if in_memory and _roomy(Path("/dev/shm")):  # noqa: S108
        bases.insert(0, "/dev/shm")  # noqa: S108
    for base in dict.fromkeys(bases):
        path = Path(base)
        if (
            len(str(path)) > 60
            or not os.access(path, os.W_OK)
            or not reachable(path, user, mode="-x")
        ):
            continue
        root = Path(tempfile.mkdtemp(prefix="harmonia-pg-", dir=base))
        root.chmod(0o711 if user else 0o700)
        return root
    raise ServerStartFailed(
        "no temporary directory is writable", hint="set TMPDIR to a directory that is"
    )


def _roomy(path: Path) -> bool:
    """Return whether a memory file system can hold a database without starving the machine."""
    try:
        free = shutil.disk_usage(path).free
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return False
    available = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    return bool(available) and min(free, available[0]) >= MEMORY_NEEDED
