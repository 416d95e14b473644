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
from harmonia_cli.output import (
    OutputFormat,
    OutputOption,
    command,
    emit,
    progress_bar,
    stderr,
    stdout,
)

__all__ = ["app"]

app = typer.Typer(help="Fill a database with demo or generated data.", no_args_is_help=True)

# Beyond this a number is a slip: what it asks for is listed in memory before the first row.
_MOST_TENANTS, _MOST_ROWS, _MOST_MEMBERS = 1_000_000, 1_000_000_000, 10_000


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
    """Run the seed files of config.toml once (same seed history as the Supabase CLI).

    Example: harmonia seed apply

    Example: harmonia seed apply --again
    """
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


@app.command()
def generate(
    organizations: Annotated[
        int, typer.Option("--organizations", min=1, max=_MOST_TENANTS, help="How many tenants.")
    ] = 10,
    contacts: Annotated[
        int, typer.Option("--contacts", min=0, max=_MOST_ROWS, help="In total.")
    ] = 10_000,
    companies: Annotated[
        int | None,
        typer.Option(
            "--companies", min=0, max=_MOST_ROWS, help="Default: a tenth of the contacts."
        ),
    ] = None,
    deals: Annotated[
        int | None,
        typer.Option("--deals", min=0, max=_MOST_ROWS, help="Default: a tenth of the contacts."),
    ] = None,
    activities: Annotated[
        int, typer.Option("--activities", min=0, max=_MOST_ROWS, help="In total.")
    ] = 0,
    members: Annotated[
        int, typer.Option("--members", min=1, max=_MOST_MEMBERS, help="Per organization.")
    ] = 5,
    seed: Annotated[int, typer.Option("--seed", help="The same number, the same rows.")] = 1,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Generate large, realistic organizations.

    Example: harmonia seed generate --organizations 1000 --contacts 1000000
    """
    with command(output):
        from dataclasses import asdict

        from harmonia_py.seed.generate import GeneratePlan
        from harmonia_py.seed.generate import generate as generate_tenants

        url = database_url(db_url)
        consent(url, yes=yes, action="generate organizations")
        plan = GeneratePlan(
            organizations=organizations,
            contacts=contacts,
            companies=contacts // 10 if companies is None else companies,
            deals=contacts // 10 if deals is None else deals,
            activities=activities,
            members=members,
            seed=seed,
        )
        with progress_bar("generating", plan.rows) as tell:
            report = generate_tenants(url, plan, on_progress=tell)
        data = asdict(report) | {"rows_per_second": report.rows_per_second}
        emit(data, output, _print_generated)


def _print_generated(data: dict[str, Any]) -> None:
    for table, count in data["rows"].items():
        stdout.print(f"{count:>12,} {table}", highlight=False)
    total, rate = sum(data["rows"].values()), data["rows_per_second"]
    stdout.print(f"{total:>12,} rows, {rate:,.0f} rows/s", highlight=False)


def _print_seeded(data: dict[str, Any]) -> None:
    for name in data["applied"]:
        stdout.print(f"applied {name}", highlight=False)
    for name in data["present"]:
        stdout.print(f"already applied: {name}", highlight=False)
    for name in data["changed"]:
        stdout.print(f"changed since it was applied, not run: {name}")
        stderr.print("add --again to run it as it is now")
