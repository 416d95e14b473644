"""``harmonia webhooks``: receive, sign, verify."""

from __future__ import annotations

from datetime import timedelta
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
    organization_option,
    path,
)
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stderr, stdout
from harmonia_cli.vault import (
    OldProviderOption,
    ProviderOption,
    make_store,
    open_store,
    operator,
    read_file,
    read_value,
)
from harmonia_py.errors import UsageError

__all__ = ["app"]

app = typer.Typer(help="Receive, sign and verify webhooks.", no_args_is_help=True)
BodyOption = Annotated[Path, typer.Option("--body", help="File with the exact bytes.", parser=path)]
SecretOption = Annotated[
    str | None,
    typer.Option("--secret", help="Name of a stored secret. Without it the value is on stdin."),
]
OptionalOrganization = Annotated[
    UUID | None,
    organization_option("Whose stored secret it is.", envvar="HARMONIA_ORGANIZATION"),
]


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port to listen on.")
    ] = 8787,
    public_url: Annotated[
        str, typer.Option("--public-url", help="What senders see: https://hooks.example.com.")
    ] = "",
    connections: Annotated[
        int, typer.Option("--connections", min=1, max=64, help="Database connections at most.")
    ] = 4,
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    db_url: DatabaseUrlOption = None,
) -> None:
    """Run the receiver: POST /webhooks/ORGANIZATION/ENDPOINT.

    Example: harmonia webhooks serve --port 8787 --public-url https://hooks.example.com
    """
    with command(OutputFormat.text):
        try:
            from harmonia_py.webhooks import server
            from harmonia_py.webhooks.receiver import STATEMENT_SECONDS, Pool, application
        except ImportError:
            raise UsageError(
                "the receiver is not installed", hint="pip install 'harmonia[serve]'"
            ) from None
        from harmonia_py.secrets.store import SecretStore
        from harmonia_py.secrets.vault import Vault

        url = database_url(db_url)
        first = make_store(url, provider, old_provider)
        with first.vault:
            first.ring.check(first.vault)
        ring = first.ring

        def make() -> SecretStore:
            from harmonia_py import dsn

            # The master key was read once: a file or variable may be gone by now.
            connection = dsn.connect(url, autocommit=True)
            return SecretStore(Vault(connection, patience=STATEMENT_SECONDS), ring.copy())

        app = application(Pool(make, connections), public_url=public_url)
        with server.listen(host, port) as on:
            shown = f"http://{host}:{on.getsockname()[1]}/webhooks/ORGANIZATION/ENDPOINT"
            stderr.print(f"receiving on {shown}", highlight=False)
            server.serve(app, on)


