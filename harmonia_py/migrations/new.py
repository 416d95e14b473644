"""Create an empty migration with a version that sorts last."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from harmonia_py.errors import MigrationRefused, NotWritable
from harmonia_py.migrations.files import read_folder

__all__ = ["new", "next_version"]

_HEAD = "set local lock_timeout = '4s';\n"


def new(folder: Path, name: str) -> Path:
    """Write ``<version>_<name>.sql`` and return its path.

    The version is the present UTC second, or one after the newest file if that is later.
    Raises ``MigrationRefused`` for a name that is not snake_case, ``NotWritable``.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise MigrationRefused(
            f"{name!r} is not a migration name",
            hint="lower-case letters, digits and underscores, for example add_contact_birthday",
        )
    version = next_version([m.version for m in read_folder(folder).migrations])
    path = folder / f"{version}_{name}.sql"
    write(path, _HEAD)
    return path


def next_version(versions: list[str]) -> str:
    """Return ``max(now, newest + 1)`` as fourteen digits."""
    now = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    newest = max(versions, default="")
    return max(now, f"{int(newest) + 1:0{len(newest)}d}" if newest else now)


def write(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file whole or not at all; without ``replace`` it must not exist yet.

    Raises ``NotWritable``.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        scratch.write_text(text, encoding="utf-8", newline="\n")
        if replace:
            scratch.replace(path)
        else:
            os.link(scratch, path)
    except FileExistsError:
        raise NotWritable(f"{path} already exists", hint="choose another name") from None
    except OSError as error:
        raise NotWritable(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            scratch.unlink()
