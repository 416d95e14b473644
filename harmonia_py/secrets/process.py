"""What a process can do about its own memory: not much, and that much is done here."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["harden"]

_PR_SET_DUMPABLE = 4


def harden() -> None:
    """Write no core dumps, and keep other processes of the user from reading memory (Linux).

    Children write no core dumps either. Python cannot wipe values, so this does not make memory
    safe: see docs/explanation/shredding-and-memory.md.
    """
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
