"""The command tree. Each group lives in a module of its own under ``commands``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from harmonia_cli.commands import (
    api,
    audit,
    backup,
    dev,
    doctor,
    incident,
    keys,
    migrate,
    organization,
    outbox,
    platform,
    policies,
    retention,
    secrets,
    seed,
    subprocessors,
    support,
    verify,
    webhooks,
)
from harmonia_cli.output import (
    no_room,
    nobody_reads,
    print_what_there_is_no_letter_for,
    usage_error,
)
from harmonia_py import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    name="harmonia",
    help="Operate a multi-tenant CRM on Supabase: migrations, policies, secrets, isolation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(audit.app, name="audit")
app.command(name="doctor")(doctor.doctor)
app.add_typer(incident.app, name="incident")
app.add_typer(outbox.app, name="outbox")
app.add_typer(subprocessors.app, name="subprocessors")
app.add_typer(backup.app, name="backup")
app.add_typer(organization.app, name="organization")
app.add_typer(retention.app, name="retention")
app.add_typer(support.app, name="support")
app.command()(dev.up)
app.command()(dev.down)
app.command()(dev.status)
app.add_typer(platform.app, name="platform")
app.add_typer(migrate.app, name="migrate")
app.add_typer(policies.app, name="policies")
app.add_typer(seed.app, name="seed")
app.add_typer(keys.app, name="keys")
app.add_typer(secrets.app, name="secrets")
app.add_typer(webhooks.app, name="webhooks")
app.command()(api.token)
app.add_typer(api.api_keys, name="api-keys")
app.command()(api.reference)
app.command(name="verify")(verify.verify)


def _version(*, value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[
        bool, typer.Option("--version", callback=lambda value: _version(value=value), is_eager=True)
    ] = False,
) -> None:
    """Read the global options."""


def _asked(arguments: list[str]) -> str:
    """Return the path of the command that the arguments begin with."""
    path, found = ["harmonia"], typer.main.get_command(app)
    for word in arguments:
        inner = getattr(found, "commands", {}).get(word)
        if inner is None:
            break
        path.append(word)
        found = inner
    return " ".join(path)


def _usage(error: Exception) -> int:
    try:
        return usage_error(error, sys.argv[1:], _asked(sys.argv[1:]))
    except BrokenPipeError:
        nobody_reads()
        return 2


def main() -> None:
    """Run the command line; ``harmonia_cli.start`` loads this for the ``harmonia`` script."""
    print_what_there_is_no_letter_for()
    try:
        code = app(standalone_mode=False)
    except Exception as error:
        # Not by class: some releases of Typer carry a copy of Click, with its exceptions.
        if type(error).__name__ == "Abort":  # Ctrl-C outside a command, or at a prompt
            code = 130
        elif hasattr(error, "format_message"):
            code = _usage(error)
        elif isinstance(error, OSError):  # help or version, for which there is no room
            code = no_room(error)
        else:
            raise
    sys.exit(code)
