"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harmonia_py import dsn
from harmonia_py.errors import ConsentRequired, UsageError

__all__ = ["DatabaseUrlOption", "SupabaseDirOption", "YesOption", "consent", "database_url"]

DatabaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--db-url", envvar="DATABASE_URL", show_envvar=True, help="PostgreSQL URL of the database."
    ),
]
SupabaseDirOption = Annotated[
    Path | None,
    typer.Option(
        "--supabase-dir",
        envvar="HARMONIA_SUPABASE_DIR",
        help="The project's supabase folder (default: the nearest one above here).",
    ),
]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Agree to write to a database that is not on this machine.")
]


def database_url(given: str | None) -> str:
    """Return the database URL, or say where to give it."""
    if not given:
        raise UsageError(
            "no database is named", hint="give --db-url or set DATABASE_URL (see `harmonia up`)"
        )
    dsn.parse(given)
    return given


def consent(url: str, *, yes: bool, action: str) -> None:
    """Raise ``ConsentRequired`` unless the host is loopback, --yes was given, or a person agrees.

    Never asks when stdin or stderr is not a terminal.
    """
    if yes or dsn.is_loopback(url):
        return
    import sys

    where = dsn.redact(url)
    if (
        sys.stdin.isatty()
        and sys.stderr.isatty()
        and typer.confirm(f"{action} on {where}?", default=False, err=True)
    ):
        return
    raise ConsentRequired(f"{action} would write to {where}, which is not this machine")
