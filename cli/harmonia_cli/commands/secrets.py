"""``harmonia secrets``: set, use, reveal, move. A value is never an argument."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from harmonia_cli.options import (
    DatabaseUrlOption,
    OrganizationOption,
    YesOption,
    consent,
    database_url,
    path,
    utc,
)
from harmonia_cli.output import (
    OutputFormat,
    OutputOption,
    check_stdout,
    command,
    emit,
    stderr,
    stdout,
    write,
)
from harmonia_cli.vault import (
    IdentityOption,
    NameArgument,
    OldProviderOption,
    ProviderOption,
    RecipientOption,
    open_register,
    open_store,
    operator,
    read_file,
    read_input,
    read_value,
    refuse_value,
)
from harmonia_py.errors import CheckFailed, UsageError

__all__ = ["app"]

app = typer.Typer(
    help="Secrets of organizations, sealed before they are stored.", no_args_is_help=True
)
PurposeOption = Annotated[str, typer.Option("--purpose", help="Why; kept in the access log.")]
ExtraArgument = Annotated[list[str] | None, typer.Argument(hidden=True)]
KeepNewlineOption = Annotated[bool, typer.Option("--keep-newline", help="Keep the last one.")]
FileOption = Annotated[
    Path | None, typer.Option("--file", help="Read from this file, not stdin.", parser=path)
]


# What opens the database and the key service is no business of the child.
_OURS = ("DATABASE_URL", "PGPASSWORD", "PGPASSFILE", "VAULT_TOKEN", "GOOGLE_ACCESS_TOKEN")


class ImportFormat(StrEnum):
    """What ``import`` reads."""

    env = "env"
    json = "json"
    export = "export"


@app.command(name="set")
def set_(
    name: NameArgument,
    organization: OrganizationOption,
    extra: ExtraArgument = None,
    audience: Annotated[str, typer.Option("--audience", help="The host it may be sent to.")] = "",
    kind: Annotated[
        str, typer.Option("--kind", help="api_key, oauth2, webhook, password or certificate.")
    ] = "api_key",
    service: Annotated[str | None, typer.Option("--service", help="Whose it is: hubspot.")] = None,
    expires: Annotated[
        datetime | None, typer.Option("--expires", help="When it stops being given out (UTC).")
    ] = None,
    file: FileOption = None,
    keep_newline: KeepNewlineOption = False,
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Store a value from stdin or a hidden prompt as the new current version.

    Example: harmonia secrets set hubspot/token --organization alder --audience api.hubapi.com <
    token.txt

    Example: pass show stripe | harmonia secrets set stripe/key --organization alder --audience
    api.stripe.com
    """
    with command(output):
        refuse_value(name, extra)
        consent(database_url(db_url), yes=yes, action="set a secret")
        value = read_value(file, keep_newline=keep_newline, what=f"value of {name}")
        with open_store(db_url, provider, old_provider) as store:
            info = store.set(
                organization,
                name,
                value,
                actor=operator(),
                kind=kind,
                audience=audience,
                provider=service,
                expires_at=utc(expires) if expires else None,
            )
        emit(asdict(info), output, _print_set)


def _print_set(data: dict[str, Any]) -> None:
    bound = f"bound to {data['audience']}" if data["audience"] else "bound to no host"
    stdout.print(f"{data['name']} version {data['version']} is current, {bound}", highlight=False)


