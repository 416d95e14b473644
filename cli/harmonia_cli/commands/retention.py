"""``harmonia retention``: what is to be deleted, and deleting it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from harmonia_cli.options import (
    PUBLIC_KEY,
    DatabaseUrlOption,
    OnlyOrganizationOption,
    YesOption,
    consent,
    database_url,
    public_key_given,
)
from harmonia_cli.output import (
    OutputFormat,
    OutputOption,
    command,
    emit,
    progress_bar,
    stderr,
    stdout,
)
from harmonia_cli.vault import load_key
from harmonia_py.errors import CheckFailed, Refused

if TYPE_CHECKING:
    from harmonia_py.lifecycle.retention import Certificate

__all__ = ["app"]

app = typer.Typer(help="Delete organizations whose time is over, and certify it.")


@app.callback()
def root() -> None:
    """Delete organizations whose time is over, and certify it."""


@app.command()
def plan(db_url: DatabaseUrlOption = None, output: OutputOption = OutputFormat.text) -> None:
    """Show what is due, what blocks it and how much it is; changes nothing.

    Example: harmonia retention plan
    """
    with command(output):
        from harmonia_py.lifecycle import retention

        due = retention.plan(database_url(db_url))
        emit([asdict(d) for d in due], output, _print_plan)


def _print_plan(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        stdout.print(
            f"{row['organization_id']}  {row['purge_after']:%Y-%m-%d %H:%M}  "
            f"{row['blocked'] or 'due':<14} {row['rows']:>9} rows "
            f"{row['stored_objects']:>6} stored objects  {row['name']}",
            highlight=False,
        )
    if not rows:
        stdout.print("nothing is closing")


@app.command()
def run(
    key: Annotated[
        str,
        typer.Option(
            "--key",
            envvar="HARMONIA_AUDIT_KEY",
            help="The key that signs certificates: file:PATH, env:NAME, cmd:COMMAND, keyring:S/U.",
        ),
    ],
    organization: OnlyOrganizationOption = None,
    batch: Annotated[
        int, typer.Option("--batch", min=1, max=100_000, help="Rows per transaction.")
    ] = 5_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Purge what is due, in batches that can be interrupted, and sign a certificate for each.

    Example: harmonia retention run --key file:/etc/harmonia/audit.key --dry-run
    """
    with command(output):
        from harmonia_py.lifecycle import keys, retention

        url = database_url(db_url)
        due = [
            d
            for d in retention.plan(url)
            if d.blocked is None and organization in (None, d.organization_id)
        ]
        if dry_run:
            emit([asdict(d) for d in due], output, _print_plan)
            return
        consent(url, yes=yes, action="delete organizations for good")
        signing = keys.sealing_key(load_key(key))
        sizes = {d.organization_id: d.rows for d in due}
        # Named, it says itself why it cannot be purged. Unnamed, what a schedule purged or an
        # interrupted run left is certified too.
        chosen = [organization] if organization else [*sizes, *retention.uncertified(url)]
        done, failed = [], None
        for id_ in chosen:
            try:
                with _purging(id_, sizes.get(id_, 0)) as tell:
                    signed = retention.complete(url, id_, signing, batch=batch, progress=tell)
            except (Refused, CheckFailed) as error:
                if organization is not None:
                    raise
                failed = error
                stderr.print(f"{id_}: {error.message}")
                continue
            done.append(_certified(signed))
        emit(done, output, _print_done)
        if failed is not None:
            raise typer.Exit(failed.exit_code)


@contextmanager
def _purging(organization_id: UUID, rows: int) -> Iterator[Callable[[str, int], None] | None]:
    with progress_bar(f"purging {organization_id}", rows) as tell:
        gone = 0

        def told(_: str, count: int) -> None:
            nonlocal gone
            gone += count
            if tell is not None:
                tell(gone, rows)

        yield told if tell is not None else None


def _certified(signed: Certificate) -> dict[str, Any]:
    content = json.loads(signed.document)
    return {
        "organization_id": str(signed.organization_id),
        "rows": sum(table["rows"] for table in content["tables"].values()),
        "certificate": signed.document,
        "key_id": signed.key_id,
        "signature": signed.signature.hex(),
    }


def _print_done(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        stdout.print(f"{row['organization_id']}  {row['rows']} rows deleted, certified")
    if not rows:
        stdout.print("nothing is due")


@app.command("certificate")
def certificate_(
    organization: Annotated[UUID, typer.Argument(help="The organization's id.")],
    public_key: Annotated[
        str | None,
        typer.Option(
            "--public-key",
            envvar=PUBLIC_KEY,
            help="Check the signature: the public half of the sealing key, 64 hex digits.",
        ),
    ] = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Show the certificate of a deletion, and check its signature.

    Example: harmonia retention certificate a0000000-0000-7000-8000-000000000001
    """
    with command(output):
        from harmonia_py.lifecycle import keys, retention

        public_key = public_key_given(public_key)
        signed = retention.certificate(database_url(db_url), organization)
        if public_key is not None:
            retention.check_certificate(signed, keys.public_key(public_key))
        emit(
            {**_certified(signed), "verified": public_key is not None},
            output,
            lambda d: stdout.print(json.dumps(json.loads(d["certificate"]), indent=2)),
        )
        if public_key is None:
            stderr.print("the signature was not checked: give --public-key", style="dim")
