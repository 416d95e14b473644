"""Databases on a server that is ours: environment once, cheap copies after."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from harmonia_py import dsn, platform
from harmonia_py.engines.database import OWNER, Database

__all__ = ["ENVIRONMENT", "Host", "set_passwords"]

ENVIRONMENT = "harmonia_environment"
LOGIN_ROLES = (
    "postgres",
    "authenticator",
    "supabase_auth_admin",
    "supabase_storage_admin",
    "supabase_functions_admin",
    "pgbouncer",
    "supabase_read_only_user",
    "supabase_replication_admin",
)


class Host:
    """Makes databases on one server, as its superuser.

    ``admin_dsn`` points at the maintenance database; ``password`` becomes the password of every
    login role of the environment.
    """

    def __init__(self, engine: str, admin_dsn: str, password: str) -> None:
        """Remember where the server is; nothing is done yet."""
        self.engine = engine
        self.admin_dsn = admin_dsn
        self.password = password
        self.server_version = 0
        self._lock = threading.Lock()
        self._ready = False

    def prepare(self) -> None:
        """Build the environment in a template database, once."""
        with self._lock:
            if self._ready:
                return
            with self._admin() as conn:
                self.server_version = conn.info.server_version
                exists = conn.execute(
                    "select from pg_catalog.pg_database where datname = %s", [ENVIRONMENT]
                ).fetchone()
                if exists is None:
                    conn.execute(
                        sql.SQL("create database {} template template0").format(
                            sql.Identifier(ENVIRONMENT)
                        )
                    )
            with dsn.connect(dsn.replace(self.admin_dsn, dbname=ENVIRONMENT)) as conn:
                platform.prepare(conn)
                set_passwords(conn, self.password)
            self._ready = True

    def create(self, name: str | None = None, *, template: str | None = None) -> Database:
        """Create a database owned by ``postgres`` from a template (default: the environment)."""
        self.prepare()
        name = name or f"harmonia_{secrets.token_hex(6)}"
        with self._admin() as conn:
            # FILE_COPY is the faster strategy for small databases when nothing is flushed.
            conn.execute(
                sql.SQL("create database {} template {} owner {} strategy file_copy").format(
                    sql.Identifier(name),
                    sql.Identifier(template or ENVIRONMENT),
                    sql.Identifier(OWNER),
                )
            )
            # Privileges and settings of a database are not copied with it.
            for role in ("postgres", "dashboard_user", "supabase_auth_admin"):
                conn.execute(
                    sql.SQL("grant all on database {} to {}").format(
                        sql.Identifier(name), sql.Identifier(role)
                    )
                )
        admin = dsn.replace(self.admin_dsn, dbname=name)
        owner = dsn.replace(admin, user=OWNER, password=self.password)
        return Database(name, self.engine, self.server_version, owner, admin)

    def drop(self, name: str) -> None:
        """Drop a database and end its sessions. Harmless when it does not exist."""
        with self._admin() as conn:
            conn.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )

    @contextmanager
    def database(self, *, template: str | None = None) -> Iterator[Database]:
        """Yield a fresh database and drop it afterwards."""
        database = self.create(template=template)
        try:
            yield database
        finally:
            self.drop(database.name)

    def _admin(self) -> psycopg.Connection[tuple[Any, ...]]:
        return dsn.connect(self.admin_dsn, autocommit=True)


def set_passwords(conn: psycopg.Connection[Any], password: str) -> None:
    """Give every login role of the environment the same password."""
    # Hashed here: a statement with the password itself would reach the server's log.
    for role in LOGIN_ROLES:
        hashed = conn.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        ).decode()
        conn.execute(
            sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(hashed))
        )
