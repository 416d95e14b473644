"""What the commands around secrets share: options, the open store, input that is not argv."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harmonia_cli.options import database_url, path
from harmonia_cli.output import stderr
from harmonia_py.errors import UsageError

if TYPE_CHECKING:
    from harmonia_py.secrets import Secret
    from harmonia_py.secrets.register import SecretRegister
    from harmonia_py.secrets.store import SecretStore
    from harmonia_py.secrets.vault import Actor, Vault

__all__ = [
    "IdentityOption",
    "NameArgument",
    "OldProviderOption",
    "ProviderOption",
    "RecipientOption",
    "load_key",
    "make_store",
    "make_vault",
    "open_register",
    "open_store",
    "operator",
    "progress",
    "read_file",
    "read_input",
    "read_value",
    "refuse_value",
]

ProviderOption = Annotated[
    str | None,
    typer.Option(
        "--provider",
        envvar="HARMONIA_MASTER_KEY_PROVIDER",
        help="Where the master key is: file:PATH, cmd:..., env:NAME, keyring:SERVICE/USER, "
        "awskms:KEY, gcpkms:KEY, transit:URL#KEY.",
    ),
]
OldProviderOption = Annotated[
    str | None,
    typer.Option(
        "--old-provider",
        envvar="HARMONIA_OLD_MASTER_KEY_PROVIDER",
        help="The former master key, while it is being replaced.",
    ),
]
RecipientOption = Annotated[
    list[str] | None, typer.Option("--recipient", help="An age public key (age1...). Repeatable.")
]
IdentityOption = Annotated[
    Path | None,
    typer.Option(
        "--identity", help="File with an age identity (AGE-SECRET-KEY-1...).", parser=path
    ),
]
NameArgument = Annotated[str, typer.Argument(help="Name of the secret, such as hubspot/token.")]

_MAX_INPUT = 64 << 20
# How the keys of well-known services begin: nobody names a secret so.
_LOOKS_LIKE_A_VALUE = (
    "sk_live", "sk_test", "sk-", "rk_live", "ghp_", "gho_", "github_pat_", "xoxb-", "xoxp-",
    "whsec_", "hmk1_", "shpat_", "glpat-", "akia", "eyj", "pat-", "age-secret-key",
)  # fmt: skip


def refuse_value(name: str, extra: list[str] | None) -> None:
    """Refuse a value on the command line, where every user of the machine can read it."""
    if extra or name.lower().startswith(_LOOKS_LIKE_A_VALUE):
        raise UsageError(
            "a secret value does not belong on the command line: others can read it there",
            hint="treat it as leaked if it was real; then: harmonia secrets set NAME < FILE",
        )


@contextmanager
def open_register(db_url: str | None) -> Iterator[SecretRegister]:
    """Open what may be shown of secrets; no master key is asked for."""
    from harmonia_py.secrets.register import SecretRegister

    with make_vault(database_url(db_url)) as vault:
        yield SecretRegister(vault)


@contextmanager
def open_store(
    db_url: str | None, provider: str | None, old_provider: str | None = None
) -> Iterator[SecretStore]:
    """Open the store, after comparing the master key with the one the database uses."""
    store = make_store(database_url(db_url), provider, old_provider)
    with store.vault:
        store.ring.check(store.vault)
        yield store


def make_store(url: str, provider: str | None, old_provider: str | None = None) -> SecretStore:
    """Return a store with a connection of its own."""
    from harmonia_py.secrets import provider as provider_of
    from harmonia_py.secrets.keyring import KeyRing
    from harmonia_py.secrets.process import harden
    from harmonia_py.secrets.store import SecretStore

    harden()
    if not provider:
        raise UsageError(
            "no master key is named",
            hint="give --provider or set HARMONIA_MASTER_KEY_PROVIDER, for example file:PATH",
        )
    providers = [provider_of(uri) for uri in (provider, old_provider) if uri]
    return SecretStore(make_vault(url), KeyRing(*providers))


def load_key(uri: str) -> Secret:
    """Return a key that is kept outside the database, in a process that keeps it to itself."""
    from harmonia_py.lifecycle import keys
    from harmonia_py.secrets.process import harden

    harden()
    return keys.load(uri)


def make_vault(url: str) -> Vault:
    """Return the door to the sealed tables, with a connection of its own."""
    from harmonia_py import dsn
    from harmonia_py.secrets.vault import Vault

    return Vault(dsn.connect(url, autocommit=True))


def operator() -> Actor:
    """Return who runs the command, for the access log."""
    from harmonia_py.secrets.vault import Actor

    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "unknown"
    return Actor(f"operator {name}")


def read_value(file: Path | None, *, keep_newline: bool, what: str) -> Secret:
    """Return a value from a file, stdin or a hidden prompt; one trailing newline is removed."""
    from harmonia_py.secrets import Secret
    from harmonia_py.secrets.process import harden

    harden()
    if file is None and sys.stdin is not None and sys.stdin.isatty():
        first = getpass.getpass(f"{what}: ")
        if first != getpass.getpass("again: "):
            raise UsageError("the two entries differ; nothing was stored")
        return Secret(first)
    data = read_input(file)
    if data.endswith(b"\n") and not keep_newline:
        data = data[:-2] if data.endswith(b"\r\n") else data[:-1]
        stderr.print("one newline at the end was removed (--keep-newline keeps it)", style="dim")
    return Secret(data)


def read_input(file: Path | None) -> bytes:
    """Return what a file, or stdin, holds. Nothing is cut off: too much is refused."""
    if file is not None:
        return read_file(file)
    if sys.stdin is None:
        raise UsageError("stdin is closed", hint="name a file with --file, or pipe the input in")
    return _within(sys.stdin.buffer.read(_MAX_INPUT + 1), "the input")


def read_file(path: Path) -> bytes:
    """Return a file's bytes, or say why not."""
    try:
        with path.open("rb") as file:
            return _within(file.read(_MAX_INPUT + 1), str(path))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _within(data: bytes, what: str) -> bytes:
    if len(data) > _MAX_INPUT:
        raise UsageError(f"{what} holds more than {_MAX_INPUT >> 20} MiB", hint="split it")
    return data


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yield a callback that draws a bar on a terminal, or None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    with Progress(console=stderr) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
