"""``harmonia policies``: policy sources and the generated migration that carries them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from harmonia_cli.options import SupabaseDirOption
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stdout

__all__ = ["app"]

app = typer.Typer(
    help="Compile, check and compare row level security policies.", no_args_is_help=True
)


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
    """Write changed policy files into a generated migration that sorts last."""
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
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Check that the generated migrations say what the policy files say (exit 3 otherwise)."""
    with command(output):
        from harmonia_py import policies, project

        found = project.find(supabase_dir)
        hashes = policies.check(found.policies, found.migrations)
        emit(
            {"policies": hashes},
            output,
            lambda data: stdout.print(f"{len(data['policies'])} policy files, all carried"),
        )


def _print_compiled(data: dict[str, Any]) -> None:
    if data["path"] is None:
        stdout.print("nothing changed")
        return
    verb = "wrote" if data["written"] else "would write"
    names = ", ".join(data["changed"]) or "header only"
    stdout.print(f"{verb} {data['path']} ({names})", markup=False, highlight=False)
