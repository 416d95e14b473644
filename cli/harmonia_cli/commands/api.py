"""``harmonia token``, ``api-keys`` and ``reference``: the API for developers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
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

if TYPE_CHECKING:
    from harmonia_py.tokens import Aal

__all__ = ["api_keys", "reference", "token"]

AsOption = Annotated[str, typer.Option("--as", help="E-mail address of the person who acts.")]
AalOption = Annotated[str, typer.Option("--aal", help="aal1, or aal2 as after a second factor.")]
api_keys = typer.Typer(help="API keys for servers: made from permissions, shown once.")


def token(
    as_: AsOption,
    organization: Annotated[
        str | None,
        typer.Option(
            "--organization", help="To put into the token as active, by short name (slug) or id."
        ),
    ] = None,
    aal: AalOption = "aal1",
    hours: Annotated[int, typer.Option(min=1, max=24, help="How long it is valid.")] = 1,
    secret_env: Annotated[
        str | None,
        typer.Option(help="Environment variable with the HS256 secret (default: harmonia up's)."),
    ] = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Make a development token for a person of the database.

    Example: export TOKEN="$(harmonia token --as olga.owner@alder.example)"
    """
    with command(output):
        import os

        from harmonia_py import api_keys as keys
        from harmonia_py import dsn, organizations, tokens
        from harmonia_py.connection import told
        from harmonia_py.errors import UsageError
        from harmonia_py.postgrest import companion

        level = _level(aal)
        if secret_env is not None:
            secret = os.environ.get(secret_env, "")
            if not secret:
                raise UsageError(f"the environment variable {secret_env} is empty")
        else:
            secret = companion.read(_development().directory).secret
        url = db_url or _development().dsn_as("postgres")
        if not dsn.is_loopback(url):
            raise UsageError("development tokens are for databases on this machine")
        with dsn.connect(url) as connection, told(url, connection):
            claims = tokens.user_claims(
                keys.user_id(connection, as_),
                as_,
                aal=level,
                organization_id=(
                    organizations.find(connection, organization) if organization else None
                ),
                lifetime=hours * 3600,
            )
        value = tokens.sign(claims, secret)
        emit({"token": value}, output, lambda data: typer.echo(data["token"]))


@api_keys.command("create")
def create(
    name: Annotated[str, typer.Option("--name", help="What the key is for.")],
    permission: Annotated[
        list[str], typer.Option("--permission", help="A permission to give; repeat the option.")
    ],
    organization: OrganizationOption,
    as_: AsOption,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days it lives.")] = 90,
    aal: AalOption = "aal1",
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Make a key from permissions the person holds, and print it once.

    An organization that requires a second factor takes only keys made with --aal aal2.

    Example: harmonia api-keys create --organization alder --as olga.owner@alder.example --name
    import --permission contacts.read
    """
    with command(output):
        from harmonia_py import api_keys as keys
        from harmonia_py import dsn
        from harmonia_py.connection import told

        level = _level(aal)
        url = database_url(db_url)
        consent(url, yes=yes, action="making an API key")
        with dsn.connect(url) as connection, told(url, connection):
            made = keys.create(
                connection,
                email=as_,
                organization_id=organization,
                name=name,
                permissions=permission,
                days=days,
                aal=level,
            )
        emit(asdict(made), output, lambda data: typer.echo(data["api_key"]))
        if output is OutputFormat.text:
            stderr.print(
                f"key {made.api_key_id} until {made.expires_at:%Y-%m-%d}; it is not shown again"
            )


@api_keys.command("list")
def list_(
    organization: OrganizationOption,
    as_: AsOption,
    aal: AalOption = "aal1",
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """List the keys of an organization: what they may do and when they were last used.

    Example: harmonia api-keys list --organization alder --as olga.owner@alder.example
    """
    with command(output):
        from harmonia_py import api_keys as keys
        from harmonia_py import dsn
        from harmonia_py.connection import told

        level = _level(aal)
        url = database_url(db_url)
        with dsn.connect(url) as connection, told(url, connection):
            found = keys.list_keys(connection, email=as_, organization_id=organization, aal=level)
        emit({"api_keys": [asdict(key) for key in found]}, output, _print_keys)


@api_keys.command("revoke")
def revoke(
    api_key_id: Annotated[UUID, typer.Argument(help="The id of the key.")],
    organization: OrganizationOption,
    as_: AsOption,
    aal: AalOption = "aal1",
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """End a key and every token it was exchanged for, at once.

    Example: harmonia api-keys revoke a0000000-0000-7000-8000-000000000009 --organization alder
    --as olga.owner@alder.example
    """
    with command(output):
        from harmonia_py import api_keys as keys
        from harmonia_py import dsn
        from harmonia_py.connection import told

        level = _level(aal)
        url = database_url(db_url)
        consent(url, yes=yes, action="revoking an API key")
        with dsn.connect(url) as connection, told(url, connection):
            keys.revoke(
                connection,
                email=as_,
                organization_id=organization,
                api_key_id=api_key_id,
                aal=level,
            )
        emit({"revoked": str(api_key_id)}, output, lambda data: stdout.print("revoked"))


def reference(
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is stale (exit 3 if anything is).")
    ] = False,
    root: Annotated[
        Path, typer.Option("--root", help="The checkout to write into.", parser=path)
    ] = Path(),
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Write what is generated from the catalog: client models, TypeScript types, API reference.

    Example: harmonia reference --check
    """
    with command(output):
        from harmonia_py import reference as generated
        from harmonia_py.connection import session
        from harmonia_py.errors import CheckFailed

        with session(database_url(db_url)) as connection:
            if check:
                names = generated.stale(connection, root)
                if names:
                    raise CheckFailed(f"stale: {', '.join(names)}", hint="harmonia reference")
            else:
                names = generated.write(connection, root)
        emit({"written": names}, output, lambda data: stdout.print(*data["written"], sep="\n"))


def _level(aal: str) -> Aal:
    from harmonia_py.errors import UsageError

    levels: dict[str, Aal] = {"aal1": "aal1", "aal2": "aal2"}
    if aal not in levels:
        raise UsageError(f"{aal!r} is no assurance level", hint="write aal1 or aal2")
    return levels[aal]


def _development() -> Any:
    from harmonia_py import development, project
    from harmonia_py.errors import CheckFailed, FolderMissing

    try:
        root = project.find().root
    except FolderMissing:
        root = project.working_directory()
    found = development.status(root)
    if found is None or not found.running:
        raise CheckFailed("the development database is not running", hint="harmonia up")
    return found


def _print_keys(data: dict[str, Any]) -> None:
    for key in data["api_keys"]:
        state = "revoked" if key["revoked_at"] else f"until {key['expires_at']:%Y-%m-%d}"
        used = f"{key['last_used_at']:%Y-%m-%d %H:%M}" if key["last_used_at"] else "never used"
        stdout.print(
            f"{key['api_key_id']}  {key['hint']}…  {key['name']}  {state}  {used}  "
            f"{'aal2' if key['made_at_aal2'] else 'aal1'}  {' '.join(key['permissions'])}",
            highlight=False,
        )
    if not data["api_keys"]:
        stdout.print("there are no API keys")
