"""``harmonia keys recovery``: copies of a master key, and proof that they open."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harmonia_cli.options import DatabaseUrlOption, database_url, path
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stdout
from harmonia_cli.vault import IdentityOption, ProviderOption, RecipientOption, read_file
from harmonia_py.errors import MasterKeyMismatch, UsageError

__all__ = ["app"]

app = typer.Typer(help="Copies of a master key, and proof that they open.", no_args_is_help=True)


@app.command()
def split(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the files (made with mode 0700).", parser=path)
    ],
    shares: Annotated[int, typer.Option("--shares", help="How many shares (0: none).")] = 0,
    threshold: Annotated[int, typer.Option("--threshold", help="How many open it.")] = 0,
    recipient: RecipientOption = None,
    provider: ProviderOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Write copies of the master key: one age file for recipients, or k-of-n shares.

    With both, share i is encrypted to recipient i.

    Example: harmonia keys recovery split --out copies --recipient age1... --recipient age1...

    Example: harmonia keys recovery split --out shares --shares 5 --threshold 3
    """
    with command(output):
        from harmonia_py.secrets import Secret, masterkey, recovery
        from harmonia_py.secrets.process import harden
        from harmonia_py.secrets.providers import local_master_key

        harden()
        if not provider:
            raise UsageError("no master key is named", hint="give --provider")
        key = local_master_key(provider)
        recipients = recipient or []
        if len(set(recipients)) != len(recipients):
            raise UsageError(
                "a recipient is named twice",
                hint="each copy needs a holder of its own: one identity may be lost",
            )
        files: dict[str, bytes] = {}
        if shares:
            if recipients and len(recipients) != shares:
                raise UsageError("give one --recipient per share, or none")
            parts = recovery.split(key, shares=shares, threshold=threshold)
            for number, part in enumerate(parts, 1):
                if recipients:
                    files[f"share-{number}.age"] = recovery.encrypt_to(
                        [recipients[number - 1]], part
                    )
                else:
                    files[f"share-{number}.txt"] = part.reveal() + b"\n"
        else:
            if len(recipients) < 2:
                raise UsageError("name at least two recipients: one may be lost")
            text = Secret(masterkey.text(key))
            files["master-key.age"] = recovery.encrypt_to(recipients, text)
        recovery.write_copies(out, files)
        data = {
            "master_key_id": masterkey.master_key_id(key),
            "files": [str(out / name) for name in files],
        }
        emit(data, output, lambda data: stdout.print("\n".join(data["files"])))


@app.command()
def drill(
    files: Annotated[
        list[Path], typer.Argument(help="The age file, or enough shares.", parser=path)
    ],
    identity: IdentityOption = None,
    restore: Annotated[
        Path | None,
        typer.Option("--restore", help="Also write the key to this new file.", parser=path),
    ] = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Prove that copies of the master key open this database.

    Example: harmonia keys recovery drill copies/master-key.age --identity holder.txt

    Example: harmonia keys recovery drill shares/share-1.txt shares/share-4.txt shares/share-5.txt
    """
    with command(output):
        from harmonia_py import dsn
        from harmonia_py.secrets.keyring import KeyRing
        from harmonia_py.secrets.process import harden
        from harmonia_py.secrets.providers import LocalKey
        from harmonia_py.secrets.providers.local import write_file
        from harmonia_py.secrets.recovery import open_backup
        from harmonia_py.secrets.vault import Vault

        harden()
        key = open_backup(
            [read_file(path) for path in files], read_file(identity) if identity else None
        )
        with Vault(dsn.connect(database_url(db_url), autocommit=True)) as vault:
            try:
                state = KeyRing(LocalKey(key, "recovered")).check(vault)
            except MasterKeyMismatch as error:
                # Not the hint about --provider: none was read.
                raise MasterKeyMismatch(
                    error.message,
                    hint="take copies of the key that is needed; shares of two splits, or of two "
                    "keys, give one that never was. Nothing was restored",
                ) from None
        if restore is not None:
            write_file(restore, key)
        emit(
            {**asdict(state), "restored": str(restore) if restore else None},
            output,
            lambda data: stdout.print(
                f"the copies open this database: master key {data['id']}", highlight=False
            ),
        )
