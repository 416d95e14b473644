"""The table ``supabase_migrations.schema_migrations``, shared with the Supabase CLI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

import psycopg
from psycopg import errors as pg
from psycopg import sql as sql_text

from harmonia_py.connection import Connection
from harmonia_py.migrations.files import Migration

__all__ = ["Applied", "exists", "find", "forget", "prepare", "read", "record"]

# Two sessions that create the same schema or table at once: the loser sees one of these.
_RACE = (
    pg.UniqueViolation,
    pg.DuplicateSchema,
    pg.DuplicateTable,
    pg.DuplicateColumn,
    pg.DuplicateObject,  # the type of the table's rows
    pg.LockNotAvailable,
)
#: The schema, the table and two columns: the Supabase CLI may be first at each of them.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of the history; ``statements`` is None where an older tool did not keep them."""

    version: str
    name: str | None
    statements: list[str] | None


def sql(name: str) -> str:
    """Return the text of a ``.sql`` file beside this module."""
    return (resources.files(__package__) / "sql" / name).read_text(encoding="utf-8")


def exists(connection: Connection, table: str = "schema_migrations") -> bool:
    """Tell whether the history table is there."""
    row = connection.execute(
        "select to_regclass('supabase_migrations.' || quote_ident(%s)) is not null", [table]
    ).fetchone()
    return bool(row and row[0])


def prepare(connection: Connection) -> None:
    """Create the history table where it is missing, in a transaction of its own."""
    create(connection, "prepare.sql", _complete)


def create(
    connection: Connection, script: str, done: Callable[[Connection], bool] = lambda _: False
) -> None:
    """Run one of the idempotent ``prepare`` scripts, also beside another session doing so.

    Not where it is ``done``, by a session that may hold the table by now, and for long.
    """
    for left in reversed(range(_TRIES)):
        if done(connection):
            return
        try:
            with connection.transaction():
                connection.execute("set local lock_timeout = '4s'")
                connection.execute(sql(script).encode())
            return
        except _RACE:
            if not left:
                raise


def read(connection: Connection) -> list[Applied]:
    """Return the whole history in version order; empty when there is no table.

    The columns that older releases of the Supabase CLI did not have are None.
    """
    there = _columns(connection)
    if "version" not in there:
        return []
    query = sql_text.SQL("select {} from supabase_migrations.schema_migrations").format(
        sql_text.SQL(", ").join(
            sql_text.Identifier(name) if name in there else sql_text.SQL("null")
            for name in ("version", "name", "statements")
        )
    )
    rows = connection.execute(query).fetchall()
    return sorted((Applied(*row) for row in rows), key=lambda row: row.version)


def find(connection: Connection, version: str) -> Applied | None:
    """Return the row of ``version``."""
    row = connection.execute(
        "select version, name, statements from supabase_migrations.schema_migrations"
        " where version = %s",
        [version],
    ).fetchone()
    return Applied(*row) if row else None


def record(connection: Connection, migration: Migration) -> None:
    """Write the row of ``migration`` (or bring it up to date)."""
    connection.execute(
        "insert into supabase_migrations.schema_migrations (version, statements, name)"
        " values (%s, %s, %s) on conflict (version)"
        " do update set statements = excluded.statements, name = excluded.name",
        [migration.version, migration.statements, migration.name],
    )


def insert(connection: Connection, migration: Migration) -> None:
    """Write the row of ``migration``; a row that is already there is an error."""
    connection.execute(
        "insert into supabase_migrations.schema_migrations (version, statements, name)"
        " values (%s, %s, %s)",
        [migration.version, migration.statements, migration.name],
    )


def forget(connection: Connection, version: str) -> bool:
    """Delete the row of ``version``; tell whether there was one."""
    cursor: psycopg.Cursor[object] = connection.execute(
        "delete from supabase_migrations.schema_migrations where version = %s", [version]
    )
    return cursor.rowcount > 0


def _complete(connection: Connection) -> bool:
    return len(_columns(connection)) == 3


def _columns(connection: Connection) -> set[str]:
    """Return which of the history's columns are there."""
    rows = connection.execute(
        "select attname::text from pg_catalog.pg_attribute"
        " where attrelid = to_regclass('supabase_migrations.schema_migrations')"
        " and attname in ('version', 'statements', 'name') and not attisdropped"
    ).fetchall()
    return {str(row[0]) for row in rows}
