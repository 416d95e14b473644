"""Run pending migrations: each file and its history row in one transaction.

The history table is locked first, so a second runner (ours or the Supabase CLI) waits and then
finds the row already there. Statements that cannot run in a transaction stand alone in their
file and run under an advisory lock that is polled: a blocking wait for it would deadlock with
``create index concurrently``, which itself waits for every older transaction.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import errors as pg
from psycopg import sql

from harmonia_py.connection import Connection, ConnectionOrDsn, lost, session
from harmonia_py.errors import LockNotObtained
from harmonia_py.migrations import explain, history
from harmonia_py.migrations.files import Migration, read_folder, refuse_unsafe
from harmonia_py.migrations.plan import compare
from harmonia_py.migrations.split import Statement

__all__ = [
    "RETRY",
    "Event",
    "Listener",
    "Options",
    "Result",
    "apply",
    "check_syntax",
    "one_transaction",
    "reason",
    "reset_roles",
]

_ADVISORY_KEY = 0x4861726D6F6E6961  # "Harmonia"
RETRY = (pg.LockNotAvailable, pg.DeadlockDetected)


@dataclass(frozen=True, slots=True)
class Event:
    """Something the story tells: ``kind`` is applying, applied, waiting, retry or skipped."""

    kind: str
    version: str
    detail: str = ""


Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How long to try: ``wait`` and ``lock_timeout`` in seconds, ``tries`` per file."""

    lock_timeout: float = 4.0
    wait: float = 60.0
    tries: int = 5


@dataclass(frozen=True, slots=True)
class Result:
    """Versions this run applied, and those another runner applied meanwhile."""

    applied: tuple[str, ...]
    skipped: tuple[str, ...] = ()


def apply(
    target: ConnectionOrDsn,
    folder: Path,
    *,
    to: str | None = None,
    dry_run: bool = False,
    include_all: bool = False,
    options: Options | None = None,
    listener: Listener | None = None,
) -> Result:
    """Apply what is pending in ``folder``, up to and including version ``to``.

    Everything that can be refused is refused before the first change: duplicate versions,
    drift, files out of order (unless ``include_all``), transaction control, syntax errors in
    any pending file. ``dry_run`` stops there and returns what would be applied.

    Raises ``MigrationDrift``, ``MigrationRefused``, ``MigrationSyntax``, ``MigrationFailed``
    (that file rolled back, the ones before it kept), ``LockNotObtained`` (safe to retry).
    """
    files = read_folder(folder)
    options = options or Options()
    tell = listener or (lambda event: None)
    with session(target) as connection:
        plan = compare(files, history.read(connection))
        plan.require_agreement(include_all=include_all)
        pending = plan.up_to(to)
        for migration in pending:
            refuse_unsafe(migration)
        check_syntax(connection, pending)
        if dry_run or not pending:
            return Result(tuple(migration.version for migration in pending))
        history.prepare(connection)
        return _run_all(connection, pending, options, tell)


def check_syntax(connection: Connection, migrations: Sequence[Migration]) -> None:
    """Let the server parse every file without executing any of it.

    The server parses a whole query before it runs the first statement of it. Here the first is
    ``explain.GUARD``, which a transaction that has already failed refuses (25P02), and the rest
    of the query with it: its own grammar of its own version judges the text, and even a
    ``rollback`` that the splitter took for something else ends nothing.
    Raises ``MigrationSyntax``.
    """
    if not migrations:
        return
    connection.execute("begin")
    try:
        with suppress(pg.DivisionByZero):
            connection.execute("select 1 / 0")
        for migration in migrations:
            try:
                if migration.parts:
                    connection.execute(explain.GUARD + migration.sql.encode())
            except pg.InFailedSqlTransaction:
                continue
            except psycopg.Error as error:
                raise explain.syntax(migration, error) from None
    finally:
        connection.execute("rollback")


def _run_all(
    connection: Connection, pending: Sequence[Migration], options: Options, tell: Listener
) -> Result:
    applied: list[str] = []
    skipped: list[str] = []
    for migration in pending:
        tell(Event("applying", migration.version, migration.path.name))
        started = time.monotonic()
        if _run(connection, migration, options, tell, len(applied) + len(skipped)):
            applied.append(migration.version)
            tell(Event("applied", migration.version, f"{time.monotonic() - started:.2f} s"))
        else:
            skipped.append(migration.version)
            tell(Event("skipped", migration.version, "another runner applied it meanwhile"))
        connection.execute("reset all")
        reset_roles(connection)
    return Result(tuple(applied), tuple(skipped))


