"""Apply the migrations of any Supabase project, with remedies, and say what was done."""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from harmonia_py import dsn
from harmonia_py.engines.database import Database
from harmonia_py.migrations import history
from harmonia_py.migrations.split import Statement, split_with_offsets
from harmonia_py.platform.remedies import Connection, prepare_statement, remedies_for

__all__ = ["Failed", "ProjectApplied", "Remedied", "apply_project", "migrations_in"]

_NAME = re.compile(r"[0-9]+_.*\.sql")
_META = re.compile(r"^\\(restrict|unrestrict|connect|c|set|echo|timing|i|ir)\b[^\n]*$", re.M)
SEARCH_PATH = '"$user", public, extensions'


@dataclass(frozen=True, slots=True)
class Remedied:
    """A statement that ran otherwise than written: where, and how."""

    file: str
    line: int
    said: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that did not apply: the statement that failed, its line and the reason."""

    file: str
    line: int
    reason: str
    statement: str
    sqlstate: str | None = None


@dataclass(slots=True)
class ProjectApplied:
    """What :func:`apply_project` did, file by file."""

    applied: list[str] = field(default_factory=list)
    remedied: list[Remedied] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every file applied."""
        return not self.failed


def migrations_in(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the files the Supabase CLI would apply, in its order, and the names it would skip.

    Other people's files are taken as they are: what their text holds is for later to remedy.
    """
    files: list[Path] = []
    skipped: list[str] = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name) if folder.is_dir() else ():
        if path.is_file() and path.suffix == ".sql":
            if _NAME.fullmatch(path.name):
                files.append(path)
            else:
                skipped.append(path.name)
    return files, skipped


def apply_project(
    database: Database,
    folder: Path,
    *,
    keep_going: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> ProjectApplied:
    """Apply every migration of ``folder`` as ``postgres``, each file in one transaction.

    A file that fails is rolled back and listed; the ones after it run only with ``keep_going``.
    Files whose names the Supabase CLI would skip are skipped. The history table is there and
    names what was applied, as the CLI leaves it: some projects read it.
    """
    files, skipped = migrations_in(folder)
    result = ProjectApplied(skipped=skipped)
    with dsn.connect(database.admin_dsn or database.owner_dsn, autocommit=True) as conn:
        conn.prepare_threshold = None
        _become_owner(conn, database)
        history.prepare(conn)
        for path in files:
            progress(path.name)
            remedied: list[Remedied] = []
            _become_owner(conn, database)
            failed = None
            with conn.transaction():
                failed = _apply_file(conn, path, database.name, remedied)
                if failed is not None:
                    raise psycopg.Rollback
            if failed is None:
                result.applied.append(path.name)
                result.remedied += remedied
                _become_owner(conn, database)
                _record(conn, path)
                continue
            result.failed.append(failed)
            if not keep_going:
                break
    return result


def _record(conn: Connection, path: Path) -> None:
    version, _, name = path.stem.partition("_")
    with contextlib.suppress(psycopg.Error):  # a project may have its own idea of this table
        conn.execute(
            "insert into supabase_migrations.schema_migrations (version, name) values (%s, %s)"
            " on conflict (version) do nothing",
            [version, name],
        )


def _become_owner(conn: Connection, database: Database) -> None:
    """Be what a fresh session of ``postgres`` would be."""
    conn.execute("reset all")
    if database.admin_dsn is not None:
        # The superuser stays behind the session, for what the platform lends its rights to.
        conn.execute("set session authorization postgres")
    conn.execute("select pg_catalog.set_config('search_path', %s, false)", [SEARCH_PATH])


def _apply_file(
    conn: Connection, path: Path, database: str, remedied: list[Remedied]
) -> Failed | None:
    text, changes = _text(path)
    remedied += [Remedied(path.name, 1, word) for word in changes]
    cleaned = _META.sub(lambda match: " " * len(match[0]), text)
    if cleaned != text:
        remedied.append(Remedied(path.name, 1, "commands of psql left out"))
    parts: list[tuple[Statement, int, str]] = []
    for part in split_with_offsets(cleaned):
        line = cleaned.count("\n", 0, part.offset) + 1
        statement, said = prepare_statement(part.text, database)
        if said is not None:
            remedied.append(Remedied(path.name, line, said))
        if statement is not None:
            parts.append((part, line, statement))
    if _apply_at_once(conn, [statement for _, _, statement in parts]):
        return None
    for part, line, statement in parts:
        try:
            with conn.transaction():
                conn.execute(statement.encode())
        except psycopg.Error as error:
            said = _help(conn, statement, error)
            if said is None:
                return _failure(path, cleaned, part, error)
            remedied.append(Remedied(path.name, line, said))
    return None


def _apply_at_once(conn: Connection, statements: list[str]) -> bool:
    """Run all statements in one message; False, and nothing done, when one of them fails.

    Most files need no remedy, and a savepoint for each statement takes twice as long as the file.
    """
    try:
        with conn.transaction():
            conn.execute("\n;\n".join(statements).encode())
    except psycopg.Error:
        if conn.broken:
            raise
        return False
    return True


def _text(path: Path) -> tuple[str, list[str]]:
    """Return a file's text as the server takes it, and what had to be left out for that."""
    said: list[str] = []
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # An editor of another system wrote it; in UTF-8 it is the same text.
        said.append("read as UTF-16")
        text = data.decode("utf-16", errors="replace")
    else:
        if data.startswith(codecs.BOM_UTF8):
            said.append("byte order mark left out")
        text = data.decode("utf-8-sig", errors="replace")
    if "\ufffd" in text and "\ufffd".encode() not in data:
        said.append("bytes that are not UTF-8 replaced")
    if "\0" in text:
        said.append("NUL characters left out")
        text = text.replace("\0", "")
    return text, said


def _help(conn: Connection, statement: str, error: psycopg.Error) -> str | None:
    """Try remedies, and remedies for what then fails; return what helped."""
    said: list[str] = []
    for remedy in remedies_for(statement, error):
        try:
            with conn.transaction():
                remedy.action(conn)
            return remedy.said
        except psycopg.Error as second:
            # One remedy may only uncover what the next one helps with.
            for further in remedies_for(statement, second):
                try:
                    with conn.transaction():
                        further.action(conn)
                except psycopg.Error:
                    continue
                return "; ".join([*said, remedy.said, further.said])
    return None


def _failure(path: Path, text: str, part: Statement, error: psycopg.Error) -> Failed:
    position = int(error.diag.statement_position or 1) - 1
    line = text.count("\n", 0, part.offset + position) + 1
    reason = (error.diag.message_primary or str(error)).strip()
    return Failed(path.name, line, reason, part.text, error.sqlstate)
