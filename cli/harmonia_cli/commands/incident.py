"""``harmonia incident``, ``harmonia outbox`` and ``harmonia subprocessors``."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from harmonia_cli.options import DatabaseUrlOption, YesOption, consent, database_url
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stdout

__all__ = ["app", "outbox", "subprocessors"]

app = typer.Typer(help="Whom an incident concerns, and telling them.", no_args_is_help=True)
outbox = typer.Typer(help="Send the e-mail that waits.", no_args_is_help=True)
subprocessors = typer.Typer(help="Keep the public list of sub-processors.", no_args_is_help=True)

IncidentArgument = Annotated[UUID, typer.Argument(help="The incident's id.")]


@app.callback()
def root() -> None:
    """Whom an incident concerns, and telling them."""


@outbox.callback()
def outbox_root() -> None:
    """Send the e-mail that waits."""


@subprocessors.callback()
def subprocessors_root() -> None:
    """Keep the public list of sub-processors."""


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
    """Open an incident over a window of time."""
    with command(output):
        from datetime import UTC

        from harmonia_py.lifecycle import incidents

        url = database_url(db_url)
        consent(url, yes=yes, action="open an incident")
        id_ = incidents.open_incident(
            url,
            title=title,
            summary=summary,
            window=(start.replace(tzinfo=UTC), end.replace(tzinfo=UTC)),
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
    """Find the organizations concerned in the audit record."""
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
        Path | None, typer.Option("--body", help="A text file with {organization} and so on.")
    ] = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Put a message to every owner concerned into the outbox, once."""
    with command(output):
        from harmonia_py.lifecycle import incidents

        url = database_url(db_url)
        consent(url, yes=yes, action="notify owners of an incident")
        text = body.read_text(encoding="utf-8") if body else None
        count = incidents.notify(url, incident, subject=subject, body=text)
        emit({"messages": count}, output, lambda d: stdout.print(f"{d['messages']} messages"))


@app.command()
def close(
    incident: IncidentArgument,
    resolution: Annotated[str, typer.Option("--resolution", help="How it ended.")],
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Close an incident."""
    with command(output):
        from harmonia_py.lifecycle import incidents

        url = database_url(db_url)
        consent(url, yes=yes, action="close an incident")
        incidents.close(url, incident, resolution=resolution)
        emit({"closed": str(incident)}, output, lambda _: stdout.print("closed"))


@app.command("list")
def list_(db_url: DatabaseUrlOption = None, output: OutputOption = OutputFormat.text) -> None:
    """List incidents, the newest first."""
    with command(output):
        from harmonia_py.lifecycle import incidents

        emit(incidents.listing(database_url(db_url)), output, _print_incidents)


def _print_incidents(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        stdout.print(
            f"{row['id']}  {row['status']:<8} {row['organizations']:>4} organizations"
            f"  {row['title']}",
            highlight=False,
            markup=False,
        )


@app.command()
def timeline(
    incident: IncidentArgument,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Print an incident with its timeline, the organizations and every message's state."""
    with command(output):
        from harmonia_py.lifecycle import incidents

        data = incidents.timeline(database_url(db_url), incident)
        emit(data, output, lambda d: stdout.print(json.dumps(d, default=str, indent=2)))


@outbox.command()
def send(
    server: Annotated[
        str,
        typer.Option(
            "--smtp",
            envvar="HARMONIA_SMTP_URL",
            help="smtp://user@host:587 (STARTTLS) or smtps://; the password by environment.",
        ),
    ],
    sender: Annotated[
        str, typer.Option("--from", envvar="HARMONIA_MAIL_FROM", help="The sender's address.")
    ],
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")
    ] = 500,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Send what is due, each message once."""
    with command(output):
        from harmonia_py.lifecycle import outbox as sending

        url = database_url(db_url)
        consent(url, yes=yes, action="send e-mail")
        done = sending.deliver(url, sending.mailer(server, sender), limit=limit)
        emit(
            asdict(done),
            output,
            lambda d: stdout.print(
                f"{d['sent']} sent, {d['deferred']} put off, {d['failed']} failed"
            ),
        )
        if done.failed:
            raise typer.Exit(3)


@subprocessors.command("set")
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
    """Add a sub-processor, or a new version of one."""
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


@subprocessors.command()
def announce(
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Tell subscribers of every change that is ahead (then: harmonia outbox send)."""
    with command(output):
        from harmonia_py.lifecycle import subprocessors as registry

        url = database_url(db_url)
        consent(url, yes=yes, action="announce sub-processors")
        count = registry.announce(url)
        emit({"messages": count}, output, lambda d: stdout.print(f"{d['messages']} messages"))


@subprocessors.command("list")
def list_subprocessors(
    db_url: DatabaseUrlOption = None, output: OutputOption = OutputFormat.text
) -> None:
    """List every version of every sub-processor."""
    with command(output):
        from harmonia_py.lifecycle import subprocessors as registry

        emit(registry.listing(database_url(db_url)), output, _print_subprocessors)


def _print_subprocessors(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        stdout.print(
            f"{row['key']}/{row['version']}  {row['name']}  {row['purpose']}  {row['location']}"
            f"  {row['effective_from']} to {row['effective_to'] or 'now'}",
            highlight=False,
            markup=False,
        )
