"""PostgreSQL refuses to run as root, so root hands its servers to an unprivileged user."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harmonia_py.errors import ServerStartFailed

__all__ = ["RunAs", "give", "reachable", "run_as"]

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class RunAs:
    """The operating system user a server runs as."""

    name: str
    uid: int
    gid: int

    def popen_options(self) -> dict[str, Any]:
        """Return the ``subprocess`` options that switch to this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def run_as() -> RunAs | None:
    """Return the user to switch to, or ``None`` when the caller is not root."""
    if os.geteuid() != 0:
        return None
    import pwd

    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(name, entry.pw_uid, entry.pw_gid)
    raise ServerStartFailed(
        "PostgreSQL cannot run as root and this machine has no user postgres or nobody",
        hint="run as an ordinary user, or add one: useradd --system postgres",
    )


def give(path: Path, user: RunAs | None) -> None:
    """Make ``user`` the owner of one file or directory."""
    if user is not None:
        os.chown(path, user.uid, user.gid)


def reachable(path: Path, user: RunAs | None, *, mode: str = "-r") -> bool:
    """Return whether ``user`` may reach a path: ``mode`` is a flag of test(1), ``-r -w -x``."""
    if user is None:
        access = {"-r": os.R_OK, "-w": os.W_OK, "-x": os.X_OK}[mode]
        return os.access(path, access)
    done = subprocess.run(
        ["test", mode, str(path)], cwd="/", check=False, timeout=10, **user.popen_options()
    )
    return done.returncode == 0
