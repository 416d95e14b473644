"""Run the seed files once, remembered in the seed history of the Supabase CLI."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from harmonia_py.connection import Connection, ConnectionOrDsn, session
from harmonia_py.errors import FolderMissing, LockNotObtained, MigrationRefused
from harmonia_py.migrations import history
from harmonia_py.migrations.apply import RETRY, one_transaction, reason, reset_roles
from harmonia_py.migrations.files import Migration, read_sql, refuse_unsafe
from harmonia_py.migrations.split import split_with_offsets
from harmonia_py.project import Project

__all__ = ["Seeded", "apply"]


@dataclass(frozen=True, slots=True)
class Seeded:
    """Paths that ran, that ran before, and that changed since they ran (and were left)."""

    applied: tuple[str, ...]
    present: tuple[str, ...]
    changed: tuple[str, ...]


def apply(target: ConnectionOrDsn, project: Project, *, again: bool = False) -> Seeded:
    """Run every seed file of config.toml that has not run, each in one transaction.

    A file that changed since it ran is left alone, because a seed need not be idempotent;
    ``again`` runs changed and unchanged ones once more. Raises ``FolderMissing`` without a
    seed file, ``MigrationFailed`` with the place of an error, ``MigrationRefused``, and
    ``LockNotObtained`` (safe to retry).
    """
    files = project.seeds()
    if not files:
        raise FolderMissing(
            f"there is no seed file in {project.supabase}",
            hint="write supabase/seed.sql, or correct [db.seed] sql_paths in config.toml",
        )
    done: dict[str, list[str]] = {"applied": [], "present": [], "changed": []}
    with session(target) as connection:
        if not history.exists(connection, "seed_files"):
            history.create(connection, "prepare_seeds.sql")
        for path in files:
            name = path.relative_to(project.root).as_posix()
            text = read_sql(path)
            digest = hashlib.sha256(text.encode()).hexdigest()
            seed = Migration("", name, path, text, tuple(split_with_offsets(text)))
            _refuse(seed)
            before = len(done["applied"])
            done[_apply_one(connection, seed, digest, again=again, before=before)].append(name)
            connection.execute("reset all")
            reset_roles(connection)
    return Seeded(*(tuple(done[key]) for key in ("applied", "present", "changed")))


def _refuse(seed: Migration) -> None:
    refuse_unsafe(seed)
    if seed.alone:
        raise MigrationRefused(
            f"{seed.path.name}: its statement cannot run in a transaction, and a seed file is one",
            hint="delete it, or move it to a migration (`harmonia migrate new NAME`)",
        )


def _apply_one(
    connection: Connection, seed: Migration, digest: str, *, again: bool, before: int
) -> str:
    try:
        with one_transaction(connection, seed, before) as run:
            connection.execute("set local lock_timeout = '60s'")
            connection.execute(
                "lock table supabase_migrations.seed_files in share row exclusive mode"
            )
            row = connection.execute(
                "select hash from supabase_migrations.seed_files where path = %s", [seed.name]
            ).fetchone()
            if row and not again:
                return "present" if row[0] == digest else "changed"
            connection.execute("set local lock_timeout = '4s'")
            run()
            connection.execute(
                "insert into supabase_migrations.seed_files (path, hash) values (%s, %s)"
                " on conflict (path) do update set hash = excluded.hash",
                [seed.name, digest],
            )
    except RETRY as error:
        raise LockNotObtained(f"{seed.path.name}: {reason(error)}") from None
    return "applied"
