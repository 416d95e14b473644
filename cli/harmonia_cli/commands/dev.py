"""``harmonia up``, ``down`` and ``status``: the development database of a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmonia_cli.options import path
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stderr, stdout

if TYPE_CHECKING:
    from harmonia_py.development import Development

__all__ = ["down", "status", "up"]

ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", help="The project's folder (default: here).", parser=path),
]


def up(
    port: Annotated[
        int | None,
        typer.Option(min=1024, max=65535, help="Port of the database (default: 54322)."),
    ] = None,
    pg_bin: Annotated[
        Path | None,
        typer.Option(
            "--pg-bin",
            envvar="HARMONIA_PG_BIN",
            help="Use the PostgreSQL in this directory.",
            parser=path,
        ),
    ] = None,
    project: ProjectOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Start the development database, then apply migrations and seed.

    Example: harmonia up

    Example: harmonia up --port 54322
    """
    with command(output):
        from harmonia_py import development

        with stderr.status("starting PostgreSQL, applying migrations and seed"):
            found = development.up(_root(project), port=port, pg_bin=pg_bin)
        emit(_data(found), output, _print_status)


def down(
    delete: Annotated[
        bool, typer.Option("--delete", help="Also delete the database and all its data.")
    ] = False,
    project: ProjectOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Stop the development database (its data stays).

    Example: harmonia down
    """
    with command(output):
        from harmonia_py import development

        ran = development.down(_root(project), delete=delete)
        data = {"stopped": ran, "deleted": delete}
        emit(data, output, _print_down)


def status(
    url: Annotated[
        bool, typer.Option("--url", help="Print only the URL, with its password, for a shell.")
    ] = False,
    project: ProjectOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Show whether the development database runs, and where (exit 3 when it does not).

    Example: harmonia status --output json
    """
    with command(output):
        from harmonia_py import development
        from harmonia_py.errors import CheckFailed

        found = development.status(_root(project))
        if found is None or not found.running:
            raise CheckFailed("the development database is not running", hint="harmonia up")
        if url:
            emit({"url": found.url()}, output, lambda data: typer.echo(data["url"]))
            return
        emit(_data(found), output, _print_status)


def _root(project: Path | None) -> Path:
    from harmonia_py import project as projects
    from harmonia_py.errors import FolderMissing

    if project is not None:
        if not project.is_dir():
            raise FolderMissing(f"there is no folder {project}")
        return project.resolve()
    try:
        return projects.find().root
    except FolderMissing:
        return projects.working_directory()


def _data(found: Development) -> dict[str, Any]:
    from harmonia_py import development, dsn

    return {
        "running": found.running,
        "database": dsn.redact(found.dsn_as("postgres")),
        "port": found.port,
        "pid": found.pid,
        "version": found.version,
        "data_dir": found.data_dir,
        "companions": [companion.describe(found) for companion in development.COMPANIONS],
    }


def _print_status(data: dict[str, Any]) -> None:
    stdout.print(
        f"PostgreSQL {data['version']} runs at {data['database']} (process {data['pid']})",
        highlight=False,
    )
    stdout.print(f"data: {data['data_dir']}", highlight=False)
    for companion in data["companions"]:
        name, snippet = companion["name"], companion.get("snippet")
        if companion["running"]:
            lines = [f"{name}: {companion['url']}", f"anon key: {companion['anon_key']}"]
        else:
            lines = [f"{name}: not running: {companion['reason']}", f"hint: {companion['hint']}"]
        for line in lines:
            stdout.print(line, highlight=False, soft_wrap=True)
        if snippet:
            stderr.print(snippet, highlight=False, soft_wrap=True)
    stderr.print('export DATABASE_URL="$(harmonia status --url)"', highlight=False)


def _print_down(data: dict[str, Any]) -> None:
    stdout.print("stopped" if data["stopped"] else "it was not running")
    if data["deleted"]:
        stdout.print("deleted")
