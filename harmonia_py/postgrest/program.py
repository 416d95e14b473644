"""What runs PostgREST on this machine: a binary, or a container of its image.

The container shares the host's network, so that both serve and reach the same loopback addresses.
Its settings travel in the environment by name only: a database URL in the arguments could be read
by everybody on the machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harmonia_py.errors import ToolNotFound
from harmonia_py.postgrest import binary

__all__ = ["DEFAULT_IMAGE", "Program", "find", "remove_container"]

#: The image of the Supabase CLI; taken when it is on this machine, never pulled unasked.
DEFAULT_IMAGE = "postgrest/postgrest:v14.12"
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """A PostgREST that can be started. Exactly one of both is set."""

    path: Path | None = None
    image: str | None = None

    def arguments(self, settings: Iterable[str], container: str) -> list[str]:
        """Return the command line that takes the named settings from its environment.

        ``container`` is the name a container gets; a binary has no use for it.
        """
        if self.image is None:
            return [str(self.path)]
        names = [part for name in sorted(settings) for part in ("--env", name)]
        return [
            "docker", "run", "--rm", "--network", "host", "--name", container, *names, self.image,
        ]  # fmt: skip


def find(root: Path | None = None) -> Program:
    """Return what runs PostgREST, or raise :class:`ToolNotFound` saying where it looked.

    In this order: the image that ``HARMONIA_POSTGREST_IMAGE`` names, a binary (see
    :func:`harmonia_py.postgrest.binary.find`), :data:`DEFAULT_IMAGE` if this machine has it.
    """
    named = os.environ.get("HARMONIA_POSTGREST_IMAGE")
    if named:
        if not _is_here(named):
            raise ToolNotFound(
                f"HARMONIA_POSTGREST_IMAGE names {named}, which no Docker engine here has",
                hint=f"docker pull {named}, or unset it",
            )
        return Program(image=named)
    try:
        return Program(path=binary.find(root))
    except ToolNotFound:
        # A binary that was asked for by name is never replaced by something else.
        if os.environ.get("HARMONIA_POSTGREST") or not _is_here(DEFAULT_IMAGE):
            raise
        return Program(image=DEFAULT_IMAGE)


def remove_container(name: str) -> None:
    """End a container and remove it. Harmless when there is none."""
    if name and shutil.which("docker"):
        with suppress(subprocess.TimeoutExpired):
            _docker("rm", "--force", name)


def _is_here(image: str) -> bool:
    # Elsewhere the engine lives in a virtual machine, whose loopback is not this one's.
    if sys.platform != "linux" or shutil.which("docker") is None:
        return False
    try:
        return _docker("image", "inspect", image).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _docker(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        check=False,
        timeout=_TIMEOUT,
    )
