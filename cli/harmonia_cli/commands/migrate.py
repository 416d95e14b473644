"""``harmonia migrate``: versioned migrations, sharing their history with the Supabase CLI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmonia_cli.options import (
    DatabaseUrlOption,
    SupabaseDirOption,
    YesOption,
    consent,
    database_url,
)
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stderr, stdout

if TYPE_CHECKING:
    from harmonia_py.migrations import Event, Plan

__all__ = ["app"]

app = typer.Typer(
    help="Apply, inspect and create migrations (same history as the Supabase CLI).",
    no_args_is_help=True,
)

VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="Digits of the file name.")]


@app.command()
def status(
    db_url: DatabaseUrlOption = None,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """List every migration and whether it is applied, pending, or not as it was applied.

    Example: harmonia migrate status --db-url "$DATABASE_URL"

    Example: harmonia migrate status --output json
    """
    with command(output):
        from harmonia_py import migrations, project

        plan = migrations.status(database_url(db_url), project.find(supabase_dir).migrations)
        emit(_plan_data(plan), output, _print_plan)


@app.command()
def verify(
    db_url: DatabaseUrlOption = None,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Check that folder and database agree and nothing is pending (exit 3 otherwise).

    Example: harmonia migrate verify || echo "not as committed"
    """
    with command(output):
        from harmonia_py import migrations, project

        plan = migrations.verify(database_url(db_url), project.find(supabase_dir).migrations)
        emit({"applied": len(plan.entries)}, output, _print_verified)


@app.command()
def plan(
    to: Annotated[str | None, typer.Option(metavar="VERSION", help="Stop after this one.")] = None,
    include_all: Annotated[
        bool, typer.Option("--include-all", help="Also plan files older than the newest applied.")
    ] = False,
    db_url: DatabaseUrlOption = None,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Show every statement that `apply` would run, and the table lock it takes.

    Example: harmonia migrate plan --to 20261101000310
    """
    with command(output):
        from dataclasses import asdict

        from harmonia_py import migrations, project
        from harmonia_py.migrations.locks import steps

        state = migrations.status(database_url(db_url), project.find(supabase_dir).migrations)
        state.require_agreement(include_all=include_all)
        data = [
            {"file": migration.path.name, "steps": [asdict(step) for step in steps(migration)]}
            for migration in state.up_to(to)
        ]
        emit({"migrations": data}, output, _print_steps)


@app.command()
def apply(
    to: Annotated[str | None, typer.Option(metavar="VERSION", help="Stop after this one.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, apply nothing.")
    ] = False,
    include_all: Annotated[
        bool, typer.Option("--include-all", help="Also apply files older than the newest applied.")
    ] = False,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Apply pending migrations, each in one transaction with its history row.

    Example: harmonia migrate apply --dry-run

    Example: harmonia migrate apply --yes
    """
    with command(output):
        from harmonia_py import migrations, project

        url = database_url(db_url)
        folder = project.find(supabase_dir).migrations
        if not dry_run:
            consent(url, yes=yes, action="apply migrations")
        result = migrations.apply(
            url, folder, to=to, dry_run=dry_run, include_all=include_all, listener=_tell
        )
        data = {
            "applied": [] if dry_run else list(result.applied),
            "would_apply": list(result.applied) if dry_run else [],
            "skipped": list(result.skipped),
        }
        emit(data, output, _print_applied)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="snake_case, for example add_contact_birthday.")],
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Create an empty migration whose version sorts last.

    Example: harmonia migrate new add_contact_birthday
    """
    with command(output):
        from harmonia_py import migrations, project

        path = migrations.new(project.find(supabase_dir).migrations, name)
        emit({"path": str(path)}, output, lambda data: stdout.print(data["path"]))


@app.command()
def record(
    version: VersionArgument,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Write the history row of a migration without running it.

    Example: harmonia migrate record 20261101000310
    """
    with command(output):
        from harmonia_py import migrations, project

        url = database_url(db_url)
        consent(url, yes=yes, action=f"record {version}")
        migration = migrations.record(url, project.find(supabase_dir).migrations, version)
        data = {"version": migration.version, "name": migration.name}
        emit(data, output, lambda data: stdout.print(f"recorded {data['version']}"))


@app.command()
def forget(
    version: VersionArgument,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Delete the history row of a migration; what it changed stays.

    Example: harmonia migrate forget 20261101000310
    """
    with command(output):
        from harmonia_py import migrations

        url = database_url(db_url)
        consent(url, yes=yes, action=f"forget {version}")
        migrations.forget(url, version)
        emit({"version": version}, output, lambda data: stdout.print(f"forgot {data['version']}"))


def _tell(event: Event) -> None:
    if event.kind == "applying":
        stderr.print(f"applying {event.detail}", highlight=False)
    elif event.kind != "applied":
        stderr.print(f"  {event.kind}: {event.detail}", highlight=False)


def _plan_data(plan: Plan) -> dict[str, Any]:
    rows = [
        {"version": e.version, "name": e.name, "state": e.state.value, "detail": e.detail}
        for e in plan.entries
    ]
    return {"migrations": rows, "skipped": list(plan.skipped)}


def _print_plan(data: dict[str, Any]) -> None:
    for row in data["migrations"]:
        line = f"{row['version']}  {row['state']:<12} {row['name']}"
        stdout.print(f"{line}  {row['detail']}".rstrip(), highlight=False)
    for name in data["skipped"]:
        stderr.print(f"skipped: {name} is not <digits>_<name>.sql", highlight=False)


def _print_steps(data: dict[str, Any]) -> None:
    for migration in data["migrations"]:
        stdout.print(migration["file"], highlight=False)
        for step in migration["steps"]:
            lock = f"{step['lock'] or 'no table lock'}: blocks {step['blocks']}"
            line = f"{step['line']:>5}  {step['summary']}"
            stdout.print(f"{line}\n       {lock}", highlight=False)
    if not data["migrations"]:
        stdout.print("up to date")


def _print_verified(data: dict[str, Any]) -> None:
    stdout.print(f"{data['applied']} migrations applied, none pending, none changed")


def _print_applied(data: dict[str, Any]) -> None:
    if data["would_apply"]:
        for version in data["would_apply"]:
            stdout.print(f"would apply {version}", highlight=False)
    elif data["applied"]:
        stdout.print(f"{len(data['applied'])} applied")
    else:
        stdout.print("up to date")
