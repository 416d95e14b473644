"""``harmonia seed``: demo data and generated tenants."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from harmonia_cli.options import (
    DatabaseUrlOption,
    SupabaseDirOption,
    YesOption,
    consent,
    database_url,
)
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stderr, stdout

__all__ = ["app"]

app = typer.Typer(help="Fill a database with demo or generated data.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Fill a database with demo or generated data."""


@app.command()
def apply(
    again: Annotated[
        bool, typer.Option("--again", help="Run the files once more, changed or not.")
    ] = False,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Run the seed files of config.toml once (same seed history as the Supabase CLI)."""
    with command(output):
        from harmonia_py import project
        from harmonia_py.seed.apply import apply as apply_seeds

        url = database_url(db_url)
        found = project.find(supabase_dir)
        consent(url, yes=yes, action="apply the seed")
        result = apply_seeds(url, found, again=again)
        data = {
            "applied": list(result.applied),
            "present": list(result.present),
            "changed": list(result.changed),
        }
        emit(data, output, _print_seeded)


def _print_seeded(data: dict[str, Any]) -> None:
    for name in data["applied"]:
        stdout.print(f"applied {name}", markup=False, highlight=False)
    for name in data["present"]:
        stdout.print(f"already applied: {name}", markup=False, highlight=False)
    for name in data["changed"]:
        stdout.print(f"changed since it was applied, not run: {name}", markup=False)
        stderr.print("add --again to run it as it is now")
