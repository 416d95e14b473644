"""``harmonia policies``: policy sources and the generated migration that carries them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from harmonia_cli.commands import access
from harmonia_cli.options import DatabaseUrlOption, SupabaseDirOption, database_url, path
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stdout

__all__ = ["app"]

app = typer.Typer(
    help="Compile, check and compare row level security policies.", no_args_is_help=True
)

app.command()(access.explain)
app.command()(access.matrix)

PgBinOption = Annotated[
    Path | None,
    typer.Option(
        "--pg-bin", help="PostgreSQL binaries for the scratch server (15 or newer).", parser=path
    ),
]


@app.command(name="compile")
def compile_(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written, write nothing.")
    ] = False,
    amend: Annotated[
        bool,
        typer.Option("--amend", help="Replace the newest generated file while it is unreleased."),
    ] = False,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Write changed policy files into a generated migration that sorts last.

    Example: harmonia policies compile --dry-run

    Example: harmonia policies compile
    """
    with command(output):
        from harmonia_py import policies, project

        found = project.find(supabase_dir)
        done = policies.compile_(found.policies, found.migrations, amend=amend, dry_run=dry_run)
        data = {
            "path": str(done.path) if done.path else None,
            "changed": list(done.changed),
            "replaced": [str(path) for path in done.replaced],
            "written": bool(done.path) and not dry_run,
        }
        emit(data, output, _print_compiled)


@app.command()
def check(
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Also build a scratch database both ways and compare."),
    ] = False,
    pg_bin: PgBinOption = None,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Check that the generated migrations say what the policy files say (exit 3 otherwise).

    Example: harmonia policies check

    Example: harmonia policies check --replay
    """
    with command(output):
        from harmonia_py import policies, project

        found = project.find(supabase_dir)
        hashes = policies.check(found.policies, found.migrations)
        data: dict[str, Any] = {"policies": hashes, "replayed": None}
        if replay:
            from harmonia_py.engines import EmbeddedEngine

            with EmbeddedEngine(pg_bin) as engine:
                result = policies.replay(engine, found)
            data["replayed"] = {"objects": result.objects, "tables": list(result.tables)}
        emit(data, output, _print_checked)


@app.command()
def status(
    db_url: DatabaseUrlOption = None,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Say which policy files are live in a database, by the hashes in its history.

    Example: harmonia policies status --db-url "$DATABASE_URL"
    """
    with command(output):
        from harmonia_py import policies, project

        live = policies.status(database_url(db_url), project.find(supabase_dir).policies)
        emit({"version": live.version, "policies": dict(live.states)}, output, _print_status)


@app.command()
def diff(
    db_url: Annotated[
        str | None,
        typer.Option("--db-url", help="Compare this database's catalog instead of the files."),
    ] = None,
    pg_bin: PgBinOption = None,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Show what compile would change or, with --db-url, what a database has otherwise.

    Example: harmonia policies diff
    """
    with command(output):
        from harmonia_py import policies, project

        found = project.find(supabase_dir)
        if db_url is None:
            emit({"files": policies.diff_sources(found)}, output, _print_file_diff)
            return
        from harmonia_py.engines import EmbeddedEngine

        with EmbeddedEngine(pg_bin) as engine:
            differences = policies.diff_database(database_url(db_url), engine, found)
        rows = [asdict(item) for item in differences]
        emit({"objects": rows}, output, _print_catalog_diff)


def _print_compiled(data: dict[str, Any]) -> None:
    if data["path"] is None:
        stdout.print("nothing changed")
        return
    verb = "wrote" if data["written"] else "would write"
    names = ", ".join(data["changed"]) or "header only"
    stdout.print(f"{verb} {data['path']} ({names})", highlight=False)


def _print_checked(data: dict[str, Any]) -> None:
    stdout.print(f"{len(data['policies'])} policy files, all carried")
    if data["replayed"]:
        tables, objects = len(data["replayed"]["tables"]), data["replayed"]["objects"]
        stdout.print(f"replayed: {objects} objects the same, {tables} tables closed")


def _print_status(data: dict[str, Any]) -> None:
    stdout.print(f"carried by {data['version'] or 'no applied migration'}", highlight=False)
    for name, state in sorted(data["policies"].items()):
        stdout.print(f"{state:<8} {name}", highlight=False)


def _print_file_diff(data: dict[str, Any]) -> None:
    for text in data["files"].values():
        stdout.print(text, end="", highlight=False)
    if not data["files"]:
        stdout.print("no difference")


def _print_catalog_diff(data: dict[str, Any]) -> None:
    for row in data["objects"]:
        stdout.print(f"{row['kind']} {row['name']}", highlight=False)
        for sign, text in (("-", row["expected"]), ("+", row["found"])):
            for line in (text or "").splitlines():
                stdout.print(f"  {sign} {line}", highlight=False)
    if not data["objects"]:
        stdout.print("no difference")
