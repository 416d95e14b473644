"""``harmonia outbox``: the e-mail that waits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import typer

from harmonia_cli.options import DatabaseUrlOption, YesOption, consent, database_url
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stdout

__all__ = ["app"]

app = typer.Typer(help="Send the e-mail that waits.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Send the e-mail that waits."""


@app.command()
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
    """Send what is due, each message once.

    Example: harmonia outbox send --smtp smtp://user@mail.example:587 --from security@crm.example
    """
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


@app.command("list")
def list_(db_url: DatabaseUrlOption = None, output: OutputOption = OutputFormat.text) -> None:
    """List what waits and what was given up, with the reason.

    Example: harmonia outbox list
    """
    with command(output):
        from harmonia_py.lifecycle import outbox as sending

        emit(sending.undelivered(database_url(db_url)), output, _print_messages)


def _print_messages(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        stdout.print(
            f"{row['id']}  {row['status']:<8} {row['created_at']:%Y-%m-%d %H:%M}  "
            f"{row['kind']:<22} {row['recipient']}  {row['last_error'] or ''}".rstrip(),
            highlight=False,
        )
    if not rows:
        stdout.print("nothing waits")


@app.command()
def retry(
    message: Annotated[UUID, typer.Argument(help="The message's id (see list).")],
    to: Annotated[str | None, typer.Option("--to", help="Another address for it.")] = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Let a message that was given up be sent again (then: harmonia outbox send).

    Example: harmonia outbox retry a0000000-0000-7000-8000-000000000009 --to new@acme.example
    """
    with command(output):
        from harmonia_py.lifecycle import outbox as sending

        url = database_url(db_url)
        consent(url, yes=yes, action="send a message again")
        sending.retry(url, message, recipient=to)
        emit({"retried": str(message)}, output, lambda _: stdout.print("due again"))
