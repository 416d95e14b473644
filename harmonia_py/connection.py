"""Borrow a connection or open one, for work that decides its own transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg

from harmonia_py import dsn
from harmonia_py.errors import (
    DatabaseRefused,
    DatabaseUnreachable,
    HarmoniaError,
    LockNotObtained,
    PoolerRefused,
)

__all__ = ["Connection", "ConnectionOrDsn", "lost", "session", "told"]

#: What a database says that was never migrated, or not far enough.
_MISSING = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidSchemaName,
)

_LOCKED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
ConnectionOrDsn: TypeAlias = Connection | str


@contextmanager
def session(target: ConnectionOrDsn) -> Iterator[Connection]:
    """Yield a connection in autocommit: a new one for a DSN, the caller's own otherwise.

    Raises ``PoolerRefused`` for the transaction pooler, ``DatabaseUnreachable`` when it does not
    answer or is lost, ``LockNotObtained`` for a lock that was not had in time, and
    ``DatabaseRefused`` for what the server refuses inside the block.
    """
    if isinstance(target, str):
        dsn.require_session(target)
        with dsn.connect(target, autocommit=True) as connection:
            if str(connection.info.port) == dsn.TRANSACTION_POOLER_PORT:
                # A service led here, which only libpq can read.
                raise PoolerRefused(f"{dsn.redact(target)} is a transaction pooler (port 6543)")
            connection.prepare_threshold = None
            _settle(connection)
            with told(target, connection):
                yield connection
        return
    before = target.autocommit
    target.autocommit = True
    try:
        yield target
    finally:
        if not target.closed:
            target.autocommit = before


@contextmanager
def told(target: str, connection: Connection) -> Iterator[None]:
    """Say of what fails on ``connection`` that the database at ``target`` refused or was lost.

    Raises ``DatabaseUnreachable``, ``LockNotObtained`` and ``DatabaseRefused``.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _translate(target, connection, error) from error


def lost(connection: Connection, error: psycopg.Error) -> bool:
    """Tell whether ``error`` is about the connection, and not about what was sent."""
    ended = error.diag.severity_nonlocalized in {"FATAL", "PANIC"}  # and the server closes it
    return connection.closed or connection.broken or ended


def _settle(connection: Connection) -> None:
    # The one form of dates and intervals that psycopg reads, whatever the database prefers.
    for name, form in (("DateStyle", "ISO"), ("IntervalStyle", "postgres")):
        found = connection.info.parameter_status(name)
        if found is not None and found.split(",")[0] != form:
            connection.execute("select pg_catalog.set_config(%s, %s, false)", [name, form])


def _translate(target: str, connection: Connection, error: psycopg.Error) -> HarmoniaError:
    where = dsn.redact(target)
    if lost(connection, error):
        return DatabaseUnreachable(
            f"the connection to {where} was lost",
            hint="the open transaction was rolled back; run the command again",
        )
    reason = error.diag.message_primary or type(error).__name__
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return DatabaseRefused(
            f"{where}: {reason}",
            hint="connect as the owner of the database (on Supabase: postgres)",
        )
    if isinstance(error, _MISSING):
        return DatabaseRefused(
            f"{where}: {reason}",
            hint="`harmonia migrate status` shows what this database lacks",
        )
    if isinstance(error, _LOCKED):
        return LockNotObtained(
            f"{where}: {reason}", hint="another session holds it; run again when it is done"
        )
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return DatabaseRefused(
            f"{where}: {reason}",
            hint="connect to the primary, or look at default_transaction_read_only",
        )
    if isinstance(error, psycopg.errors.DiskFull):
        return DatabaseRefused(
            f"{where}: {reason}", hint="make room on the server's disk, then run again"
        )
    return DatabaseRefused(f"{where}: {reason}", hint=error.diag.message_hint)
