"""Tools from npm, in exact versions, kept beside the project."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from harmonia_py.errors import ToolNotFound

__all__ = ["npm_install", "tools_dir"]

INSTALL_TIMEOUT = 120.0


def tools_dir(root: Path | None = None) -> Path:
    """Return where tools are kept: ``HARMONIA_TOOLS``, or ``.harmonia/tools`` below ``root``."""
    named = os.environ.get("HARMONIA_TOOLS")
    return Path(named) if named else (root or Path.cwd()) / ".harmonia" / "tools"


def npm_install(folder: Path, *packages: str) -> Path:
    """Install ``name@version`` packages into ``folder`` and return its ``node_modules``.

    Scripts of the packages do not run. Raises :class:`ToolNotFound` without npm, or when the
    registry does not answer with these very versions.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise ToolNotFound("npm is not installed", hint="install Node.js 20 or newer")
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / ".installed"
    wanted = "\n".join(sorted(packages))
    if done.exists() and done.read_text() == wanted:
        return folder / "node_modules"
    (folder / "package.json").write_text('{"private": true}\n')
    command = [npm, "install", "--save-exact", "--ignore-scripts", "--no-audit", "--no-fund"]
    result = subprocess.run(
        [*command, *packages],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT,
        check=False,
    )
    if result.returncode != 0:
        last = [line for line in result.stderr.splitlines() if line.startswith("npm error")]
        raise ToolNotFound(f"npm could not install {', '.join(packages)}: {(last or ['?'])[0]}")
    done.write_text(wanted)
    return folder / "node_modules"
