"""``harmonia keys``: master keys and the keys of organizations."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from harmonia_cli.commands import recovery
from harmonia_cli.options import (
    DatabaseUrlOption,
    OnlyOrganizationOption,
    OrganizationOption,
    YesOption,
    consent,
    database_url,
)
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stderr, stdout
from harmonia_cli.vault import (
    OldProviderOption,
    ProviderOption,
    make_store,
    make_vault,
    open_store,
    operator,
    progress,
)
from harmonia_py.errors import CheckFailed, UsageError

__all__ = ["app"]

app = typer.Typer(
    help="Master keys, the keys of organizations, and their recovery.", no_args_is_help=True
)
app.add_typer(recovery.app, name="recovery")
BackupDaysOption = Annotated[
    int,
    typer.Option(
        "--backup-days", min=0, max=36_500, help="How long backups of the database are kept."
    ),
]


@app.command()
def init(
    provider: ProviderOption = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Make a master key (file: providers) and register it with the database.

    Example: harmonia keys init --provider file:/run/secrets/harmonia
    """
    with command(output):
        from harmonia_py.secrets.keyring import make_master_key

        url = database_url(db_url)
        consent(url, yes=yes, action="register a master key")
        created = False
        if provider and provider.startswith("file:"):
            with make_vault(url) as vault:
                created = make_master_key(vault, Path(provider.removeprefix("file:")))
        store = make_store(url, provider)
        with store.vault:
            state = store.ring.register(store.vault)
        emit({**asdict(state), "created": created}, output, _print_init)


def _print_init(data: dict[str, Any]) -> None:
    stdout.print(f"master key {data['id']} is active", highlight=False)
    if data["created"]:
        stderr.print(
            "It exists only in that file. Without it every secret is lost. Now make copies: "
            "harmonia keys recovery split",
        )


