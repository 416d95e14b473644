"""One random root key per organization, one derived key per purpose (HKDF-SHA256, RFC 5869).

The root is random and wrapped, not derived from the master key: only so can the keys of one
organization be destroyed without the others.
"""

from __future__ import annotations

import hmac
import os
from functools import cached_property
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from harmonia_py.secrets.envelope import DataKey
from harmonia_py.secrets.value import Secret

__all__ = ["ROOT_BYTES", "OrganizationKey", "derive", "new_root"]

ROOT_BYTES = 32
_SALT = b"harmonia"


def derive(root: bytes, info: str, length: int = 32) -> bytes:
    """Return ``length`` bytes for one purpose (extract and expand, as WebCrypto does it)."""
    return HKDF(algorithm=SHA256(), length=length, salt=_SALT, info=info.encode()).derive(root)


def new_root() -> bytes:
    """Return a new root key from the operating system's generator."""
    return os.urandom(ROOT_BYTES)


class OrganizationKey:
    """One generation of an organization's keys, unwrapped."""

    def __init__(self, key_id: UUID, organization_id: UUID, generation: int, root: bytes) -> None:
        self.id = key_id
        self.organization_id = organization_id
        self.generation = generation
        self.data_key = DataKey(derive(root, "harmonia/v1/secrets/aes-256-gcm", 64))
        self._root = Secret(root)

    def __repr__(self) -> str:
        return f"OrganizationKey({self.id}, generation={self.generation})"

    @property
    def commitment(self) -> bytes:
        """The public name of the data key."""
        return self.data_key.commitment

    @cached_property
    def _fingerprint_key(self) -> bytes:
        return derive(self._root.reveal(), "harmonia/v1/fingerprint")

    def fingerprint(self, value: bytes) -> bytes:
        """Return 8 bytes that are equal for equal values inside one organization.

        Keyed: whoever holds only the database cannot test guesses with it.
        """
        return hmac.digest(self._fingerprint_key, value, "sha256")[:8]

    def attest(self, document: bytes) -> bytes:
        """Return the MAC of an attestation document."""
        return hmac.digest(derive(self._root.reveal(), "harmonia/v1/attest"), document, "sha256")

    def export_key(self) -> bytes:
        """Return the 32 bytes that seal exports of this organization."""
        return derive(self._root.reveal(), "harmonia/v1/export")