def _run(
    connection: Connection, migration: Migration, options: Options, tell: Listener, before: int
) -> bool:
    if migration.alone:
        return _run_alone(connection, migration, options, tell, before)
    for attempt in range(1, options.tries + 1):
        try:
            return _run_in_transaction(connection, migration, options, tell, before)
        except RETRY as error:
            if attempt == options.tries:
                raise LockNotObtained(
                    f"{migration.path.name}: {reason(error)} in {options.tries} tries"
                ) from None
            pause = random.uniform(0.5, 1.0) * min(0.25 * 2**attempt, 8.0)  # noqa: S311
            tell(Event("retry", migration.version, f"{reason(error)}; again in {pause:.1f} s"))
            time.sleep(pause)
    raise AssertionError("unreachable")


def _run_in_transaction(
    connection: Connection, migration: Migration, options: Options, tell: Listener, before: int
) -> bool:
    with one_transaction(connection, migration, before) as run:
        _lock_history(connection, migration, options, tell)
        if history.find(connection, migration.version):
            return False
        _set_lock_timeout(connection, options.lock_timeout)
        run()
        history.insert(connection, migration)
    return True


@contextmanager
def one_transaction(
    connection: Connection, migration: Migration, before: int
) -> Iterator[Callable[[], None]]:
    """Yield what runs the file; what it does and its row in the history come about or neither.

    Raises ``MigrationFailed``: with the place of a statement's error, or without one for what was
    deferred to the commit. ``before`` files are committed.
    """
    ran = False

    def run() -> None:
        nonlocal ran
        _execute_all(connection, migration, before)
        ran = True
        reset_roles(connection)

    try:
        with connection.transaction():
            yield run
    except RETRY:
        raise
    except psycopg.Error as error:
        if not ran or lost(connection, error):
            raise
        # No statement's own failure: what was deferred to the commit, or the file did away with
        # the history.
        last = migration.parts[-1] if migration.parts else Statement("", 0)
        raise explain.failure(migration, last, error, applied=before, placed=False) from None


def reset_roles(connection: Connection) -> None:
    """Become the role again that the session began as."""
    connection.execute("reset session authorization")
    connection.execute("reset role")


def _execute_all(connection: Connection, migration: Migration, before: int) -> None:
    """Send every statement without waiting for the one before, as the Supabase CLI does.

    Raises ``MigrationFailed`` with the place of an error; ``before`` files are committed.
    """
    cursors: list[psycopg.Cursor[tuple[object, ...]]] = []
    try:
        with connection.pipeline():
            for part in migration.parts:
                cursors.append(connection.cursor())
                cursors[-1].execute(part.text.encode())
    except RETRY:
        raise
    except psycopg.Error as error:
        if lost(connection, error):
            raise
        # The server skips what follows an error: the first without a result is the one.
        done = sum(cursor.pgresult is not None for cursor in cursors)
        failed = migration.parts[min(done, len(migration.parts) - 1)]
        raise explain.failure(migration, failed, error, applied=before) from None


def _lock_history(
    connection: Connection, migration: Migration, options: Options, tell: Listener
) -> None:
    lock = sql.SQL(
        "lock table supabase_migrations.schema_migrations in share row exclusive mode {}"
    )
    try:
        with connection.transaction():
            connection.execute(lock.format(sql.SQL("nowait")))
        return
    except pg.LockNotAvailable:
        tell(Event("waiting", migration.version, "another runner is at work"))
    _set_lock_timeout(connection, options.wait)
    try:
        connection.execute(lock.format(sql.SQL("")))
    except pg.LockNotAvailable:
        raise _busy(options) from None


def _run_alone(
    connection: Connection, migration: Migration, options: Options, tell: Listener, before: int
) -> bool:
    _advisory_lock(connection, migration, options, tell)
    try:
        if history.find(connection, migration.version):
            return False
        part = migration.parts[0]
        try:
            connection.execute(part.text.encode())
        except psycopg.Error as error:
            raise explain.failure(migration, part, error, applied=before) from None
        history.insert(connection, migration)
        return True
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", [_ADVISORY_KEY])


def _advisory_lock(
    connection: Connection, migration: Migration, options: Options, tell: Listener
) -> None:
    deadline = time.monotonic() + options.wait
    told = False
    while True:
        row = connection.execute("select pg_try_advisory_lock(%s)", [_ADVISORY_KEY]).fetchone()
        if row and row[0]:
            return
        if not told:
            tell(Event("waiting", migration.version, "another runner is at work"))
            told = True
        if time.monotonic() > deadline:
            raise _busy(options)
        time.sleep(random.uniform(0.1, 0.3))  # noqa: S311


def _set_lock_timeout(connection: Connection, seconds: float) -> None:
    connection.execute("select set_config('lock_timeout', %s, true)", [f"{seconds * 1000:.0f}ms"])


def _busy(options: Options) -> LockNotObtained:
    return LockNotObtained(f"another migration runner held the history for {options.wait:.0f} s")


def reason(error: psycopg.Error) -> str:
    """Say in a word why it is worth trying again."""
    return "deadlock" if isinstance(error, pg.DeadlockDetected) else "lock timeout"
