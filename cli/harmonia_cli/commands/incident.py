"""``harmonia incident``: whom an incident concerns, and telling them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from harmonia_cli.options import DatabaseUrlOption, YesOption, consent, database_url, path, utc
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stdout

__all__ = ["app"]

app = typer.Typer(help="Whom an incident concerns, and telling them.", no_args_is_help=True)

_LONGEST_BODY = 1 << 20
IncidentArgument = Annotated[UUID, typer.Argument(help="The incident's id.")]


@app.callback()
def root() -> None:
    """Whom an incident concerns, and telling them."""


@app.command("open")
def open_(
    title: Annotated[str, typer.Option("--title", help="What it is called.")],
    summary: Annotated[str, typer.Option("--summary", help="What happened; owners read it.")],
    start: Annotated[datetime, typer.Option("--from", help="Begin of the window (UTC).")],
    end: Annotated[datetime, typer.Option("--to", help="End of the window (UTC).")],
    by: Annotated[str, typer.Option("--by", help="Who opens it.")],
    table: Annotated[
        list[str] | None, typer.Option("--table", help="Only this table; may be repeated.")
    ] = None,
    actor: Annotated[
        list[UUID] | None,
        typer.Option("--actor", help="Only this person or API key; may be repeated."),
    ] = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Open an incident over a window of time.

    Example: harmonia incident open --title "Stolen laptop" --summary "A laptop was stolen." --from
    2026-11-01T08:00:00 --to 2026-11-01T18:00:00 --by security
    """
    with command(output):
        from harmonia_py.lifecycle import incidents

        url = database_url(db_url)
        consent(url, yes=yes, action="open an incident")
        id_ = incidents.open_incident(
            url,
            title=title,
            summary=summary,
            window=(utc(start), utc(end)),
            opened_by=by,
            tables=table,
            actors=actor,
        )
        emit({"incident": str(id_)}, output, lambda d: stdout.print(d["incident"]))


@app.command()
def assess(
    incident: IncidentArgument,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Find the organizations concerned in the audit record.

    Example: harmonia incident assess a0000000-0000-7000-8000-000000000009
    """
    with command(output):
        from harmonia_py.lifecycle import incidents

        url = database_url(db_url)
        consent(url, yes=yes, action="assess an incident")
        found = [str(id_) for id_ in incidents.assess(url, incident)]
        emit(
            {"organizations": found},
            output,
            lambda d: stdout.print("\n".join(d["organizations"]) or "none"),
        )


@app.command()
def notify(
    incident: IncidentArgument,
    subject: Annotated[str, typer.Option("--subject", help="The subject of the message.")],
    body: Annotated[
        Path | None,
        typer.Option("--body", help="A text file with {organization} and so on.", parser=path),
    ] = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Put a message to every owner concerned into the outbox, once.

    Example: harmonia incident notify a0000000-0000-7000-8000-000000000009 --subject "A security
    incident"
    """
    with command(output):
        from harmonia_py.lifecycle import incidents

        url = database_url(db_url)
        consent(url, yes=yes, action="notify owners of an incident")
        text = _read(body) if body else None
        count = incidents.notify(url, incident, subject=subject, body=text)
        unreached = [str(id_) for id_ in incidents.unreached(url, incident)]
        emit({"messages": count, "unreached": unreached}, output, _print_notified)
        if unreached:
            raise typer.Exit(3)


def _print_notified(data: dict[str, Any]) -> None:
    stdout.print(f"{data['messages']} messages")
    for id_ in data["unreached"]:
        stdout.print(f"{id_} has no owner with an address: tell it another way", highlight=False)


def _read(path: Path) -> str:
    from harmonia_py.errors import UsageError

    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_BODY + 1)
        if len(text) > _LONGEST_BODY:
            raise UsageError(f"{path} holds more than {_LONGEST_BODY >> 10} KiB: no message does")
        return text.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read {path}: {reason}") from None


@app.command()
def close(
    incident: IncidentArgument,
    resolution: Annotated[str, typer.Option("--resolution", help="How it ended.")],
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Close an incident.

    Example: harmonia incident close a0000000-0000-7000-8000-000000000009 --resolution "wiped
    remotely"
    """
    with command(output):
        from harmonia_py.lifecycle import incidents

        url = database_url(db_url)
        consent(url, yes=yes, action="close an incident")
        incidents.close(url, incident, resolution=resolution)
        emit({"closed": str(incident)}, output, lambda _: stdout.print("closed"))


@app.command("list")
def list_(db_url: DatabaseUrlOption = None, output: OutputOption = OutputFormat.text) -> None:
    """List incidents, the newest first.

    Example: harmonia incident list
    """
    with command(output):
        from harmonia_py.lifecycle import incidents

        emit(incidents.listing(database_url(db_url)), output, _print_incidents)


def _print_incidents(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        stdout.print(
            f"{row['id']}  {row['status']:<8} {row['organizations']:>4} organizations"
            f"  {row['title']}",
            highlight=False,
        )
    if not rows:
        stdout.print("there are no incidents")


@app.command()
def timeline(
    incident: IncidentArgument,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Print an incident with its timeline, the organizations and every message's state.

    Example: harmonia incident timeline a0000000-0000-7000-8000-000000000009 --output json
    """
    with command(output):
        from harmonia_py.lifecycle import incidents

        data = incidents.timeline(database_url(db_url), incident)
        emit(data, output, lambda d: stdout.print(json.dumps(d, default=str, indent=2)))
