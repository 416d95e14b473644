"""The TOML files that people write for the harness: the model, and the findings they accept."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from harmonia_py.errors import UsageError

__all__ = ["parsed", "read"]

_MOST = 16 << 20  # bytes; a model of ten thousand tables has less
#: Where the remedy is not in the file.
_ANOTHER = "give the path of a TOML file that is there and may be read"


def read(path: Path, error: type[UsageError]) -> dict[str, Any]:
    """Return what a file says; raises ``error`` when it cannot be read or is no such file."""
    try:
        with path.open("rb") as file:
            # Not to its end, wherever that is: a device has none.
            data = file.read(_MOST + 1)
    except OSError as reason:
        raise error(f"{path} cannot be read: {reason.strerror}", hint=_ANOTHER) from None
    if len(data) > _MOST:
        raise error(
            f"{path} holds more than {_MOST >> 20} MiB, which no such file does", hint=_ANOTHER
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise error(f"{path.name} is not UTF-8 text") from None
    return parsed(text, path.name, error)


def parsed(text: str, name: str, error: type[UsageError]) -> dict[str, Any]:
    """Return what a text says; raises ``error`` with the place of the first mistake."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as reason:
        raise error(f"{name} is not valid TOML: {reason}") from None
