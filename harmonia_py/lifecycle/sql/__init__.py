"""The statements of this package, one file each."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["load"]


@cache
def load(name: str) -> bytes:
    """Return the text of ``name.sql``."""
    return (files(__name__) / f"{name}.sql").read_bytes()
