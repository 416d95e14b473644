"""The operating system's side of the development server: directories, ports, processes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from harmonia_py.engines import catalogue, cluster
from harmonia_py.engines.binaries import Binaries
from harmonia_py.engines.osuser import give, reachable, run_as
from harmonia_py.engines.server import HOST
from harmonia_py.errors import NotWritable, ServerStartFailed

__all__ = [
    "await_ready",
    "choose_data_dir",
    "delete",
    "initialise",
    "port_in_use",
    "server_pid",
    "start",
    "stop",
]

START_TIMEOUT = 60
STOP_TIMEOUT = 30.0
ORPHAN_PATIENCE = 15.0
CONFIG = "harmonia.conf"
#: Where the data of root's projects lies that the server's user could not reach.
SYSTEM = Path("/var/lib/harmonia")
# pg_ctl puts paths between double quotes for a shell, which would read these and what follows.
_SHELL = re.compile(r'["$`\n\r]|\\\\')


def choose_data_dir(root: Path) -> Path:
    """Return where the data goes: ``.harmonia/data``, or ``/var/lib/harmonia`` for root.

    Root's server runs as another user, who may not be able to enter the project's folder.
    """
    user = run_as()
    inside = root / ".harmonia" / "data"
    if user is None or reachable(inside.parent, user, mode="-x"):
        return inside
    name = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    return SYSTEM / name / "data"


def initialise(binaries: Binaries, data: Path, password: str) -> None:
    """Make the data directory, or nothing at all when that fails or is killed.

    It is made beside its place, under a name that no other attempt has: initdb goes on when the
    command that began it is killed.
    """
    user = run_as()
    delete(data)  # what an interrupted attempt left: there is no PG_VERSION in it
    scratch = data.with_name(f"{data.name}.{os.getpid()}.new")
    try:
        scratch.mkdir(parents=True)
        if data.is_relative_to(SYSTEM):
            for folder in (SYSTEM, data.parent):  # whatever the umask was that they were made under
                folder.chmod(0o755)
        scratch.chmod(0o700)
        give(scratch, user)
    except OSError as error:
        raise NotWritable(f"cannot write {data}: {error.strerror}") from None
    try:
        cluster.create(binaries, scratch, user, password=password)
        with (scratch / "postgresql.conf").open("a") as config:
            config.write(f"\ninclude_if_exists = '{CONFIG}'\n")
        scratch.rename(data)
    except BaseException:
        delete(data)
        raise


def start(binaries: Binaries, data: Path, port: int, root: Path) -> int:
    """Start the server and return its process id."""
    for path in (data, binaries.bin_dir):
        if _SHELL.search(str(path)):
            raise ServerStartFailed(
                f"{str(path)!r} holds a character that pg_ctl would give to a shell",
                hint="rename the folder: no double quote, dollar sign, backtick or line feed",
            )
    user = run_as()
    _forget_stranger(data)
    extensions = data.parent / "extensions"
    shutil.rmtree(extensions, ignore_errors=True)
    extensions.mkdir(mode=0o755)
    give(extensions, user)
    settings = {
        "listen_addresses": HOST,
        "port": str(port),
        "unix_socket_directories": "",
        "wal_level": "logical",
        "synchronous_commit": "off",
        "max_locks_per_transaction": "512",
        **catalogue.complete(binaries, extensions, user),
    }
    lines = [f"{name} = '{_quoted(value)}'\n" for name, value in settings.items()]
    config = data / CONFIG
    config.write_text("# Written by `harmonia up`; put your own settings in postgresql.conf.\n")
    with config.open("a") as sink:
        sink.writelines(lines)
    config.chmod(0o600)
    give(config, user)
    log = data.parent / "postgres.log"
    log.touch(mode=0o600)
    give(log, user)
    deadline = time.monotonic() + ORPHAN_PATIENCE
    while True:
        reason = _pg_ctl_start(binaries, data, log) or f"see {log}"
        # Also the server that a killed `up` was starting, which began before this one.
        pid = await_ready(data)
        if pid is not None:
            return pid
        # After a kill -9 the server's children need a moment to notice and go.
        passing = "shared memory block" in reason or "lock file" in reason
        if not passing or time.monotonic() > deadline:
            raise ServerStartFailed(f"PostgreSQL {binaries.version} did not start: {reason}")
        time.sleep(0.25)


def _pg_ctl_start(binaries: Binaries, data: Path, log: Path) -> str | None:
    """Return ``None`` when the server is ready, else what its log says."""
    command = [binaries.path("pg_ctl"), "-D", str(data), "-l", str(log)]
    command += ["-w", "-t", str(START_TIMEOUT), "start"]
    size = log.stat().st_size
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=START_TIMEOUT + 10,
            check=False,
            start_new_session=True,
            **cluster.options(run_as()),  # type: ignore[call-overload]
        )
        if done.returncode == 0:
            return None
    except subprocess.TimeoutExpired:
        pid = server_pid(data)
        if pid is not None:
            stop(pid, data)
        return f"not ready after {START_TIMEOUT} s"
    words = log.read_bytes()[size:].decode(errors="replace")
    fatal = [line for line in words.splitlines() if "FATAL" in line or "PANIC" in line]
    return fatal[-1].split("FATAL:")[-1].strip() if fatal else f"see {log}"


def _forget_stranger(data: Path) -> None:
    """Remove a pid file whose number now belongs to another program.

    PostgreSQL itself judges a pid file whose process is gone, and looks for its children too.
    """
    path = data / "postmaster.pid"
    try:
        pid = int(path.read_text().split("\n", 1)[0])
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        path.unlink(missing_ok=True)
        return
    if _alive(pid) and not _is_server(pid, data):
        path.unlink(missing_ok=True)


def server_pid(data: Path) -> int | None:
    """Return the process id of the server that runs on ``data``, or ``None``.

    A pid file whose process is gone, or is some other program that got the same number, counts
    as none.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if pid > 1 and _is_server(pid, data) else None


def await_ready(data: Path) -> int | None:
    """Return the process id of the server on ``data`` once it takes connections, if one runs."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        pid = server_pid(data)
        if pid is None or _says_ready(data):
            return pid
        time.sleep(0.05)
    return None


def _says_ready(data: Path) -> bool:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def stop(pid: int, data: Path) -> None:
    """Stop the server: fast, then at once if it does not listen."""
    for number, patience in ((signal.SIGINT, STOP_TIMEOUT), (signal.SIGQUIT, 10.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not _is_server(pid, data):
                return
            time.sleep(0.05)
    raise ServerStartFailed(f"the server (process {pid}) does not stop")


def delete(data: Path) -> None:
    """Remove the data directory and what lies beside it."""
    shutil.rmtree(data, ignore_errors=True)
    # Attempts that were killed, and the file in which initdb reads the password.
    deadline = time.monotonic() + ORPHAN_PATIENCE
    for path in data.parent.glob(f"{data.name}.*.new*"):
        if not path.is_dir():
            path.unlink(missing_ok=True)
        while path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)  # initdb, which may still be writing there, fails on what is gone
    shutil.rmtree(data.parent / "extensions", ignore_errors=True)
    (data.parent / "postgres.log").unlink(missing_ok=True)
    if data.is_relative_to(SYSTEM):
        with suppress(OSError):  # somebody else put something there
            data.parent.rmdir()


def port_in_use(port: int) -> bool:
    """Return whether something holds the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_server(pid: int, data: Path) -> bool:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        line = raw.replace(b"\0", b" ").decode(errors="replace")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        done = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
        line = done.stdout
    except OSError:
        return False
    return "postgres" in line and str(data) in line


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
