"""What an interrupted export has already, so that it can go on."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from harmonia_py.errors import Busy, NotWritable

__all__ = ["MANIFEST", "Entries", "Identity", "begun", "forget", "keep", "read"]

MANIFEST = "manifest.json"
_PARTIAL = "partial.json"
Entries = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Identity:
    """What an export is of. ``key`` tells keys apart and nothing about them."""

    organization: str
    key: str | None
    ndjson: bool

    @classmethod
    def of(cls, organization_id: UUID, key: bytes | None, *, ndjson: bool) -> Identity:
        """Return the identity of an export."""
        mark = hashlib.sha256(b"harmonia/export" + key).hexdigest()[:16] if key else None
        return cls(str(organization_id), mark, ndjson)


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
    try:
        found = json.loads((folder / _PARTIAL).read_text(encoding="utf-8"))
        begun, entries = Identity(**found["identity"]), list(found["tables"])
        for entry in entries:
            if not isinstance(entry["table"], str):
                raise TypeError
            # What is looked at before a table is kept.
            _ = (
                entry["rows"],
                entry["fingerprint"],
                [(f["name"], f["size"]) for f in entry["files"]],
            )
    except (OSError, ValueError, KeyError, TypeError):
        if not folder.is_dir() or any(folder.iterdir()):
            raise NotWritable(
                f"{folder} holds something else than an interrupted export",
                hint="name a new folder",
            ) from None
        return []
    if begun != identity:
        raise NotWritable(
            f"{folder} was begun for another organization, with another key or in another form",
            hint="give the same options, or name a new folder",
        )
    return entries


def keep(folder: Path, identity: Identity, entries: Entries) -> None:
    """Write down what is complete; whole or not at all."""
    path = folder / _PARTIAL
    beside = path.with_name(path.name + ".partial")
    try:
        beside.write_text(
            json.dumps({"identity": asdict(identity), "tables": entries}), encoding="utf-8"
        )
        beside.replace(path)
    except OSError as error:
        raise NotWritable(f"cannot write {path}: {error.strerror}") from None


def forget(folder: Path) -> None:
    """Remove the note: the manifest is there."""
    (folder / _PARTIAL).unlink(missing_ok=True)
