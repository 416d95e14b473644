"""Where a database comes from: ``embedded``, ``container`` or ``url``.

An engine hands out databases that hold the Supabase environment and nothing else::

    with EmbeddedEngine() as engine, engine.database() as db:
        migrations.apply(db.owner_dsn, folder)
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from harmonia_py.engines.database import Database

if TYPE_CHECKING:
    from harmonia_py.engines.embedded import EmbeddedEngine as EmbeddedEngine

__all__ = ["Database", "EmbeddedEngine", "Engine"]


class Engine(Protocol):
    """What every engine can do."""

    @property
    def label(self) -> str:
        """Name and version for a person: ``embedded PostgreSQL 18.6``."""

    def database(self, *, template: str | None = None) -> AbstractContextManager[Database]:
        """Yield a fresh database with the environment, or a copy of ``template``."""

    def create_database(self, name: str | None = None, *, template: str | None = None) -> Database:
        """Create a database that stays until :meth:`drop_database` or :meth:`close`."""

    def drop_database(self, name: str) -> None:
        """Drop a database and end its sessions. Harmless when it does not exist."""

    def close(self) -> None:
        """Give everything back. Harmless when repeated."""


def __getattr__(name: str) -> object:
    # Loaded when asked for: a command that only prints help should not pay for it.
    if name == "EmbeddedEngine":
        from harmonia_py.engines.embedded import EmbeddedEngine

        return EmbeddedEngine
    raise AttributeError(name)