@app.command()
def status(
    organization: OnlyOrganizationOption = None,
    provider: ProviderOption = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Show master keys and, for an organization, the generations of its keys.

    Example: harmonia keys status --organization alder
    """
    with command(output):
        from harmonia_py.secrets.rotation import key_infos

        store = make_store(database_url(db_url), provider)
        with store.vault:
            states = store.ring.states(store.vault)
            infos = key_infos(store.vault, organization) if organization else []
        data = {
            "master_keys": [asdict(state) for state in states],
            "organization_keys": [asdict(info) for info in infos],
        }
        emit(data, output, _print_status)


def _print_status(data: dict[str, Any]) -> None:
    for row in data["master_keys"]:
        stdout.print(f"{row['state']:<9} {row['id']} ({row['provider']})", highlight=False)
    for row in data["organization_keys"]:
        stdout.print(
            f"generation {row['generation']}: {row['state']}, {row['versions']} values, "
            f"about {row['seals']} seals",
            highlight=False,
        )


@app.command()
def check(
    provider: ProviderOption = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Prove that the master key at hand is the one the database uses.

    Example: harmonia keys check --provider awskms:alias/harmonia
    """
    with command(output):
        store = make_store(database_url(db_url), provider)
        with store.vault:
            state = store.ring.check(store.vault)
        emit(
            asdict(state),
            output,
            lambda data: stdout.print(f"master key {data['id']} opens", highlight=False),
        )


@app.command()
def rewrap(
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    backup_days: BackupDaysOption = 30,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Change the master key: wrap every organization's key anew. No secret is touched.

    Example: harmonia keys rewrap --provider file:/run/secrets/new --old-provider
    file:/run/secrets/harmonia
    """
    with command(output):
        from harmonia_py.secrets.rewrapping import rewrap as run

        url = database_url(db_url)
        consent(url, yes=yes, action="change the master key")
        if not old_provider:
            raise UsageError("name the former master key with --old-provider")
        store = make_store(url, provider, old_provider)
        with store.vault, progress("rewrapping") as tell:
            result = run(store.vault, store.ring, progress=tell)
        until = _after(backup_days)
        emit({**asdict(result), "keep_old_until": until}, output, _print_rewrapped)
        if result.parked:
            raise CheckFailed("some keys could not be rewrapped", hint="see the list above")


def _print_rewrapped(data: dict[str, Any]) -> None:
    stdout.print(f"{data['moved']} keys are under {data['master_key_id']}", highlight=False)
    for name, code in data["parked"].items():
        stdout.print(f"not rewrapped: {name} ({code})", highlight=False)
    for name in data["waiting"]:
        stdout.print(f"still in use, run this again: {name}", highlight=False)
    if not data["retired"]:
        return
    stderr.print(
        f"Keep the former master key until {data['keep_old_until']}: older backups need it.\n"
        "If it leaked, rotate the organizations' keys and every credential at its provider: "
        "a copy of the database made before is readable with it.",
    )


@app.command(name="rotate-organization")
def rotate_organization(
    organization: OrganizationOption,
    batch: Annotated[int, typer.Option("--batch", min=1, max=2000, help="Values at a time.")] = 200,
    pause_ms: Annotated[
        int, typer.Option("--pause-ms", min=0, max=3_600_000, help="Between batches.")
    ] = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after so many.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many, change nothing.")
    ] = False,
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Seal all secrets of an organization under a new key. Run again to resume.

    Example: harmonia keys rotate-organization --organization alder --dry-run

    Example: harmonia keys rotate-organization --organization alder
    """
    with command(output):
        from harmonia_py.secrets.rotation import key_infos
        from harmonia_py.secrets.rotation import rotate_organization as run

        consent(database_url(db_url), yes=yes, action="rotate keys")
        with open_store(db_url, provider, old_provider) as store, progress("rotating") as tell:
            if dry_run:
                infos = key_infos(store.vault, organization)
                retiring = [info for info in infos if info.state == "retiring"]
                due = sum(info.versions for info in (retiring or infos))
                emit({"would_move": due}, output, lambda data: stdout.print(f"{due} values"))
                return
            result = run(
                store.vault,
                store.ring,
                organization,
                batch=batch,
                pause=pause_ms / 1000,
                limit=limit,
                progress=tell,
            )
        emit(asdict(result), output, _print_rotated)
        if result.parked:
            raise CheckFailed(
                "some secrets did not open and stay under the old key",
                hint="set or delete them, then run this again",
            )


def _print_rotated(data: dict[str, Any]) -> None:
    done = "the old key is wiped" if data["finished"] else "not finished: run again"
    stdout.print(
        f"{data['moved']} values moved from generation {data['old_generation']} to "
        f"{data['new_generation']}; {done}",
        highlight=False,
    )
    for name, code in data["parked"].items():
        stdout.print(f"not opened: {name} ({code})", highlight=False)


@app.command()
def verify(
    organization: OrganizationOption,
    provider: ProviderOption = None,
    old_provider: OldProviderOption = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Open every stored value of an organization and change nothing.

    Example: harmonia keys verify --organization alder
    """
    with command(output):
        from harmonia_py.secrets.rotation import verify as run

        with open_store(db_url, provider, old_provider) as store, progress("opening") as tell:
            result = run(store.vault, store.ring, organization, progress=tell)
        emit(asdict(result), output, _print_verified)
        if result.failed:
            raise CheckFailed(f"{len(result.failed)} values did not open")


def _print_verified(data: dict[str, Any]) -> None:
    stdout.print(f"{data['opened']} values opened", highlight=False)
    for name, code in data["failed"].items():
        stdout.print(f"did not open: {name} ({code})", highlight=False)


@app.command()
def shred(
    organization: OrganizationOption,
    confirm: Annotated[str, typer.Option("--confirm", help="The organization's id once more.")],
    backup_days: BackupDaysOption = 30,
    provider: ProviderOption = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Destroy the keys of an organization: its secrets are gone. There is no way back.

    Example: harmonia keys shred --organization alder --confirm
    a0000000-0000-7000-8000-000000000001 --backup-days 35
    """
    with command(output):
        from harmonia_py.secrets.rotation import shred as run

        consent(database_url(db_url), yes=yes, action="destroy keys")
        if confirm != str(organization):
            raise UsageError("--confirm is not the organization's id; nothing was destroyed")
        with open_store(db_url, provider) as store:
            count = run(store.vault, store.ring, organization, actor=operator())
        emit({"destroyed": count, "complete_after": _after(backup_days)}, output, _print_shredded)


def _print_shredded(data: dict[str, Any]) -> None:
    stdout.print(f"{data['destroyed']} keys destroyed", highlight=False)
    stderr.print(
        "The secrets cannot be read from this database any more. Backups, WAL archives and "
        "replicas that lag still hold the wrapped keys, and the master key opens those: "
        f"complete when the last of them has expired, after {data['complete_after']}.",
    )


def _after(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
