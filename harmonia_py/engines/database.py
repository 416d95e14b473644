"""One database that an engine handed out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg

from harmonia_py import dsn

__all__ = ["OWNER", "Database"]

OWNER = "postgres"


@dataclass(frozen=True, slots=True)
class Database:
    """How to reach one database, and as whom.

    ``owner_dsn`` is the role ``postgres`` (no superuser, BYPASSRLS), which runs migrations.
    ``admin_dsn`` is the superuser ``supabase_admin``, or ``None`` where there is no such access.
    ``server_version`` is PostgreSQL's number, such as 180006. The URLs hold passwords and stay
    out of the repr; print ``dsn.redact(db.owner_dsn)``.
    """

    name: str
    engine: str
    server_version: int
    owner_dsn: str = field(repr=False)
    admin_dsn: str | None = field(repr=False, default=None)

    def dsn_as(self, role: str) -> str:
        """Return the URL for another login role, such as ``authenticator``.

        Only the engines that own their server (embedded, container) know its password.
        """
        return dsn.replace(self.owner_dsn, user=role)

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a session as ``postgres``."""
        return dsn.connect(self.owner_dsn, autocommit=autocommit)

    def connect_admin(self, *, autocommit: bool = False) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a session as the superuser, or as ``postgres`` where there is none."""
        return dsn.connect(self.admin_dsn or self.owner_dsn, autocommit=autocommit)