@app.command(name="list")
def list_(
    organization: OrganizationOption,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Show names, state and expiry; no values, so no master key is needed.

    Example: harmonia secrets list --organization alder
    """
    with command(output), open_register(db_url) as register:
        infos = register.list_all(organization, actor=operator())
        emit([asdict(info) for info in infos], output, _print_list)


def _print_list(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    if not rows:
        stdout.print("there are no secrets")
        return
    table = Table("name", "kind", "host", "version", "state", "expires", "ends in", box=None)
    for row in rows:
        expires = row["expires_at"].date().isoformat() if row["expires_at"] else ""
        table.add_row(
            row["name"], row["kind"], row["audience"], str(row["version"]), row["status"], expires,
            row["hint"] or "",
        )  # fmt: skip
    stdout.print(table)


@app.command()
def history(
    name: NameArgument,
    organization: OrganizationOption,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Show the kept versions of a secret and who used it; no master key is needed.

    Example: harmonia secrets history hubspot/token --organization alder
    """
    with command(output), open_register(db_url) as register:
        actor = operator()
        data = {
            "versions": [asdict(v) for v in register.history(organization, name, actor=actor)],
            "access": [asdict(entry) for entry in register.access_log(organization, name)],
        }
        emit(data, output, _print_history)


def _print_history(data: dict[str, Any]) -> None:
    for row in data["versions"]:
        stdout.print(
            f"version {row['version']} {row['state']} {row['created_at']:%Y-%m-%d %H:%M}",
            highlight=False,
        )
    for row in data["access"]:
        why = f": {row['purpose']}" if row["purpose"] else ""
        stdout.print(
            f"{row['occurred_at']:%Y-%m-%d %H:%M:%S} {row['action']} {row['outcome']} "
            f"by {row['actor']}{why}",
            highlight=False,
        )


@app.command()
def reveal(
    name: NameArgument,
    organization: OrganizationOption,
    purpose: PurposeOption,
    version: Annotated[
        int | None,
        typer.Option("--version", min=1, help="Which version (default: the current one)."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Show it on a terminal.")] = False,
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Write a value to stdout, after recording who, when and why.

    Example: harmonia secrets reveal hubspot/token --organization alder --purpose 'move to the new
    account' | pbcopy
    """
    with command(output):
        if output is OutputFormat.json:
            raise UsageError("JSON output never holds a value", hint="leave --output out")
        check_stdout()
        if sys.stdout.isatty() and not yes:
            raise UsageError("the value would stay on the screen", hint="pipe it, or add --yes")
        with open_store(db_url, provider, old_provider) as store:
            found = store.reveal(
                organization, name, actor=operator(), purpose=purpose, version=version
            )
        write(found.value.reveal())


@app.command(
    name="exec", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def exec_(
    context: typer.Context,
    organization: OrganizationOption,
    mapping: Annotated[
        list[str], typer.Option("--map", help="NAME=ENVIRONMENT_VARIABLE. Repeatable.")
    ],
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    db_url: DatabaseUrlOption = None,
) -> None:
    """Run a command with secrets in its environment.

    Example: harmonia secrets exec --organization alder --map hubspot/token=HUBSPOT_TOKEN -- ./sync
    """
    with command(OutputFormat.text):
        argv = context.args
        if not argv:
            raise UsageError("no command is named", hint="write it after --")
        wanted = [_pair(text) for text in mapping]
        environment = {
            key: value
            for key, value in os.environ.items()
            if key not in _OURS and not key.startswith("HARMONIA_")
        }
        with open_store(db_url, provider, old_provider) as store:
            for name, variable in wanted:
                actor = operator()
                info = store.show(organization, name, actor=actor)
                found = store.get(
                    organization,
                    name,
                    audience=info.audience,
                    actor=actor,
                    purpose=f"exec {Path(argv[0]).name}"[:200],
                )
                value = found.value.reveal()
                if b"\0" in value:
                    raise UsageError(f"{name} holds a zero byte: no environment variable can")
                environment[variable] = os.fsdecode(value)
        try:
            os.execvpe(argv[0], argv, environment)  # noqa: S606 - the point of the command
        except OSError as error:
            raise UsageError(f"cannot run {argv[0]}: {error.strerror}") from None


def _pair(text: str) -> tuple[str, str]:
    name, separator, variable = text.partition("=")
    if not separator or not variable.isidentifier() or not variable.isascii():
        raise UsageError("write --map NAME=ENVIRONMENT_VARIABLE")
    return name, variable


@app.command()
def rollback(
    name: NameArgument,
    organization: OrganizationOption,
    version: Annotated[int, typer.Option("--version", min=1, help="The version to go back to.")],
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Make an older value current again, as a new version.

    Example: harmonia secrets rollback hubspot/token --organization alder --version 3
    """
    with command(output):
        consent(database_url(db_url), yes=yes, action="roll back a secret")
        with open_store(db_url, provider, old_provider) as store:
            info = store.rollback(organization, name, version, actor=operator())
        emit(asdict(info), output, _print_set)


@app.command()
def disable(
    name: NameArgument,
    organization: OrganizationOption,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Stop giving a secret out, without deleting it; no master key is needed.

    Example: harmonia secrets disable hubspot/token --organization alder
    """
    with command(output):
        consent(database_url(db_url), yes=yes, action="disable a secret")
        with open_register(db_url) as register:
            info = register.disable(organization, name, actor=operator())
        emit(asdict(info), output, lambda data: stdout.print(f"{data['name']} is disabled"))


@app.command()
def enable(
    name: NameArgument,
    organization: OrganizationOption,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Give a disabled secret out again; no master key is needed.

    Example: harmonia secrets enable hubspot/token --organization alder
    """
    with command(output):
        consent(database_url(db_url), yes=yes, action="enable a secret")
        with open_register(db_url) as register:
            info = register.enable(organization, name, actor=operator())
        emit(asdict(info), output, lambda data: stdout.print(f"{data['name']} is active"))


@app.command()
def expire(
    name: NameArgument,
    organization: OrganizationOption,
    at: Annotated[datetime | None, typer.Option("--at", help="When (UTC); default: now.")] = None,
    never: Annotated[bool, typer.Option("--never", help="Remove the date.")] = False,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Set when a secret stops being given out; no master key is needed.

    Example: harmonia secrets expire hubspot/token --organization alder --at 2027-01-31
    """
    with command(output):
        consent(database_url(db_url), yes=yes, action="expire a secret")
        when = None if never else (utc(at) if at else datetime.now(UTC))
        with open_register(db_url) as register:
            info = register.expire(organization, name, when, actor=operator())
        emit(asdict(info), output, lambda data: stdout.print(f"{data['name']}: {data['status']}"))


@app.command()
def delete(
    name: NameArgument,
    organization: OrganizationOption,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Delete a secret with all its versions, without a master key; the record of its use stays.

    Example: harmonia secrets delete hubspot/token --organization alder
    """
    with command(output):
        consent(database_url(db_url), yes=yes, action="delete a secret")
        with open_register(db_url) as register:
            register.delete(organization, name, actor=operator())
        emit({"deleted": name}, output, lambda data: stdout.print(f"deleted {name}"))


@app.command()
def attest(
    organization: OrganizationOption,
    compare_with: Annotated[
        Path | None,
        typer.Option("--compare", help="An earlier document, to compare with.", parser=path),
    ] = None,
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Print which version of each secret is current, to keep elsewhere; or compare with it.

    Example: harmonia secrets attest --organization alder > attested.json

    Example: harmonia secrets attest --organization alder --compare attested.json
    """
    with command(output):
        import json

        from harmonia_py.secrets.attest import attest as run
        from harmonia_py.secrets.attest import compare

        with open_store(db_url, provider, old_provider) as store:
            if compare_with is None:
                document = run(store, organization)
                emit(document, output, lambda data: typer.echo(json.dumps(data, indent=2)))
                return
            try:
                earlier = json.loads(read_file(compare_with))
            except ValueError:
                raise UsageError(f"{compare_with} is not JSON") from None
            result = compare(store, organization, earlier.get("data", earlier))
        emit(asdict(result), output, _print_compared)
        if not result.ok:
            raise CheckFailed(
                "secrets went backwards since the attestation",
                hint="somebody restored old rows: set the secrets again and revoke the old values",
            )


def _print_compared(data: dict[str, Any]) -> None:
    for word in ("rolled_back", "missing", "newer", "added"):
        for name in data[word]:
            stdout.print(f"{word.replace('_', ' ')}: {name}", highlight=False)
    if data["authentic"] is None:
        stderr.print("the key of the attestation was rotated away: its MAC cannot be checked")
    elif not data["authentic"]:
        stderr.print("the attestation itself was altered")


@app.command(name="import")
def import_(
    organization: OrganizationOption,
    form: Annotated[ImportFormat, typer.Option("--format", help="What stdin holds.")],
    file: FileOption = None,
    identity: IdentityOption = None,
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Set many secrets from stdin: NAME=value lines, a JSON object, or an export.

    Example: harmonia secrets import --organization alder --format env < .env
    """
    with command(output):
        from harmonia_py.secrets import transfer

        consent(database_url(db_url), yes=yes, action="import secrets")
        data = read_input(file)
        if form is ImportFormat.env:
            items = transfer.parse_env(data)
        elif form is ImportFormat.json:
            items = transfer.parse_json(data)
        elif identity is None:
            raise UsageError("name the identity that opens the export with --identity FILE")
        else:
            items = transfer.parse_export(data, read_file(identity))
        with open_store(db_url, provider, old_provider) as store:
            names = transfer.import_all(store, organization, items, actor=operator())
        emit({"imported": names}, output, lambda d: stdout.print(f"{len(names)} secrets set"))


@app.command()
def export(
    organization: OrganizationOption,
    purpose: PurposeOption,
    recipient: RecipientOption = None,
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    db_url: DatabaseUrlOption = None,
) -> None:
    """Write all current values to stdout, encrypted to age recipients.

    Example: harmonia secrets export --organization alder --purpose 'hand over' --recipient age1...
    > secrets.age
    """
    with command(OutputFormat.text):
        from harmonia_py.secrets import transfer

        check_stdout()
        with open_store(db_url, provider, old_provider) as store:
            data, names = transfer.export_to(
                store, organization, recipient or [], actor=operator(), purpose=purpose
            )
        write(data)
        stderr.print(f"{len(names)} secrets exported")
