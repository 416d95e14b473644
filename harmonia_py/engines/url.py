"""The ``url`` engine: any PostgreSQL, reached through a URL."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from harmonia_py import dsn, platform
from harmonia_py.engines.database import Database
from harmonia_py.errors import HarmoniaError

__all__ = ["CannotCreateDatabase", "UrlEngine"]


class CannotCreateDatabase(HarmoniaError):
    """The role may not create a database on this server."""

    code = "engine.create_denied"
    hint = "give a role with CREATEDB, or use --engine embedded"


class UrlEngine:
    """Makes throw-away databases on a server that is not ours.

    The database that the URL names is never changed. A throw-away one gets the environment when
    the role is a superuser. The role keeps being who it is: ``owner_dsn`` is the URL's role.
    """

    def __init__(self, url: str) -> None:
        """Read the URL; refuses a transaction pooler. Nothing is opened yet."""
        dsn.require_session(url)
        self._url = url
        self._made: list[str] = []

    def __enter__(self) -> UrlEngine:
        """Return the engine."""
        return self

    def __exit__(self, *_: object) -> None:
        """Drop the databases that were made."""
        self.close()

    @property
    def label(self) -> str:
        """Where it is, without the password."""
        return f"url {dsn.redact(self._url)}"

    def target(self) -> Database:
        """Return the database that the URL itself names."""
        with dsn.connect(self._url) as conn:
            return self._describe(conn)

    @contextmanager
    def database(self, *, template: str | None = None) -> Iterator[Database]:
        """Yield a fresh database on the server and drop it afterwards."""
        database = self.create_database(template=template)
        try:
            yield database
        finally:
            self.drop_database(database.name)

    def create_database(self, name: str | None = None, *, template: str | None = None) -> Database:
        """Create a database. Raises :class:`CannotCreateDatabase` where that is not permitted."""
        name = name or f"harmonia_{secrets.token_hex(6)}"
        statement = sql.SQL("create database {} template {}").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        with dsn.connect(self._url, autocommit=True) as conn:
            try:
                conn.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                raise CannotCreateDatabase(
                    f"role {conn.info.user} may not create a database on {dsn.redact(self._url)}"
                ) from None
        self._made.append(name)
        with dsn.connect(dsn.replace(self._url, dbname=name)) as conn:
            if template is None:
                platform.prepare(conn)
            return self._describe(conn)

    def drop_database(self, name: str) -> None:
        """Drop a database that this engine made, and end its sessions."""
        if name not in self._made:
            raise CannotCreateDatabase(
                f"database {name} was not made by this engine", hint="drop it by hand"
            )
        with dsn.connect(self._url, autocommit=True) as conn:
            conn.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )
        self._made.remove(name)

    def close(self) -> None:
        """Drop the databases that are still there."""
        for name in list(self._made):
            self.drop_database(name)

    def _describe(self, conn: psycopg.Connection[Any]) -> Database:
        url = dsn.replace(self._url, dbname=conn.info.dbname)
        row = conn.execute(
            "select rolsuper from pg_catalog.pg_roles where rolname = current_user"
        ).fetchone()
        admin = url if row and row[0] else None
        return Database(conn.info.dbname, self.label, conn.info.server_version, url, admin)
