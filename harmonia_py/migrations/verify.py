"""Read-only questions and single-row corrections: status, verify, record, forget."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg import errors as pg

from harmonia_py.connection import Connection, ConnectionOrDsn, session
from harmonia_py.errors import LockNotObtained, MigrationDrift, MigrationPending, UnknownVersion
from harmonia_py.migrations import history
from harmonia_py.migrations.files import Migration, read_folder
from harmonia_py.migrations.plan import Plan, compare

__all__ = ["forget", "record", "status", "verify"]


def status(target: ConnectionOrDsn, folder: Path) -> Plan:
    """Return the state of every version; changes nothing."""
    files = read_folder(folder)
    with session(target) as connection:
        return compare(files, history.read(connection))


def verify(target: ConnectionOrDsn, folder: Path) -> Plan:
    """Return the plan when folder and database agree and nothing is pending.

    Raises ``MigrationDrift`` or ``MigrationPending``.
    """
    plan = status(target, folder)
    plan.require_agreement()
    if plan.pending:
        names = ", ".join(migration.path.name for migration in plan.pending[:3])
        more = f" and {len(plan.pending) - 3} more" if len(plan.pending) > 3 else ""
        raise MigrationPending(f"{len(plan.pending)} not applied: {names}{more}")
    return plan


def record(target: ConnectionOrDsn, folder: Path, version: str) -> Migration:
    """Write the history row of ``version`` from its file, without running it.

    Also accepts an edited file as it is now. Raises ``UnknownVersion``, ``MigrationDrift``, and
    ``LockNotObtained`` while a runner is at work (safe to retry).
    """
    found = [m for m in read_folder(folder).migrations if m.version == version]
    if not found:
        raise UnknownVersion(f"there is no migration {version} in {folder}")
    if len(found) > 1:
        names = " and ".join(migration.path.name for migration in found)
        raise MigrationDrift(f"{names} share a version", hint="rename one of them")
    with session(target) as connection:
        history.prepare(connection)
        with _soon(connection):
            history.record(connection, found[0])
    return found[0]


def forget(target: ConnectionOrDsn, version: str) -> None:
    """Delete the history row of ``version``; its changes stay.

    Raises ``UnknownVersion``, and ``LockNotObtained`` while a runner is at work (safe to retry).
    """
    with session(target) as connection:
        found = bool(history.read(connection))
        if found:
            with _soon(connection):
                found = history.forget(connection, version)
        if not found:
            raise UnknownVersion(f"the history has no version {version}")


@contextmanager
def _soon(connection: Connection) -> Iterator[None]:
    """Run the block in a transaction that waits for no runner longer than a few seconds."""
    try:
        with connection.transaction():
            connection.execute("set local lock_timeout = '4s'")
            yield
    except pg.LockNotAvailable:
        raise LockNotObtained(
            "a migration runner holds the history", hint="run again when it is done"
        ) from None
