"""Put stand-ins beside a server's own extensions, without touching the installation."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from harmonia_py.engines.binaries import Binaries
from harmonia_py.engines.osuser import RunAs, give
from harmonia_py.platform import extensions

__all__ = ["complete"]


def complete(binaries: Binaries, target: Path, user: RunAs | None) -> dict[str, str]:
    """Write an extension directory below ``target``; return the server settings that use it.

    PostgreSQL 18 has ``extension_control_path``; Debian's packages of older versions have
    ``extension_destdir``. Where there is neither, nothing is written and nothing returned.
    """
    shared = binaries.directory("sharedir")
    if binaries.major >= 18:
        directory = target / "extension"
        settings = {"extension_control_path": f"{target}:$system"}
    elif _has_destdir(binaries):
        directory = target / str(shared).lstrip("/") / "extension"
        settings = {"extension_destdir": str(target)}
    else:
        return {}
    directory.mkdir(parents=True)
    for name, content in extensions.files_for(shared / "extension").items():
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o644)  # whatever the umask: the server is another user's
    for path in [directory, *directory.parents]:
        if path.is_relative_to(target):
            give(path, user)
    return settings


@cache
def _has_destdir(binaries: Binaries) -> bool:
    done = subprocess.run(
        [binaries.path("postgres"), "--describe-config"],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return "extension_destdir" in done.stdout
