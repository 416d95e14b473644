"""Seal and open: AES-256-GCM with a committing key.

::

    "HS" | version 01 | algorithm 01 | key commitment 32 | nonce 12 | ciphertext | tag 16

The commitment is derived together with the key. Comparing it first names the key, tells a wrong
key from an altered secret, and refuses a ciphertext made to open under two keys, which plain
AES-GCM accepts. The header is a constant of the key and is compared byte for byte, so it need
not be part of the authenticated data. Nonces are 96 random bits (NIST SP 800-38D, 8.2.2): the
database refuses a key after 2**30 seals, far below the limit of 2**32.
"""

from __future__ import annotations

import struct
from os import urandom
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from harmonia_py.errors import (
    DecryptFailed,
    InvalidSecret,
    MalformedEnvelope,
    UnknownKey,
    UnsupportedEnvelope,
)
from harmonia_py.secrets.context import SecretContext

__all__ = ["MAX_PLAINTEXT", "OVERHEAD", "DataKey", "SecretHandle", "commitment_of"]

_MAGIC = b"HS"
_HEADER = _MAGIC + b"\x01\x01"
_PREFIX = len(_HEADER) + 32
OVERHEAD = _PREFIX + 12 + 16
MAX_PLAINTEXT = 65_536 - OVERHEAD
_version = struct.Struct(">Q").pack


class DataKey:
    """An AES-256-GCM key with its commitment, kept for many seals. 64 bytes of key material."""

    __slots__ = ("_aead", "_prefix")

    def __init__(self, material: bytes) -> None:
        if len(material) != 64:
            raise ValueError("a data key is 64 bytes: 32 of key, 32 of commitment")
        self._aead = AESGCM(material[:32])
        self._prefix = _HEADER + material[32:]

    @property
    def commitment(self) -> bytes:
        """The 32 public bytes that name the key."""
        return self._prefix[len(_HEADER) :]

    def handle(self, context: SecretContext) -> SecretHandle:
        """Return what seals and opens the versions of one secret."""
        return SecretHandle(self._aead, self._prefix, context.prefix())


class SecretHandle:
    """Seals and opens the versions of one secret under one key; keep it while in use."""

    __slots__ = ("_context", "_decrypt", "_encrypt", "_prefix")

    def __init__(self, aead: AESGCM, prefix: bytes, context: bytes) -> None:
        self._encrypt = aead.encrypt
        self._decrypt = aead.decrypt
        self._prefix = prefix
        self._context = context

    # Both methods are on the path the benchmark measures; a helper call would cost 5 %.
    def seal(self, plaintext: bytes, version: int) -> bytes:
        """Return the envelope of at most ``MAX_PLAINTEXT`` bytes; ``OVERHEAD`` bytes longer."""
        if len(plaintext) > MAX_PLAINTEXT:
            raise InvalidSecret(
                f"a secret holds at most {MAX_PLAINTEXT} bytes, this one has {len(plaintext)}",
                hint="store a file elsewhere, encrypted, and keep its key here",
            )
        nonce = urandom(12)
        return (
            self._prefix
            + nonce
            + self._encrypt(nonce, plaintext, self._context + _version(version))
        )

    def open(self, envelope: bytes, version: int) -> bytes:
        """Return the plaintext.

        Raises ``MalformedEnvelope``, ``UnsupportedEnvelope``, ``UnknownKey`` or
        ``DecryptFailed`` (altered, or bound to another context).
        """
        if not envelope.startswith(self._prefix):
            _refuse(envelope)
        try:
            return self._decrypt(envelope[36:48], envelope[48:], self._context + _version(version))
        except InvalidTag:
            raise DecryptFailed from None
        except ValueError:
            raise MalformedEnvelope("the sealed secret is cut short") from None


def commitment_of(envelope: bytes) -> bytes:
    """Return the id of the key that sealed an envelope, after checking its form."""
    if len(envelope) < OVERHEAD or not envelope.startswith(_MAGIC):
        raise MalformedEnvelope
    if not envelope.startswith(_HEADER):
        raise UnsupportedEnvelope(
            f"the secret has envelope version {envelope[2]}, algorithm {envelope[3]}"
        )
    return envelope[len(_HEADER) : _PREFIX]


def _refuse(envelope: bytes) -> NoReturn:
    raise UnknownKey(commitment_of(envelope).hex()[:16])
