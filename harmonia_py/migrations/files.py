"""Read the folder of migrations: what is a migration, what is skipped, what is not allowed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harmonia_py.errors import FolderMissing, MigrationRefused
from harmonia_py.migrations.split import Statement, leading_words, lone_return, split_with_offsets

__all__ = ["NO_TRANSACTION_LINE", "Folder", "Migration", "read_folder", "read_sql"]

_FILE_NAME = re.compile(r"([0-9]+)_(.*)\.sql")
_ALONE_FIRST = {"vacuum", "cluster"}
_TRANSACTION_CONTROL = {
    "begin", "commit", "end", "abort", "rollback", "savepoint", "release", "start",
}  # fmt: skip
NO_TRANSACTION_LINE = "-- pg-delta: transaction=false"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: ``<version>_<name>.sql`` and the statements the history records for it."""

    version: str
    name: str
    path: Path
    sql: str
    parts: tuple[Statement, ...]

    @property
    def statements(self) -> list[str]:
        """Return the statements as the history table holds them."""
        return [part.text for part in self.parts]

    @property
    def alone(self) -> bool:
        """Tell whether the file holds one statement that cannot run in a transaction."""
        return len(self.parts) == 1 and (
            _runs_alone(self.parts[0].text) or self.sql.startswith(NO_TRANSACTION_LINE)
        )

    def line_of(self, offset: int) -> int:
        """Return the 1-based line of a character offset."""
        return self.sql.count("\n", 0, offset) + 1


@dataclass(frozen=True, slots=True)
class Folder:
    """The migrations of a folder in the order they run, and the names that are none."""

    path: Path
    migrations: tuple[Migration, ...]
    skipped: tuple[str, ...]

    @property
    def duplicates(self) -> dict[str, list[str]]:
        """Return the file names of every version that more than one file claims."""
        by_version: dict[str, list[str]] = {}
        for migration in self.migrations:
            by_version.setdefault(migration.version, []).append(migration.path.name)
        return {version: names for version, names in by_version.items() if len(names) > 1}


def read_folder(folder: Path) -> Folder:
    """Return the migrations directly in ``folder``, sorted by file name as text.

    Raises ``FolderMissing`` without the folder and ``MigrationRefused`` for what has the name of
    a migration and cannot be read or is not UTF-8. Files whose name is not
    ``<digits>_<name>.sql`` are listed in ``skipped``.
    """
    if not folder.is_dir():
        raise FolderMissing(f"there is no migrations folder {folder}")
    found: list[Migration] = []
    skipped: list[str] = []
    for path in _entries(folder):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            if path.is_file():
                skipped.append(path.name)
            continue
        if not path.is_file():
            raise MigrationRefused(
                f"{path.name} has the name of a migration and is no file, or leads to none",
                hint="put the file in its place, or remove it",
            )
        sql = read_sql(path)
        parts = tuple(split_with_offsets(sql))
        found.append(Migration(match[1], match[2], path, sql, parts))
    return Folder(folder, tuple(found), tuple(skipped))


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder and not hidden, sorted by name."""
    try:
        found = sorted(folder.iterdir(), key=lambda path: path.name)
        for path in found:
            path.lstat()  # fails for all of them where the folder may be listed and not entered
    except OSError as error:
        raise MigrationRefused(
            f"{folder} cannot be read: {error.strerror}", hint="check its owner and mode"
        ) from None
    return [path for path in found if not path.name.startswith(".")]


def read_sql(path: Path) -> str:
    """Return the text of a file, its line endings untouched."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise MigrationRefused(
            f"{path.name} is not UTF-8 (byte {error.start})", hint="save it as UTF-8"
        ) from None
    except OSError as error:
        raise MigrationRefused(
            f"{path.name} cannot be read: {error.strerror}", hint="check its owner and mode"
        ) from None
    if text.startswith("\ufeff"):
        raise MigrationRefused(
            f"{path.name} begins with a byte order mark", hint="save it as UTF-8 without BOM"
        )
    if (zero := text.find("\0")) >= 0:
        # The protocol ends a text there: what follows would count as applied, and never run.
        raise MigrationRefused(
            f"{path.name}:{text.count(chr(10), 0, zero) + 1}: a zero byte is no SQL",
            hint="delete it, or save the file as UTF-8",
        )
    return text


def refuse_unsafe(migration: Migration) -> None:
    """Raise ``MigrationRefused`` for what would break "one file, one transaction".

    The Supabase CLI gives up the transaction for such files, or fails on them; refusing them
    keeps a file whole with either tool.
    """
    if (offset := lone_return(migration.sql)) is not None:
        raise MigrationRefused(
            f"{migration.path.name}:{migration.line_of(offset)}: a carriage return alone ends a "
            "comment for PostgreSQL, and does not for the Supabase CLI",
            hint="save the file with Unix line endings",
        )
    for part in migration.parts:
        reason = _unsafe(part.text, whole_file=len(migration.parts) == 1)
        if reason:
            line = migration.line_of(part.offset)
            raise MigrationRefused(f"{migration.path.name}:{line}: {reason[0]}", hint=reason[1])
    if migration.sql.startswith(NO_TRANSACTION_LINE) and len(migration.parts) > 1:
        raise MigrationRefused(
            f"{migration.path.name}:1: `{NO_TRANSACTION_LINE[3:]}` with "
            f"{len(migration.parts)} statements could be left half applied",
            hint="give each statement that needs it a file of its own",
        )


def _unsafe(statement: str, *, whole_file: bool) -> tuple[str, str] | None:
    words = [*leading_words(statement), "", ""]
    if words[0] in _TRANSACTION_CONTROL or words[:2] == ["prepare", "transaction"]:
        return (
            f"`{words[0]}` would split the file into several transactions",
            "delete it: each file already runs in one transaction with its history row",
        )
    if words[0] == "lock":
        return (
            "a top-level `lock table` fails under the Supabase CLI",
            "write do $$ begin lock table ...; end $$",
        )
    if words[0] == "copy" and {"stdin", "stdout"} & set(words):
        return ("`copy` needs a client that streams rows", "use insert, or `harmonia seed`")
    if _runs_alone(statement) and not whole_file:
        return (
            f"`{words[0]} ... ` cannot run in a transaction, so it must be alone in its file",
            "move it to a migration of its own (`harmonia migrate new NAME`)",
        )
    return None


def _runs_alone(statement: str) -> bool:
    words = [*leading_words(statement), "", ""]
    if words[0] in _ALONE_FIRST or words[:2] == ["alter", "system"]:
        return True
    return words[0] in {"create", "drop", "reindex"} and "concurrently" in words[:6]
