"""Prove on a scratch server that migrations and policy sources give the same database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harmonia_py import migrations
from harmonia_py.connection import Connection, session
from harmonia_py.engines import Database, Engine
from harmonia_py.errors import PoliciesStale
from harmonia_py.migrations.split import split
from harmonia_py.policies import compile as compile_
from harmonia_py.policies import rules
from harmonia_py.policies.snapshot import Snapshot, difference, snapshot, sql
from harmonia_py.policies.source import PolicyFile, read_sources
from harmonia_py.project import Project

__all__ = ["Replayed", "expected", "replay"]

TIMES = 2


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many objects were compared, and the tables that were found closed."""

    objects: int
    tables: tuple[str, ...]


def replay(engine: Engine, project: Project) -> Replayed:
    """Compare a database made by the migrations with one where every policy file ran twice.

    Also holds every table of an exposed schema to forced row level security and to a policy
    file. Raises ``PoliciesStale`` naming the first difference.
    """
    compile_.check(project.policies, project.migrations)
    files = read_sources(project.policies)
    schemas = project.section("api").get("schemas", ["public"])
    with engine.database() as database:
        migrations.apply(database.owner_dsn, project.migrations)
        with session(database.owner_dsn) as connection:
            carried = snapshot(connection)
            apply_sources(connection, files)
            repeated = snapshot(connection)
            tables = _closed_tables(connection, schemas, files)
    _require_same(carried, repeated)
    return Replayed(len(carried), tuple(tables))


def expected(engine: Engine, project: Project) -> Snapshot:
    """Return the snapshot of a database built from this project's migrations."""
    with engine.database() as database:
        return _built(database, project)


def apply_sources(connection: Connection, files: Sequence[PolicyFile]) -> None:
    """Run every policy file twice, each in one transaction."""
    for file in [*files] * TIMES:
        with connection.transaction():
            for statement in split(file.text):
                connection.execute(statement.encode())


def _built(database: Database, project: Project) -> Snapshot:
    migrations.apply(database.owner_dsn, project.migrations)
    with session(database.owner_dsn) as connection:
        return snapshot(connection)


def _require_same(carried: Snapshot, repeated: Snapshot) -> None:
    differences = difference(repeated, carried)
    if differences:
        first = differences[0]
        raise PoliciesStale(
            f"{len(differences)} objects differ between the migrations and the policy files, "
            f"first the {first.kind} {first.name}",
            hint="a migration changes what a policy file declares; declare it in the policy file "
            "and compile",
        )


def _closed_tables(
    connection: Connection, schemas: Sequence[str], files: Sequence[PolicyFile]
) -> list[str]:
    owned = rules.check(list(files))
    rows = connection.execute(sql("uncovered.sql"), {"schemas": list(schemas)}).fetchall()
    for name, closed in rows:
        if not closed:
            raise PoliciesStale(
                f"{name} does not have row level security enabled and forced",
                hint=f"end the migration that creates it with call private.lock_down('{name}');",
            )
        if name not in owned:
            raise PoliciesStale(
                f"no policy file speaks for {name}",
                hint=f"begin its section with call private.lock_down('{name}');",
            )
    return [str(name) for name, _ in rows]
