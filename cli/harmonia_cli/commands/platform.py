"""``harmonia platform``: the Supabase environment on a plain PostgreSQL."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from harmonia_cli.options import DatabaseUrlOption, YesOption, consent, database_url
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stderr, stdout

__all__ = ["app"]

app = typer.Typer(help="Make a plain PostgreSQL look like Supabase.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Make a plain PostgreSQL look like Supabase."""


@app.command()
def prepare(
    auto_expose_new_tables: Annotated[
        bool,
        typer.Option(
            help="Let new tables in public grant everything to the API roles, as older projects do."
        ),
    ] = True,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Create roles, schemas, auth, storage and the rest; does nothing on a real Supabase.

    Example: harmonia platform prepare --db-url postgresql://postgres@127.0.0.1:5432/postgres
    """
    with command(output):
        from harmonia_py import dsn, platform
        from harmonia_py.connection import told

        url = database_url(db_url)
        dsn.require_session(url)
        consent(url, yes=yes, action="build the Supabase environment")
        with dsn.connect(url) as conn, told(url, conn):
            result = platform.prepare(conn, auto_expose_new_tables=auto_expose_new_tables)
            conn.commit()
        data = {
            "outcome": result.outcome.value,
            "seconds": round(result.seconds, 3),
            "stand_ins": result.stand_ins,
            "superuser_owner": result.superuser_owner,
        }
        emit(data, output, _print_prepared)


def _print_prepared(data: dict[str, Any]) -> None:
    said = {
        "built": f"environment built in {data['seconds']} s",
        "current": "the environment is there already",
        "supabase": "this is a Supabase database; nothing to do",
    }
    stdout.print(said[data["outcome"]], highlight=False)
    if data["stand_ins"]:
        stdout.print(f"stand-ins: {', '.join(data['stand_ins'])}", highlight=False)
    if data["superuser_owner"]:
        stderr.print(
            "role postgres made this server and stays a superuser: "
            "a migration that needs one passes here and fails on Supabase"
        )
