"""What an interrupted export has already, so that it can go on."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from harmonia_py.errors import Busy, FileDamaged, NotWritable
from harmonia_py.lifecycle.stream import Sealer, content, is_sealed, replacing

__all__ = ["MANIFEST", "Entries", "Identity", "begun", "forget", "keep", "read"]

MANIFEST = "manifest.json"
_PARTIAL = "partial.json"
Entries = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Identity:
    """What an export is of, and the key of its files."""

    organization: UUID
    key: bytes | None = field(repr=False)
    ndjson: bool

    def note(self) -> dict[str, Any]:
        """Return what is written down of it: not the key, which what is written is sealed with."""
        return {"organization": str(self.organization), "ndjson": self.ndjson}


def read(folder: Path, identity: Identity, *, resume: bool) -> Entries:
    """Return the tables that the folder has from an interrupted export; changes nothing.

    Raises :class:`NotWritable` for a folder that exists (unless ``resume``), one with a complete
    export, or one begun for another organization or with another key.
    """
    if (folder / MANIFEST).exists():
        raise NotWritable(f"{folder} holds a complete export and is not overwritten")
    if folder.exists() and not resume:
        raise NotWritable(
            f"{folder} exists and is not overwritten",
            hint="name a new folder, or add --resume to go on with an interrupted export",
        )
    return _read(folder, identity) if folder.exists() else []


@contextmanager
def begun(folder: Path, identity: Identity, *, resume: bool) -> Iterator[Entries]:
    """Make the folder, or go on in it, and keep it to ourselves; yield what it has already.

    Raises what :func:`read` raises, and :class:`Busy` while another export writes into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=resume, mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        read(folder, identity, resume=resume)  # says more about what is there
        raise NotWritable(f"cannot create {folder}: {error.strerror}") from None
    try:
        _lock(folder, descriptor)
        had = read(folder, identity, resume=True)
        try:
            (folder / "data").mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise NotWritable(f"cannot create {folder}: {error.strerror}") from None
        keep(folder, identity, had)
        yield had
    finally:
        os.close(descriptor)


def _lock(folder: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy(
            f"another export writes into {folder}", hint="name another folder, or wait for it"
        ) from None
    except OSError:  # a file system without locks
        return


def _read(folder: Path, identity: Identity) -> Entries:
    path = folder / _PARTIAL
    if not os.path.lexists(path):
        if folder.is_dir() and not any(folder.iterdir()):
            return []
        raise _something_else(folder)
    try:
        if is_sealed(path) != (identity.key is not None):
            raise _another(folder)
        found = json.loads(b"".join(content(path, identity.key)))
        begun, entries = found["identity"], list(found["tables"])
        for entry in entries:
            if not isinstance(entry["table"], str):
                raise TypeError
            # What is looked at before a table is kept.
            _ = entry["rows"], entry["fingerprint"], entry["columns"]
            _ = [(file["name"], file["sha256"]) for file in entry["files"]]
        same = {name: begun[name] for name in identity.note()} == identity.note()
    except FileDamaged:
        raise (_another(folder) if identity.key is not None else _something_else(folder)) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _something_else(folder) from None
    if not same:
        raise _another(folder)
    return entries


def _something_else(folder: Path) -> NotWritable:
    return NotWritable(
        f"{folder} holds something else than an interrupted export", hint="name a new folder"
    )


def _another(folder: Path) -> NotWritable:
    return NotWritable(
        f"{folder} was begun for another organization, with another key or in another form",
        hint="give the same options, or name a new folder",
    )


def keep(folder: Path, identity: Identity, entries: Entries) -> None:
    """Write down what is complete; whole or not at all, and sealed where the files are."""
    text = json.dumps({"identity": identity.note(), "tables": entries}).encode()
    with replacing(folder / _PARTIAL) as file:
        if identity.key is None:
            file.write(text)
        else:
            with Sealer(file, identity.key, {"kind": "partial export"}) as sealer:
                sealer.write(text)


def forget(folder: Path) -> None:
    """Remove the note: the manifest is there."""
    (folder / _PARTIAL).unlink(missing_ok=True)
