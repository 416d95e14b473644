"""Copies of a master key for the day it is lost: age recipients, or k of n shares.

A share is ``hmr1_<threshold>_<base64url>_<8 hex check digits>``. Splitting is Shamir's scheme
as HashiCorp Vault does it (package ``pyshamir``), encryption is age (package ``pyrage``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harmonia_py.durable import sync_folder
from harmonia_py.errors import InvalidMasterKey, NotWritable, UsageError
from harmonia_py.secrets import masterkey
from harmonia_py.secrets.value import Secret

__all__ = ["decrypt", "encrypt_to", "join", "new_identity", "open_backup", "split", "write_copies"]

_SPLITS = "take shares that were made together: those of two splits give no key"
_SHARE = re.compile(rb"hmr1_([0-9]{1,3})_([A-Za-z0-9_-]+)_([0-9a-f]{8})")


def split(key: Secret, *, shares: int, threshold: int) -> list[Secret]:
    """Return ``shares`` texts; any ``threshold`` of them give the key, fewer say nothing."""
    if not 2 <= threshold <= shares <= 255:
        raise UsageError("shares and threshold must satisfy 2 <= threshold <= shares <= 255")
    parts = _module("pyshamir").split(key.reveal(), shares, threshold)
    texts = []
    for part in parts:
        body = base64.urlsafe_b64encode(bytes(part)).rstrip(b"=")
        start = b"hmr1_%d_%s" % (threshold, body)
        texts.append(Secret(start + b"_" + _check(start)))
    # Before anybody relies on them: the first and the last of them give the key.
    if join(texts[:threshold]) != key or join(texts[-threshold:]) != key:
        raise InvalidMasterKey("the shares do not give the key; nothing was written")
    return texts


def join(shares: Sequence[Secret]) -> Secret:
    """Return the key of enough shares. Too few or foreign ones give another key: compare its id.

    Raises :class:`InvalidMasterKey` where it can be told that they do not belong together.
    """
    parts: dict[int, bytearray] = {}
    thresholds = set()
    for place, share in enumerate(shares, 1):
        threshold, raw = _share(share.reveal(), f"share {place} of {len(shares)}")
        thresholds.add(threshold)
        if parts.setdefault(raw[-1], raw) != raw:
            raise InvalidMasterKey(
                f"share {place} of {len(shares)} has the number of another and is not the same",
                hint=_SPLITS,
            )
    if not parts:
        raise InvalidMasterKey("no share was given", hint="name the files of the shares")
    if len(thresholds) != 1 or len({len(part) for part in parts.values()}) != 1:
        raise InvalidMasterKey("the shares are of different keys", hint=_SPLITS)
    needed = thresholds.pop()
    if len(parts) < needed:
        raise InvalidMasterKey(
            f"{len(parts)} different shares were given, {needed} are needed", hint=""
        )
    every = list(parts.values())
    key = _combined(every)
    # With one more than are needed it shows whether they belong together.
    if len(every) > needed and _combined(every[:needed]) != key:
        raise InvalidMasterKey("the shares do not belong together", hint=_SPLITS)
    return Secret(key)


def _share(text: bytes, which: str) -> tuple[int, bytearray]:
    """Return how many shares are needed, and the share, whose last byte is its number."""
    text = _bare(text)
    match = _SHARE.fullmatch(text)
    if match is None or _check(text[:-9]) != match[3]:
        raise InvalidMasterKey(f"{which} is damaged or is not one", hint="type it again")
    body = match[2] + b"=" * (-len(match[2]) % 4)
    try:
        raw = bytearray(base64.b64decode(body, altchars=b"-_", validate=True))
    except binascii.Error:
        raw = bytearray()
    if len(raw) < 2 or int(match[1]) < 2:
        raise InvalidMasterKey(f"{which} is damaged", hint="take another copy of it")
    return int(match[1]), raw


def _combined(parts: list[bytearray]) -> bytes:
    return bytes(_module("pyshamir").combine(parts))


def _bare(data: bytes) -> bytes:
    """Return what a file holds without the mark that some editors put at its beginning."""
    return data.removeprefix(b"\xef\xbb\xbf").strip()


def write_copies(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write every file, mode 0600, into a folder of mode 0700, or none of them.

    Nothing is overwritten: shares of two splits in one folder would open nothing together.
    """
    written: list[Path] = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, data in files.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(folder / name, flags, 0o600)
            written.append(folder / name)
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
        for path in written[:1]:
            sync_folder(path)
    except BaseException as error:  # an interrupt too leaves no half of a split
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise UsageError(
                f"{folder} already holds copies and nothing is overwritten",
                hint="name a new folder",
            ) from None
        if isinstance(error, OSError):
            raise NotWritable(f"cannot write to {folder}: {error.strerror}") from None
        raise


def encrypt_to(recipients: Sequence[str], data: Secret) -> bytes:
    """Return an armored age file that each of the recipients (``age1...``) can open alone."""
    pyrage = _module("pyrage")
    try:
        keys = [pyrage.x25519.Recipient.from_str(text) for text in recipients]
    except pyrage.RecipientError:
        raise UsageError("a recipient is not an age public key (age1...)") from None
    if not keys:
        raise UsageError("name at least one recipient: --recipient age1...")
    return bytes(pyrage.encrypt(data.reveal(), keys, armored=True))


def decrypt(identity: bytes, data: bytes) -> Secret:
    """Open an age file with an identity file's text (``AGE-SECRET-KEY-1...``)."""
    pyrage = _module("pyrage")
    lines = [line.strip() for line in _bare(identity).decode("ascii", "replace").splitlines()]
    texts = [line for line in lines if line and not line.startswith("#")]
    try:
        identities = [pyrage.x25519.Identity.from_str(text) for text in texts]
    except pyrage.IdentityError:
        raise UsageError("the identity file is not one of age") from None
    if not identities:
        raise UsageError("the identity file is empty")
    try:
        return Secret(bytes(pyrage.decrypt(data, identities)))
    except pyrage.DecryptError:
        raise InvalidMasterKey(
            "the file does not open with this identity, or it is damaged", hint=""
        ) from None


def new_identity() -> tuple[Secret, str]:
    """Return a new age identity and its recipient."""
    identity = _module("pyrage").x25519.Identity.generate()
    return Secret(str(identity)), str(identity.to_public())


def open_backup(files: Sequence[bytes], identity: bytes | None) -> Secret:
    """Return the master key in one age file or in enough shares (plain or age-encrypted)."""
    texts = []
    for data in map(_bare, files):
        armored = data.startswith((b"-----BEGIN AGE", b"age-encryption.org"))
        if armored and identity is None:
            raise UsageError("the backup is encrypted: name the identity with --identity FILE")
        texts.append(decrypt(identity, data) if armored and identity else Secret(data))
    if len(texts) == 1 and texts[0].reveal().startswith(b"hmk1_"):
        return masterkey.parse(texts[0].reveal())
    return join(texts)


def _check(start: bytes) -> bytes:
    return hashlib.sha256(start).hexdigest()[:8].encode()


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(
            "recovery is not installed", hint="pip install 'harmonia[recovery]'"
        ) from None
