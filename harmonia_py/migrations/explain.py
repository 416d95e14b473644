"""Turn a server error into file, line, statement and caret."""

from __future__ import annotations

import psycopg
from psycopg import errors as pg

from harmonia_py.errors import MigrationFailed, MigrationSyntax
from harmonia_py.migrations.files import NO_TRANSACTION_LINE, Migration
from harmonia_py.migrations.split import Statement

__all__ = ["GUARD", "failure", "syntax"]

#: What stands before a file that is only parsed: the server refuses it, and all behind it.
GUARD = b"select 1;"
_WIDTH = 96


def syntax(migration: Migration, error: psycopg.Error) -> MigrationSyntax:
    """Explain an error whose position counts from the guard before the file."""
    position = max(int(error.diag.statement_position or 1) - 1 - len(GUARD), 0)
    line, text = _at(migration, position, error)
    return MigrationSyntax(
        text, file=migration.path.name, line=line, sqlstate=error.sqlstate or "42601"
    )


def failure(
    migration: Migration,
    statement: Statement,
    error: psycopg.Error,
    *,
    applied: int,
    placed: bool = True,
) -> MigrationFailed:
    """Explain why ``statement`` failed; ``applied`` files before this one are committed.

    Without ``placed`` the position that the error has is not one in the statement.
    """
    position = error.diag.statement_position if placed else None
    offset = statement.offset + (int(position) - 1 if position else 0)
    line, text = _at(migration, offset, error)
    kept = f"the {applied} before it stay applied" if applied else "nothing was applied"
    hint = f"the whole file was rolled back, {kept}; correct it and run again"
    if migration.alone:
        hint = (
            "this statement runs without a transaction: an interrupted `concurrently` leaves an "
            "invalid index behind; drop it, correct the cause and run again"
        )
    elif isinstance(error, pg.ActiveSqlTransaction):
        hint = (
            f"{hint}: such a statement stands alone in a file whose first line is "
            f"`{NO_TRANSACTION_LINE}`"
        )
    if error.diag.message_hint:
        hint = f"{error.diag.message_hint} ({hint})"
    return MigrationFailed(
        text, hint=hint, file=migration.path.name, line=line, sqlstate=error.sqlstate
    )


def _at(migration: Migration, offset: int, error: psycopg.Error) -> tuple[int, str]:
    sql = migration.sql
    start = sql.rfind("\n", 0, offset) + 1
    end = sql.find("\n", offset)
    source = sql[start : end if end >= 0 else len(sql)].rstrip("\r").expandtabs(4)
    column = len(sql[start:offset].expandtabs(4))
    cut = max(0, column - _WIDTH + 16)
    line = migration.line_of(offset)
    reason = error.diag.message_primary or str(error).strip().partition("\n")[0]
    if error.diag.message_detail:
        reason = f"{reason} ({error.diag.message_detail})"
    caret = " " * (column - cut) + "^"
    shown = source[cut : cut + _WIDTH]
    return line, f"{migration.path.name}:{line}:{column + 1}: {reason}\n    {shown}\n    {caret}"
