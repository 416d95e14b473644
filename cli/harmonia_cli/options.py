"""Options that many commands share."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from harmonia_cli.output import OutputFormat, command
from harmonia_py import dsn, organizations
from harmonia_py.errors import ConsentRequired, UsageError

__all__ = [
    "PUBLIC_KEY",
    "DatabaseUrlOption",
    "OnlyOrganizationOption",
    "OrganizationOption",
    "SupabaseDirOption",
    "YesOption",
    "consent",
    "database_url",
    "looked_up",
    "organization_option",
    "path",
    "public_key_given",
    "utc",
]


PUBLIC_KEY = "HARMONIA_AUDIT_PUBLIC_KEY"


def organization_option(help_: str, *, envvar: str | None = None) -> Any:
    """Return ``--organization``, which takes a short name or an id and gives the id."""
    return typer.Option(
        "--organization",
        envvar=envvar,
        metavar="NAME|ID",
        parser=str,
        callback=_organization,
        help=help_,
    )


def _organization(context: typer.Context, name: str | None) -> UUID | None:
    """Return the id; a short name is looked up in the database that the command is for."""
    if name is None or context.resilient_parsing:
        return None
    try:
        return UUID(name)
    except ValueError:
        pass
    with command(context.params.get("output", OutputFormat.text)):
        return looked_up(context.params.get("db_url"), name)


def looked_up(db_url: str | None, name: str) -> UUID:
    """Return the id of the organization with a short name."""
    with dsn.connect(database_url(db_url)) as conn:
        return organizations.find(conn, name)


def path(text: str | Path) -> Path:
    """Return a path that was given; every option and argument that takes one is read by this.

    An empty one, as an unset variable gives it, would be the current folder.
    """
    if text == "":
        raise typer.BadParameter("the path is empty; is a variable unset?")
    return Path(text)


def public_key_given(text: str | None) -> str | None:
    """Refuse a variable that is there and empty: it is taken as unset, and nothing is checked."""
    if text is None and PUBLIC_KEY in os.environ:
        raise UsageError(
            f"{PUBLIC_KEY} is empty", hint="give the key, or unset it to check no signatures"
        )
    return text


DatabaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--db-url",
        envvar="DATABASE_URL",
        show_envvar=True,
        # Read before the others: an organization is looked up there.
        is_eager=True,
        help="PostgreSQL URL of the database.",
    ),
]
OrganizationOption = Annotated[
    UUID,
    organization_option(
        "The organization, by its short name (slug) or id.", envvar="HARMONIA_ORGANIZATION"
    ),
]
# Not from the environment: a part that was asked for by accident would pass for everything.
OnlyOrganizationOption = Annotated[
    UUID | None, organization_option("Only this organization, by its short name (slug) or id.")
]
SupabaseDirOption = Annotated[
    Path | None,
    typer.Option(
        "--supabase-dir",
        envvar="HARMONIA_SUPABASE_DIR",
        help="The project's supabase folder (default: the nearest one above here).",
        parser=path,
    ),
]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Agree to write to a database that is not on this machine.")
]


def utc(moment: datetime) -> datetime:
    """Return a moment in UTC: one with an offset is converted, one without is in UTC already."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise UsageError(f"there is no moment {moment.isoformat()} in UTC") from None


def database_url(given: str | None) -> str:
    """Return the database URL, or say where to give it."""
    if not given or not given.strip():
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
    if all(
        stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)
    ) and typer.confirm(f"{action} on {where}?", default=False, err=True):
        return
    raise ConsentRequired(f"{action} would write to {where}, which is not this machine")
