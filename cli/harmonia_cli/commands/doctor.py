"""``harmonia doctor``: what is wrong or late, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from harmonia_cli.options import DatabaseUrlOption, SupabaseDirOption, database_url
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stdout

__all__ = ["doctor"]


def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    reload_api: Annotated[
        bool, typer.Option("--reload-api", help="Ask PostgREST to read the schema again.")
    ] = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Do not build a scratch database to compare policies with."),
    ] = False,
    db_url: DatabaseUrlOption = None,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Examine roles, grants, policies, statistics, indexes, keys, audit and retention.

    Inside a project it also builds a scratch database from its migrations, and names every policy,
    privilege, function and trigger that the database has otherwise. Exit 3 on errors.

    Example: harmonia doctor --strict
    """
    with command(output):
        from harmonia_py import project
        from harmonia_py.errors import FolderMissing
        from harmonia_py.lifecycle import doctor as examining

        url = database_url(db_url)
        try:
            found = project.find(supabase_dir)
        except FolderMissing:
            if supabase_dir is not None:
                raise
            found = None
        if reload_api:
            examining.reload_api(url)
        findings = examining.examine(url, supabase=found.supabase if found else None)
        applied = not any(f.code in {"migration.pending", "policies.drift"} for f in findings)
        if found is not None and not quick and applied:
            findings = [*examining.drift(url, found), *findings]
        emit([asdict(f) for f in findings], output, _print_findings)
        bad = {"error", "warning"} if strict else {"error"}
        if any(f.severity in bad for f in findings):
            raise typer.Exit(3)


def _print_findings(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        stdout.print(f"{row['severity']:<8} {row['code']:<24} {row['what']}")
        stdout.print(f"{'':<33} {row['remedy']}", style="dim")
    if not rows:
        stdout.print("nothing to remedy")
