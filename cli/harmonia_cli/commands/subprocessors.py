"""``harmonia subprocessors``: who else processes customer data, and telling before it changes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from harmonia_cli.options import DatabaseUrlOption, YesOption, consent, database_url
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stdout

__all__ = ["app"]

app = typer.Typer(help="Keep the public list of sub-processors.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Keep the public list of sub-processors."""


@app.command("set")
def set_(
    key: Annotated[str, typer.Argument(help="A short name that stays, such as mailer.")],
    name: Annotated[str, typer.Option("--name", help="Its full name.")],
    purpose: Annotated[str, typer.Option("--purpose", help="What it does for us.")],
    location: Annotated[str, typer.Option("--location", help="Where it processes data.")],
    effective_from: Annotated[
        datetime, typer.Option("--effective-from", formats=["%Y-%m-%d"], help="YYYY-MM-DD")
    ],
    url: Annotated[str | None, typer.Option("--url", help="https address about it.")] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day.")
    ] = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Add a sub-processor, or a new version of one.

    Example: harmonia subprocessors set mailer --name "Mailer Ltd" --purpose "Sends mail"
    --location EU --effective-from 2027-01-01
    """
    with command(output):
        from harmonia_py.lifecycle import subprocessors as registry

        target = database_url(db_url)
        consent(target, yes=yes, action="change the list of sub-processors")
        version = registry.put(
            target,
            key,
            name=name,
            purpose=purpose,
            location=location,
            url=url,
            effective_from=effective_from.date(),
            effective_to=until.date() if until else None,
        )
        emit({"key": key, "version": version}, output, lambda d: stdout.print(d["version"]))


@app.command()
def announce(
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Tell subscribers of every change that is ahead (then: harmonia outbox send).

    Example: harmonia subprocessors announce
    """
    with command(output):
        from harmonia_py.lifecycle import subprocessors as registry

        url = database_url(db_url)
        consent(url, yes=yes, action="announce sub-processors")
        count = registry.announce(url)
        emit({"messages": count}, output, lambda d: stdout.print(f"{d['messages']} messages"))


@app.command("list")
def list_(db_url: DatabaseUrlOption = None, output: OutputOption = OutputFormat.text) -> None:
    """List every version of every sub-processor.

    Example: harmonia subprocessors list
    """
    with command(output):
        from harmonia_py.lifecycle import subprocessors as registry

        emit(registry.listing(database_url(db_url)), output, _print_subprocessors)


def _print_subprocessors(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        stdout.print(
            f"{row['key']}/{row['version']}  {row['name']}  {row['purpose']}  {row['location']}"
            f"  {row['effective_from']} to {row['effective_to'] or 'now'}",
            highlight=False,
        )
    if not rows:
        stdout.print("there are no sub-processors")
