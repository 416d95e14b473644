"""Pinned npm packages that tests compare Harmonia with, installed once into ``.harmonia/tools``."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

TOOLS = Path(__file__).resolve().parents[2] / ".harmonia" / "tools"


def npm_package(folder: str, name: str, version: str, *options: str) -> Path | None:
    """Return the ``node_modules`` that hold the package; None where npm cannot provide it.

    ``folder`` is its place below ``.harmonia/tools``.
    """
    target = TOOLS / folder
    modules = target / "node_modules"
    npm = shutil.which("npm")
    if (modules / name).exists() or npm is None:
        return modules if (modules / name).exists() else None
    TOOLS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
        done = subprocess.run(
            [
                npm, "install", "--no-fund", "--no-audit", *options, "--prefix", scratch,
                f"{name}@{version}",
            ],
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            return None
        if not target.exists():
            shutil.copytree(scratch, target, symlinks=True)
    return modules if (modules / name).exists() else None


def missing(reason: str) -> NoReturn:
    """Fail in CI, where everything must be tested; skip, saying why, on somebody's machine."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
