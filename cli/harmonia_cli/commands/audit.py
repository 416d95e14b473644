"""``harmonia audit``: the record of who did what."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from harmonia_cli.options import (
    PUBLIC_KEY,
    DatabaseUrlOption,
    OnlyOrganizationOption,
    OrganizationOption,
    YesOption,
    consent,
    database_url,
    path,
    public_key_given,
)
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stderr, stdout, working
from harmonia_cli.vault import load_key

__all__ = ["app"]

app = typer.Typer(help="Verify, seal and read the record of who did what.", no_args_is_help=True)

KeyOption = Annotated[
    str,
    typer.Option(
        "--key",
        envvar="HARMONIA_AUDIT_KEY",
        help="The sealing key: file:PATH, env:NAME, cmd:COMMAND or keyring:SERVICE/USER.",
    ),
]


@app.callback()
def root() -> None:
    """Verify, seal and read the record of who did what."""


@app.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="The file to create (mode 0600).", parser=path)],
    output: OutputOption = OutputFormat.text,
) -> None:
    """Create a sealing key outside the database and print its public half.

    Example: harmonia audit keygen /etc/harmonia/audit.key
    """
    with command(output):
        from harmonia_py.lifecycle import keys
        from harmonia_py.secrets.process import harden

        harden()
        key = keys.generate(path)
        data = {"public_key": keys.key_id(keys.sealing_key(key).public_key())}
        emit(data, output, lambda d: stdout.print(d["public_key"], highlight=False))


@app.command()
def seal(
    key: KeyOption,
    receipts: Annotated[
        Path | None,
        typer.Option(
            "--receipts", help="Append the receipt to this file, kept somewhere else.", parser=path
        ),
    ] = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Verify what is new and sign the ends of all chains that moved.

    Example: harmonia audit seal --key file:/etc/harmonia/audit.key --receipts
    /mnt/elsewhere/receipts
    """
    with command(output):
        from harmonia_py.audit import seal as sealing
        from harmonia_py.audit.seal import check_receipts, write_receipt
        from harmonia_py.lifecycle import keys

        url = database_url(db_url)
        consent(url, yes=yes, action="seal the audit record")
        signing = keys.sealing_key(load_key(key))
        if receipts is not None:
            # A seal without its receipt proves less: so not at all.
            check_receipts(receipts)
        with working("verifying what is new"):
            receipt = sealing(url, signing)
        if receipt is not None and receipts is not None:
            write_receipt(receipts, receipt)
        emit(asdict(receipt) if receipt else None, output, _print_receipt)


def _print_receipt(data: dict[str, Any] | None) -> None:
    if data is None:
        stdout.print("nothing new to seal")
    else:
        stdout.print(
            f"seal {data['number']} over {data['heads']} chains, digest {data['digest']}",
            highlight=False,
        )


@app.command()
def verify(
    organization: OnlyOrganizationOption = None,
    public_key: Annotated[
        str | None,
        typer.Option(
            "--public-key",
            envvar=PUBLIC_KEY,
            help="The public half of the sealing key, as 64 hex digits.",
        ),
    ] = None,
    receipts: Annotated[
        Path | None,
        typer.Option("--receipts", help="The file of receipts kept by seal.", parser=path),
    ] = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Recompute every digest outside the database; exit 3 names the first event that is wrong.

    Example: harmonia audit verify --public-key "$PUBLIC" --receipts /mnt/elsewhere/receipts
    """
    with command(output):
        from harmonia_py.audit import verify as verifying
        from harmonia_py.audit.seal import read_receipts
        from harmonia_py.lifecycle import keys

        public_key = public_key_given(public_key)
        url, known = database_url(db_url), read_receipts(receipts) if receipts else ()
        signer = keys.public_key(public_key) if public_key is not None else None
        with working("recomputing every digest"):
            report = verifying(url, organization_id=organization, public_key=signer, receipts=known)
        emit({**asdict(report), "verified": report.ok}, output, _print_report)
        if not report.ok:
            raise typer.Exit(3)


def _print_report(data: dict[str, Any]) -> None:
    for found in data["found"]:
        where = found["organization_id"] or "all"
        stdout.print(f"{found['kind']:<10} {where}  {found['message']}", highlight=False)
    stdout.print(
        f"{data['events']} events of {data['organizations']} organizations,"
        f" {data['sealed_events']} under {data['seals']} seals:"
        f" {'as recorded' if data['verified'] else 'NOT as recorded'}",
        highlight=False,
    )
    if not data["signatures"]:
        stderr.print("signatures were not checked: give --public-key", style="dim")


@app.command()
def tail(
    organization: OrganizationOption,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many, newest first.")
    ] = 20,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Show the latest events of an organization.

    Example: harmonia audit tail --organization alder -n 50
    """
    with command(output):
        from harmonia_py.audit import tail as latest

        emit(latest(database_url(db_url), organization, limit=limit), output, _print_events)


def _print_events(events: list[dict[str, Any]]) -> None:
    for event in events:
        who = event["actor_id"] or event["db_user"]
        stdout.print(
            f"{event['number']:>8}  {event['at']:%Y-%m-%d %H:%M:%S}  {event['actor_kind']:<8} "
            f"{who}  {event['action']} {event['table_name'] or ''} {event['record_key'] or ''}",
            highlight=False,
        )
    if not events:
        stderr.print("nothing is on record for this organization", style="dim")


@app.command()
def export(
    organization: OrganizationOption,
    out: Annotated[
        Path, typer.Option("--out", help="The file to create (one JSON line each).", parser=path)
    ],
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Write every event of an organization to a new file, whole or not at all.

    Example: harmonia audit export --organization alder --out events.ndjson
    """
    with command(output):
        from harmonia_py.audit import export as exporting
        from harmonia_py.errors import UsageError
        from harmonia_py.lifecycle.stream import writing

        url = database_url(db_url)
        if out.exists():
            raise UsageError(f"{out} exists and is not overwritten")
        with writing(out) as file:
            text = io.TextIOWrapper(file, encoding="utf-8")
            count = exporting(url, organization, text)
            text.detach()
        emit({"events": count, "path": str(out)}, output, lambda d: stdout.print(d["events"]))


@app.command("erase-payload")
def erase_payload(
    organization: OrganizationOption,
    number: Annotated[
        int, typer.Option("--number", min=1, max=2**63 - 1, help="The event's number (see tail).")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Erase the personal data of one event; the chain still verifies.

    Example: harmonia audit erase-payload --organization alder --number 7 --reason "request 12"
    """
    with command(output):
        from harmonia_py.audit import erase_payload as erasing

        url = database_url(db_url)
        consent(url, yes=yes, action="erase the payload of an audit event")
        erasing(url, organization, number, reason=reason)
        emit({"erased": number}, output, lambda d: stdout.print(f"erased event {d['erased']}"))
