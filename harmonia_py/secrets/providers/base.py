"""What every holder of a master key can do: wrap and unwrap organization keys."""

from __future__ import annotations

import os
from typing import Protocol, runtime_checkable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from harmonia_py.errors import DecryptFailed, MalformedEnvelope, MasterKeyMismatch
from harmonia_py.secrets.context import WrapContext
from harmonia_py.secrets.hierarchy import derive
from harmonia_py.secrets.masterkey import master_key_id
from harmonia_py.secrets.value import Secret

__all__ = ["KeyProvider", "LocalKey", "Rewraps"]


class KeyProvider(Protocol):
    """A master key: where it lives is the provider's business."""

    @property
    def kind(self) -> str:
        """The scheme of the provider: file, command, awskms, ..."""

    @property
    def master_key_id(self) -> str:
        """The public id of the master key."""

    def wrap(self, key: bytes, context: WrapContext) -> bytes:
        """Return ``key`` encrypted and bound to ``context``."""

    def unwrap(self, blob: bytes, context: WrapContext) -> bytes:
        """Return the key, or raise a ``SecretError``."""


@runtime_checkable
class Rewraps(Protocol):
    """A provider that changes the master key of a blob without showing the key to us."""

    def rewrap(self, blob: bytes, context: WrapContext, new: KeyProvider) -> bytes | None:
        """Return the blob under ``new``, or None when it cannot be done inside the service."""


class LocalKey:
    """A master key in this process: AES-256-GCM over the organization key.

    ::

        "HK" | 01 | 01 | nonce 12 | wrapped key 32 | tag 16
    """

    _HEADER = b"HK\x01\x01"

    def __init__(self, key: Secret, kind: str) -> None:
        self._aead = AESGCM(derive(key.reveal(), "harmonia/v1/kek-wrap"))
        self._id = master_key_id(key)
        self._kind = kind

    @property
    def kind(self) -> str:
        """The scheme of the provider."""
        return self._kind

    @property
    def master_key_id(self) -> str:
        """The public id of the master key."""
        return self._id

    def wrap(self, key: bytes, context: WrapContext) -> bytes:
        """Return ``key`` encrypted and bound to ``context``."""
        nonce = os.urandom(12)
        return self._HEADER + nonce + self._aead.encrypt(nonce, key, context.encode(self._id))

    def unwrap(self, blob: bytes, context: WrapContext) -> bytes:
        """Return the key; ``DecryptFailed`` when the blob belongs elsewhere or was altered."""
        if len(blob) < 32 or not blob.startswith(self._HEADER):
            raise MalformedEnvelope("the wrapped organization key is damaged")
        try:
            return self._aead.decrypt(blob[4:16], blob[16:], context.encode(self._id))
        except InvalidTag:
            raise DecryptFailed(
                f"the wrapped key {context.key_id} was altered or belongs to another organization"
            ) from None


def check_same_key(expected: str, provider: KeyProvider) -> None:
    """Raise ``MasterKeyMismatch`` when the provider holds another key than expected."""
    if provider.master_key_id != expected:
        raise MasterKeyMismatch(
            f"the database uses master key {expected}, "
            f"the provider {provider.kind} holds {provider.master_key_id}",
            hint="point HARMONIA_MASTER_KEY_PROVIDER at the right key; nothing was changed",
        )
