"""A disk without room, for one of the files that are written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harmonia_py.lifecycle import stream


def full(patch: pytest.MonkeyPatch, name: str = "") -> None:
    """Put the device that is always full where a file whose name ends so is written first."""

    class Full:
        def __getattr__(self, attribute: str) -> object:
            return getattr(os, attribute)

        def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
            if str(path).endswith(f"{name}.partial"):
                return os.open("/dev/full", os.O_WRONLY)
            return os.open(path, flags, mode)

    patch.setattr(stream, "os", Full())
