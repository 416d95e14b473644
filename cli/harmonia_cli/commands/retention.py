"""``harmonia retention``: what is to be deleted, and deleting it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import typer

from harmonia_cli.options import DatabaseUrlOption, YesOption, consent, database_url
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stderr, stdout

__all__ = ["app"]

app = typer.Typer(help="Delete organizations whose time is over, and certify it.")


@app.callback()
def root() -> None:
    """Delete organizations whose time is over, and certify it."""


@app.command()
def plan(db_url: DatabaseUrlOption = None, output: OutputOption = OutputFormat.text) -> None:
    """Show what is due, what blocks it and how much it is; changes nothing."""
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
            markup=False,
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
    organization: Annotated[
        UUID | None, typer.Option("--organization", help="Only this organization.")
    ] = None,
    batch: Annotated[
        int, typer.Option("--batch", min=1, max=100_000, help="Rows per transaction.")
    ] = 5_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Purge what is due, in batches that can be interrupted, and sign a certificate for each."""
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
        signing = keys.sealing_key(keys.load(key))
        chosen = [d.organization_id for d in due]
        # Named, it says itself why it cannot be purged.
        if organization is not None and not chosen:
            chosen = [organization]
        done = []
        for id_ in chosen:
            rows = retention.purge(url, id_, batch=batch)
            signed = retention.certify(url, id_, signing)
            stderr.print(f"purged {id_}", style="dim")
            done.append(
                {
                    "organization_id": str(id_),
                    "rows": rows,
                    "certificate": signed.document,
                    "key_id": signed.key_id,
                    "signature": signed.signature.hex(),
                }
            )
        emit(done, output, _print_done)


def _print_done(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        stdout.print(f"{row['organization_id']}  {row['rows']} rows deleted, certified")
    if not rows:
        stdout.print("nothing is due")
