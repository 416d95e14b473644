"""Look for what is wrong or late in a database, each with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg

from harmonia_py.connection import ConnectionOrDsn, session
from harmonia_py.errors import HarmoniaError
from harmonia_py.lifecycle import sql as statements

__all__ = ["Finding", "examine", "reload_api"]


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


def reload_api(target: ConnectionOrDsn) -> None:
    """Ask PostgREST to read the schema again; what it missed then becomes visible."""
    with session(target) as conn:
        conn.execute("select pg_notify('pgrst', 'reload schema')")
