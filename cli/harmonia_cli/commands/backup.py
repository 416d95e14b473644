"""``harmonia backup``: encrypted backups and the proof that they can be restored."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from harmonia_cli.options import DatabaseUrlOption, YesOption, consent, database_url, path
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stderr, stdout, working
from harmonia_cli.vault import load_key

__all__ = ["app"]

app = typer.Typer(help="Make, check, restore and prune encrypted backups.", no_args_is_help=True)

KeyOption = Annotated[
    str,
    typer.Option(
        "--key",
        envvar="HARMONIA_BACKUP_KEY",
        help="The backup key: file:PATH, env:NAME, cmd:COMMAND or keyring:SERVICE/USER.",
    ),
]
FolderOption = Annotated[Path, typer.Option("--folder", help="Where the backups are.", parser=path)]
FileArgument = Annotated[Path, typer.Argument(help="The backup file.", parser=path)]


@app.callback()
def root() -> None:
    """Make, check, restore and prune encrypted backups."""


@app.command()
def create(
    key: KeyOption,
    folder: FolderOption,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Dump the database into a new encrypted file.

    Example: harmonia backup create --key file:/etc/harmonia/backup.key --folder /backups
    """
    with command(output):
        from harmonia_py.lifecycle import backup, keys

        url, opened = database_url(db_url), keys.stream_key(load_key(key), "backup")
        with working("dumping and encrypting"):
            done = backup.create(url, folder, opened)
        emit(_plain(done), output, _print_one)


@app.command()
def verify(file: FileArgument, key: KeyOption, output: OutputOption = OutputFormat.text) -> None:
    """Prove that a backup is authentic and complete, without restoring it.

    Example: harmonia backup verify /backups/crm.hbk --key file:/etc/harmonia/backup.key
    """
    with command(output):
        from harmonia_py.lifecycle import backup, keys

        opened = keys.stream_key(load_key(key), "backup")
        with working("reading the whole file"):
            done = backup.verify(file, opened)
        emit(_plain(done), output, _print_one)


@app.command()
def restore(
    file: FileArgument,
    key: KeyOption,
    into: Annotated[
        str,
        typer.Option(
            "--into",
            envvar="HARMONIA_RESTORE_URL",
            help="URL of an empty database, or of one that does not exist and is created.",
        ),
    ],
    yes: YesOption = False,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Restore into an empty database and compare rows and audit record with the backup.

    Example: harmonia backup restore /backups/crm.hbk --key file:/etc/harmonia/backup.key --into
    "$DRILL_URL"
    """
    with command(output):
        from harmonia_py.lifecycle import backup, keys

        url = database_url(into)
        consent(url, yes=yes, action="restore a backup")
        opened = keys.stream_key(load_key(key), "backup")
        with working("proving the file, restoring, comparing"):
            done = backup.restore(file, opened, url)
        emit(_plain(done), output, _print_one)


@app.command("list")
def list_(folder: FolderOption, output: OutputOption = OutputFormat.text) -> None:
    """List the backups of a folder, the newest first.

    Example: harmonia backup list --folder /backups
    """
    with command(output):
        from harmonia_py.lifecycle import backup

        found = [_plain(b) for b in backup.listing(folder)]
        emit(found, output, _print_all)


@app.command()
def prune(
    folder: FolderOption,
    key: KeyOption,
    days: Annotated[
        int, typer.Option("--days", min=1, max=36_500, help="Keep backups this long.")
    ] = 30,
    at_least: Annotated[
        int, typer.Option("--at-least", min=1, help="Keep this many whole ones, however old.")
    ] = 3,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Delete backups that are older than the promise, and say which; read the newest for it.

    Example: harmonia backup prune --key file:/etc/harmonia/backup.key --folder /backups --days 30
    """
    with command(output):
        from harmonia_py.lifecycle import backup, keys

        opened = keys.stream_key(load_key(key), "backup")
        with working("reading the newest backups"):
            done = backup.prune(folder, opened, keep=timedelta(days=days), at_least=at_least)
        for broken in done.damaged:
            stderr.print(f"{broken} is damaged or of another key; it does not count")
        emit(
            {name: [str(found) for found in paths] for name, paths in asdict(done).items()},
            output,
            lambda d: stdout.print("\n".join(d["deleted"]) or "nothing is old enough"),
        )


def _print_all(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        _print_one(row)
    if not rows:
        stdout.print("there are no backups in this folder")


def _plain(value: Any) -> dict[str, Any]:
    return {**asdict(value), "path": str(value.path)}


def _print_one(data: dict[str, Any]) -> None:
    rows = "" if data["rows"] is None else f"  {data['rows']} rows of {data['tables']} tables"
    stdout.print(
        f"{data['created_at']:%Y-%m-%d %H:%M}  {data['size']:>12} bytes{rows}  {data['path']}",
        highlight=False,
    )
