"""Look for what is wrong or late in a database, each with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg

from harmonia_py.connection import ConnectionOrDsn, session
from harmonia_py.engines import EmbeddedEngine, binaries
from harmonia_py.errors import HarmoniaError
from harmonia_py.lifecycle import sql as statements
from harmonia_py.project import Project

__all__ = ["Finding", "drift", "examine", "reload_api"]


# The platform's own schemas differ from one to the next.
_OURS = ("public.", "private.", "audit.")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: ``severity`` is error, warning or info."""

    code: str
    severity: str
    what: str
    remedy: str


def examine(target: ConnectionOrDsn, *, supabase: Path | None = None) -> list[Finding]:
    """Return what is wrong or late, errors first; changes nothing.

    With the project's ``supabase`` folder also whether its migrations and policies are live.
    """
    with session(target) as conn:
        try:
            rows = conn.execute(statements.load("doctor")).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise HarmoniaError(
                f"this database is not migrated: {error.diag.message_primary}",
                hint="run harmonia migrate apply",
            ) from None
        findings = [Finding(*row) for row in rows]
        if supabase is not None:
            findings += _project(conn, supabase)
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(findings, key=lambda f: (order[f.severity], f.code, f.what))


def _project(conn: psycopg.Connection[tuple[object, ...]], supabase: Path) -> list[Finding]:
    """Compare the project's files with the history of the database."""
    known = conn.execute("select to_regclass('supabase_migrations.schema_migrations')").fetchone()
    applied: set[str] = set()
    if known is not None and known[0] is not None:
        applied = {
            str(row[0])
            for row in conn.execute("select version from supabase_migrations.schema_migrations")
        }
    found = []
    for path in sorted((supabase / "migrations").glob("*.sql")):
        if path.name.partition("_")[0] not in applied:
            policies = path.name.endswith("_policies.sql")
            found.append(
                Finding(
                    "policies.drift" if policies else "migration.pending",
                    "error" if policies else "warning",
                    f"{path.name} is not applied",
                    "run harmonia migrate apply",
                )
            )
    return found


def drift(target: ConnectionOrDsn, project: Project) -> list[Finding]:
    """Return what the database has otherwise than the project's migrations give a new one.

    Policies, privileges, functions, views and triggers of ours, switched off ones too; reads the
    database only. Versions of PostgreSQL print them differently, so the scratch server is of the
    same one; where there is none that is said, and nothing is taken for good.
    """
    from harmonia_py import policies

    with session(target) as conn:
        major = conn.info.server_version // 10_000
    same = next((b for b in binaries.installed() if b.major == major), None)
    if same is None:
        return [
            Finding(
                "policies.not_compared",
                "warning",
                f"policies were not compared: there is no PostgreSQL {major} on this machine",
                f"install postgresql-{major}, or set HARMONIA_PG_BIN",
            )
        ]
    with EmbeddedEngine(same.bin_dir) as engine:
        differences = policies.diff_database(target, engine, project)
    return [
        Finding(
            "policies.drift",
            "error",
            f"the {difference.kind} {difference.name} is "
            + ("missing" if difference.found is None else "not what the project declares"),
            "see harmonia policies diff; the files in supabase/policies may be run again",
        )
        for difference in differences
        if difference.name.startswith(_OURS)
    ]


def reload_api(target: ConnectionOrDsn) -> None:
    """Ask PostgREST to read the schema again; what it missed then becomes visible."""
    with session(target) as conn:
        conn.execute("select pg_notify('pgrst', 'reload schema')")
