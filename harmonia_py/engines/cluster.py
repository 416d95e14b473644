"""Make a data directory: ``initdb`` once, copies of it ever after."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from harmonia_py.engines.binaries import Binaries, cache_dir
from harmonia_py.engines.osuser import RunAs, give, reachable
from harmonia_py.errors import ServerStartFailed

__all__ = ["ADMIN", "create", "options"]

ADMIN = "supabase_admin"
TIMEOUT = 60.0


def options(user: RunAs | None) -> dict[str, object]:
    """Return the ``subprocess`` options under which PostgreSQL's programs run."""
    return {"cwd": "/", "stdin": subprocess.DEVNULL, **(user.popen_options() if user else {})}


def create(
    binaries: Binaries, target: Path, user: RunAs | None, *, password: str | None = None
) -> None:
    """Fill ``target`` (empty, owned by ``user``, mode 0700) with a fresh cluster.

    The superuser is ``supabase_admin``. Over the socket, whose directory only the server's user
    may enter, no password is asked; over TCP always. With a ``password`` it is the superuser's;
    without one a copy of a cached cluster is made, whose password nobody knows.

    Raises :class:`ServerStartFailed`.
    """
    template = _template(binaries, user) if password is None else None
    if template is None:
        _initdb(binaries, target, user, password)
        return
    _run(["cp", "-R", "-p", f"{template}/.", str(target)], user, "copying a data directory")


def _template(binaries: Binaries, user: RunAs | None) -> Path | None:
    cache = cache_dir()
    if cache is None or (user is not None and not reachable(cache, user, mode="-x")):
        return None
    stamp = int((binaries.bin_dir / "postgres").stat().st_mtime)
    template = cache / f"initdb-{ADMIN}-{binaries.version}-{stamp}"
    if (template / "PG_VERSION").exists():
        return template
    with tempfile.TemporaryDirectory(dir=cache, ignore_cleanup_errors=True) as scratch:
        Path(scratch).chmod(0o711)
        fresh = Path(scratch) / "data"
        fresh.mkdir(mode=0o700)
        give(fresh, user)
        _initdb(binaries, fresh, user)
        with contextlib.suppress(OSError):  # another process may have been faster
            fresh.rename(template)
    return template if (template / "PG_VERSION").exists() else None


def _initdb(
    binaries: Binaries, target: Path, user: RunAs | None, password: str | None = None
) -> None:
    command = [binaries.path("initdb"), "-D", str(target), "-U", ADMIN, "--no-sync"]
    command += ["--no-instructions", "--encoding=UTF8"]
    command += ["--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile"]
    # Beside the cluster, where whoever removes what a killed attempt left finds it, too.
    with tempfile.NamedTemporaryFile(prefix=f"{target.name}.", dir=target.parent) as file:
        # Without a wish: one that is replaced before anybody connects over TCP.
        file.write((password or secrets.token_hex(32)).encode() + b"\n")
        file.flush()
        give(Path(file.name), user)
        command.append(file.name)
        try:
            _run([*command, "--locale=C.UTF-8"], user, "initdb")
        except ServerStartFailed as error:
            if "locale" not in str(error):
                raise
            for child in target.iterdir():  # pragma: no cover - systems without C.UTF-8
                shutil.rmtree(child) if child.is_dir() else child.unlink()
            _run([*command, "--no-locale"], user, "initdb")


def _run(command: list[str], user: RunAs | None, what: str) -> None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            **options(user),  # type: ignore[call-overload]
        )
    except subprocess.TimeoutExpired:
        raise ServerStartFailed(f"{what} took longer than {TIMEOUT:.0f} s") from None
    if done.returncode != 0:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        # Of what initdb ran, then its own, and not what it says of cleaning up.
        marks = ("FATAL:", "PANIC:", "error:")
        told = (line for mark in marks for line in lines if mark in line)
        reason = next(told, lines[-1:] or "")
        raise ServerStartFailed(
            f"{what} failed: {reason if isinstance(reason, str) else reason[0]}"
        )