@app.command()
def register(
    name: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    organization: OrganizationOption,
    scheme: Annotated[str, typer.Option("--scheme", help="standard, stripe, github, ...")],
    secret: Annotated[str, typer.Option("--secret", help="Name of a secret of kind webhook.")],
    option: Annotated[
        list[str] | None, typer.Option("--option", help="For the generic scheme: header=X-Sig.")
    ] = None,
    provider: ProviderOption = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Add an endpoint that verifies with a stored secret.

    Example: harmonia webhooks register stripe --organization alder --scheme stripe --secret
    hooks/stripe

    Example: harmonia webhooks register shop --organization alder --scheme generic --secret
    hooks/shop --option header=X-Sig
    """
    with command(output):
        from harmonia_py.webhooks.inbox import Inbox

        consent(database_url(db_url), yes=yes, action="add a webhook endpoint")
        options = dict(text.partition("=")[::2] for text in option or [])
        with open_store(db_url, provider) as store:
            endpoint = Inbox(store).register(
                organization, name, scheme, secret=secret, options=options
            )
        path = f"/webhooks/{organization}/{endpoint}"
        emit({"id": str(endpoint), "path": path}, output, lambda d: stdout.print(d["path"]))


@app.command(name="rotate-secret")
def rotate_secret(
    organization: OrganizationOption,
    endpoint: Annotated[UUID, typer.Option("--endpoint", help="Id of the endpoint.")],
    overlap_hours: Annotated[
        float, typer.Option("--overlap-hours", min=0, max=720, help="How long the old one counts.")
    ] = 24.0,
    generate: Annotated[
        bool, typer.Option("--generate", help="Make a new Standard Webhooks secret.")
    ] = False,
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Set a new signing secret from stdin; the former one is accepted a while longer.

    Example: harmonia webhooks rotate-secret --organization alder --endpoint
    01980000-0000-7000-8000-000000000001 --overlap-hours 24 < new-secret.txt
    """
    with command(output):
        from harmonia_py.webhooks import generate_secret
        from harmonia_py.webhooks.inbox import Inbox

        consent(database_url(db_url), yes=yes, action="rotate a webhook secret")
        value = (
            generate_secret()
            if generate
            else read_value(None, keep_newline=False, what="signing secret")
        )
        with open_store(db_url, provider, old_provider) as store:
            name = Inbox(store).rotate_secret(
                organization,
                endpoint,
                value,
                overlap=timedelta(hours=overlap_hours).total_seconds(),
                actor=operator(),
            )
        emit({"secret": name}, output, lambda d: stdout.print(f"{name} has a new version"))
        if generate:
            stderr.print("hand it to the sender with: harmonia secrets reveal", highlight=False)


@app.command()
def sign(
    body: BodyOption,
    secret: SecretOption = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Id of the event.")] = None,
    timestamp: Annotated[int | None, typer.Option("--timestamp", help="Unix seconds.")] = None,
    organization: OptionalOrganization = None,
    provider: ProviderOption = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Print the Standard Webhooks headers of a body.

    Example: harmonia webhooks sign --body event.json < signing-secret.txt
    """
    with command(output):
        from harmonia_py.secrets import Secret
        from harmonia_py.webhooks import sign as run

        value = Secret(_signing_secret(secret, organization, provider, db_url))
        headers = run(read_file(body), [value], event_id=event_id, timestamp=timestamp)
        emit(headers, output, _print_headers)


def _print_headers(headers: dict[str, Any]) -> None:
    for name, value in headers.items():
        stdout.print(f"{name}: {value}", highlight=False)


@app.command()
def verify(
    body: BodyOption,
    scheme: Annotated[str, typer.Option("--scheme", help="standard, stripe, github, ...")],
    header: Annotated[list[str], typer.Option("--header", help="'Name: value'. Repeatable.")],
    secret: SecretOption = None,
    url: Annotated[str, typer.Option("--url", help="Public URL (HubSpot, Twilio).")] = "",
    at: Annotated[
        int | None, typer.Option("--at", help="Judge as if it were this Unix second.")
    ] = None,
    option: Annotated[list[str] | None, typer.Option("--option", help="header=X-Sig ...")] = None,
    organization: OptionalOrganization = None,
    provider: ProviderOption = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Verify a recorded webhook; the reason of a refusal is shown.

    Example: harmonia webhooks verify --scheme github --body event.json --header
    'X-Hub-Signature-256: sha256=...' < signing-secret.txt
    """
    with command(output):
        from dataclasses import asdict

        from harmonia_py.webhooks import scheme_of
        from harmonia_py.webhooks import verify as run

        pairs = [text.partition(":") for text in header]
        raw = [(name.strip().encode(), value.strip().encode()) for name, _, value in pairs]
        chosen = scheme_of(scheme, dict(text.partition("=")[::2] for text in option or []))
        value = _signing_secret(secret, organization, provider, db_url)
        done = run(chosen, read_file(body), raw, [value], url=url, now=at)
        emit(asdict(done), output, lambda d: stdout.print(f"valid, {d['dedupe_key']}"))


def _signing_secret(
    name: str | None, organization: UUID | None, provider: str | None, db_url: str | None
) -> bytes:
    if name is None:
        return read_value(None, keep_newline=False, what="signing secret").reveal()
    if organization is None:
        raise UsageError("a stored secret belongs to an --organization")
    with open_store(db_url, provider) as store:
        return store.get(organization, name, audience="", actor=operator()).value.reveal()
