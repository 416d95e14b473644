"""``harmonia organization``: take one away as files, bring one back, hold one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from harmonia_cli.options import (
    DatabaseUrlOption,
    OrganizationOption,
    YesOption,
    consent,
    database_url,
    path,
)
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stderr, stdout
from harmonia_cli.vault import load_key

__all__ = ["app"]

app = typer.Typer(help="Export, import and hold an organization.", no_args_is_help=True)

KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key", help="Encrypt or open with this key: file:PATH, env:NAME, cmd:COMMAND, keyring:S/U"
    ),
]


@app.callback()
def root() -> None:
    """Export, import and hold an organization."""


@app.command()
def export(
    organization: OrganizationOption,
    out: Annotated[Path, typer.Option("--out", help="The folder to create.", parser=path)],
    key: KeyOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted export in this folder.")
    ] = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Write every row of an organization as CSV and NDJSON, with a manifest of SHA-256 sums.

    Example: harmonia organization export --organization alder --out /exports/acme
    """
    with command(output):
        from harmonia_py.lifecycle import keys
        from harmonia_py.lifecycle.exporting import export_organization

        done = export_organization(
            database_url(db_url),
            organization,
            out,
            key=keys.stream_key(load_key(key), "export") if key is not None else None,
            resume=resume,
            progress=lambda name, rows: stderr.print(f"{rows:>10} {name}", style="dim"),
        )
        for name in done.damaged:
            stderr.print(f"{name} was not as it had been written; it was written again")
        emit({**asdict(done), "path": str(done.path)}, output, _print_exported)


def _print_exported(data: dict[str, Any]) -> None:
    stdout.print(
        f"{data['rows']} rows of {data['tables']} tables in {data['path']}"
        f" (manifest sha256 {data['manifest_sha256']})",
        highlight=False,
    )


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="The folder of an export.", parser=path)],
    key: KeyOption = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Load an export into this database, identical or not at all.

    Example: harmonia organization import /exports/acme --key file:/etc/harmonia/export.key
    """
    with command(output):
        from harmonia_py.lifecycle import keys
        from harmonia_py.lifecycle.importing import import_organization

        url = database_url(db_url)
        consent(url, yes=yes, action="import an organization")
        done = import_organization(
            url,
            folder,
            key=keys.stream_key(load_key(key), "export") if key is not None else None,
            progress=lambda name, rows: stderr.print(f"{rows:>10} {name}", style="dim"),
        )
        emit(asdict(done), output, lambda d: stdout.print(f"{d['rows']} rows imported"))


@app.command()
def hold(
    organization: OrganizationOption,
    reason: Annotated[str, typer.Option("--reason", help="Why (10 characters or more).")],
    by: Annotated[str, typer.Option("--by", help="Who orders it.")],
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Place a legal hold: nothing of the organization is deleted until it is released.

    Example: harmonia organization hold --organization alder --by legal --reason "court order
    17/2026"
    """
    with command(output):
        from harmonia_py.lifecycle import retention

        url = database_url(db_url)
        consent(url, yes=yes, action="place a legal hold")
        id_ = retention.place_hold(url, organization, reason=reason, placed_by=by)
        emit({"hold": str(id_)}, output, lambda d: stdout.print(d["hold"]))


@app.command()
def release(
    organization: OrganizationOption,
    hold_id: Annotated[UUID, typer.Option("--hold", help="The hold's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it ends.")],
    by: Annotated[str, typer.Option("--by", help="Who orders it.")],
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Release a legal hold.

    Example: harmonia organization release --organization alder --hold
    a0000000-0000-7000-8000-000000000009 --reason "case closed" --by legal
    """
    with command(output):
        from harmonia_py.lifecycle import retention

        url = database_url(db_url)
        consent(url, yes=yes, action="release a legal hold")
        retention.release_hold(url, organization, hold_id, reason=reason, released_by=by)
        emit({"released": str(hold_id)}, output, lambda _: stdout.print("released"))


@app.command()
def holds(db_url: DatabaseUrlOption = None, output: OutputOption = OutputFormat.text) -> None:
    """List legal holds, the live ones first.

    Example: harmonia organization holds
    """
    with command(output):
        from harmonia_py.lifecycle import retention

        emit(retention.holds(database_url(db_url)), output, _print_holds)


def _print_holds(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        state = "released" if row["released_at"] else "live"
        stdout.print(
            f"{row['id']}  {state:<8} {row['organization_id']}  {row['reason']}",
            highlight=False,
        )
