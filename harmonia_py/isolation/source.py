"""Where the judged database comes from: a throw-away copy of a project, or a given URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harmonia_py import dsn
from harmonia_py.engines import Database, Engine
from harmonia_py.errors import CouldNotVerify, UsageError
from harmonia_py.platform.projects import apply_project, migrations_in
from harmonia_py.project import Project

__all__ = ["Source", "Unapplied", "engine", "from_project", "from_url"]


@dataclass(frozen=True, slots=True)
class Unapplied:
    """A migration that failed: file, line, reason and the statement."""

    file: str
    line: int
    reason: str
    statement: str


@dataclass(frozen=True, slots=True)
class Source:
    """A database ready to be judged; ``dsn`` is not for printing.

    ``remedied`` lists statements that ran otherwise than written, with file, line and how.
    """

    dsn: str
    label: str
    stand_ins: tuple[str, ...] = ()
    unapplied: tuple[Unapplied, ...] = ()
    remedied: tuple[str, ...] = ()
    #: Makes one more database like this one; None where that is not ours to do.
    copy: Callable[[], str] | None = None


def engine(
    name: str, *, image: str | None = None, pg_bin: Path | None = None
) -> AbstractContextManager[Engine]:
    """Return the engine called ``name`` (embedded or container), not yet started."""
    if name == "container":
        from harmonia_py.engines.container import ContainerEngine

        return ContainerEngine(image)
    if name == "embedded":
        from harmonia_py.engines.embedded import EmbeddedEngine

        return EmbeddedEngine(pg_bin)
    raise UsageError(f"there is no engine {name}", hint="embedded or container; or give --db-url")


def from_url(url: str, *, not_production: bool = False) -> Source:
    """Take the database a URL names; refuses a remote host unless told it is not production."""
    dsn.require_session(url)
    if not not_production and not dsn.is_loopback(url):
        raise UsageError(
            f"{dsn.redact(url)} is not this machine: probing locks tables and fires triggers",
            hint="use a copy or a branch, or say --yes-this-is-not-production",
        )
    return Source(url, f"url {dsn.redact(url)}")


@contextmanager
def from_project(
    project: Project,
    made_by: AbstractContextManager[Engine],
    *,
    keep_going: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Source]:
    """Apply a project's migrations and seeds to a throw-away database and yield it.

    Raises CouldNotVerify naming file, line and statement when one fails, unless
    ``keep_going``: then what failed is listed in ``unapplied``.
    """
    files, others = migrations_in(project.migrations)
    if not files and others:
        raise CouldNotVerify(
            f"no file in {project.migrations} is called <version>_<name>.sql,"
            f" as a migration is: {_some(others)}",
            hint=f"rename them in the order they run, as 0001_{_stem(others[0])}.sql:"
            " the Supabase CLI applies no other names",
        )
    if not files:
        raise CouldNotVerify(
            f"there is no migration in {project.migrations}",
            hint="run this in a project folder, or give --db-url",
        )
    progress("starting a database")
    with made_by as server, server.database() as database:
        progress(f"applying {len(files)} migrations")
        applied = apply_project(database, project.migrations, keep_going=keep_going)
        failed = [Unapplied(f.file, f.line, f.reason, f.statement.strip()) for f in applied.failed]
        if failed and not keep_going:
            raise CouldNotVerify(
                f"{failed[0].file}:{failed[0].line}: {failed[0].reason}",
                hint="correct the migration, or use --keep-going to judge the rest"
                + (f"; left out, for their names: {_some(others)}" if others else ""),
            )
        stand_ins: list[str] = []
        with database.connect_admin() as conn:
            from harmonia_py import platform

            stand_ins = platform.stand_ins(conn)
        try:
            yield Source(
                database.admin_dsn or database.owner_dsn,
                server.label,
                tuple(stand_ins),
                tuple(failed),
                (
                    *(f"{name}: left out, for it is not <version>_<name>.sql" for name in others),
                    *(f"{r.file}:{r.line}: {r.said}" for r in applied.remedied),
                ),
                lambda: _copied(server, database),
            )
        except CouldNotVerify as error:
            if not failed and not others:
                raise
            if not failed:
                left = f"left out, for they are not <version>_<name>.sql: {_some(others)}"
                raise CouldNotVerify(str(error), hint=left) from error
            raise CouldNotVerify(
                str(error),
                hint=f"{len(failed)} of {len(files)} migrations failed, the first at"
                f" {failed[0].file}:{failed[0].line}: {failed[0].reason}",
            ) from error


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _stem(name: str) -> str:
    """Return what a file is called without a number in front."""
    return name.removesuffix(".sql").lstrip("0123456789-. ") or "init"


def _copied(server: Engine, database: Database) -> str:
    """Copy a database; the engine drops the copy when it closes."""
    twin = server.create_database(template=database.name)
    return twin.admin_dsn or twin.owner_dsn
