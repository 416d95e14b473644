"""Every error Harmonia raises on purpose.

::

    HarmoniaError                    exit 1
    ├── CouldNotVerify               exit 1
    ├── UsageError                   exit 2
    │   └── ModelError               exit 2
    ├── CheckFailed                  exit 3
    ├── Busy                         exit 4
    └── IsolationBreach              exit 5

A message says what happened and to what; the hint says what to do next. Neither ever
holds a secret or a password inside a URL. Subclasses name a stable dotted ``code``.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "Busy",
    "CheckFailed",
    "CouldNotVerify",
    "HarmoniaError",
    "IsolationBreach",
    "ModelError",
    "UsageError",
]


class HarmoniaError(Exception):
    """Something failed."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1
    hint: str | None = None

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        """Take the message (default: the class docstring) and a remedy."""
        self.message = message or (type(self).__doc__ or "failed").strip().splitlines()[0]
        if hint is not None:
            self.hint = hint
        super().__init__(self.message)


class UsageError(HarmoniaError):
    """The command was called in a way it cannot follow."""

    code = "usage"
    exit_code = 2


class CheckFailed(HarmoniaError):
    """A check did not pass."""

    code = "check.failed"
    exit_code = 3


class Busy(HarmoniaError):
    """Somebody else holds what is needed; it is safe to try again."""

    code = "busy"
    exit_code = 4


class IsolationBreach(HarmoniaError):
    """One tenant can reach another tenant's rows."""

    code = "isolation.breach"
    exit_code = 5


class CouldNotVerify(HarmoniaError):
    """No verdict on isolation was possible."""

    code = "isolation.could_not_run"


class ModelError(UsageError):
    """The tenancy model cannot be read."""

    code = "isolation.model"
    hint = "correct harmonia.toml, or write a fresh one with: harmonia verify --init"
