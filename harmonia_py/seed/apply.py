"""Run the seed files once, remembered in the seed history of the Supabase CLI."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import psycopg

from harmonia_py.connection import Connection, ConnectionOrDsn, session
from harmonia_py.errors import FolderMissing
from harmonia_py.migrations import explain, history
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
    seed file and ``MigrationFailed`` with the place of an error.
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
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            text = read_sql(path)
            seed = Migration("", name, path, text, tuple(split_with_offsets(text)))
            done[_apply_one(connection, seed, digest, again=again)].append(name)
    return Seeded(*(tuple(done[key]) for key in ("applied", "present", "changed")))


def _apply_one(connection: Connection, seed: Migration, digest: str, *, again: bool) -> str:
    refuse_unsafe(seed)
    with connection.transaction():
        connection.execute("set local lock_timeout = '60s'")
        connection.execute("lock table supabase_migrations.seed_files in share row exclusive mode")
        row = connection.execute(
            "select hash from supabase_migrations.seed_files where path = %s", [seed.name]
        ).fetchone()
        if row and not again:
            return "present" if row[0] == digest else "changed"
        connection.execute("set local lock_timeout = '4s'")
        for part in seed.parts:
            try:
                connection.execute(part.text.encode())
            except psycopg.Error as error:
                raise explain.failure(seed, part, error, applied=0) from None
        connection.execute(
            "insert into supabase_migrations.seed_files (path, hash) values (%s, %s)"
            " on conflict (path) do update set hash = excluded.hash",
            [seed.name, digest],
        )
    return "applied"
