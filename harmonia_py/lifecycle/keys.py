"""Keys that live outside the database: the one that signs seals, the one that opens backups.

Both are derived (HKDF-SHA256, one label per use) from a key of the text form that master keys
have (``hmk1_...``), read from ``file:``, ``env:``, ``cmd:`` or ``keyring:``.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from harmonia_py.errors import UsageError
from harmonia_py.secrets import Secret, masterkey
from harmonia_py.secrets.hierarchy import derive
from harmonia_py.secrets.providers import local

__all__ = ["generate", "key_id", "load", "public_key", "sealing_key", "signed_by", "stream_key"]


def load(uri: str) -> Secret:
    """Return the 32 bytes that a URI names. Raises ``UsageError`` and ``KeyProviderError``."""
    scheme, separator, rest = uri.partition(":")
    if not separator or scheme not in local.SCHEMES or not rest:
        raise UsageError(
            "a key is named by file:PATH, env:NAME, cmd:COMMAND or keyring:SERVICE/USER"
        )
    return local.read(scheme, rest)


def generate(path: Path) -> Secret:
    """Create a key file with mode 0600; an existing file is never overwritten."""
    key = masterkey.generate()
    local.write_file(path, key)
    return key


def sealing_key(key: Secret) -> Ed25519PrivateKey:
    """Return the Ed25519 key that signs audit seals and deletion certificates."""
    return Ed25519PrivateKey.from_private_bytes(derive(key.reveal(), "harmonia/v1/audit-seal", 32))


def stream_key(key: Secret, purpose: str) -> bytes:
    """Return the 32-byte key of one kind of encrypted file (``backup``, ``export``)."""
    return derive(key.reveal(), f"harmonia/v1/file/{purpose}", 32)


def public_key(text: str) -> Ed25519PublicKey:
    """Return the public key written as 64 hex digits."""
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except ValueError:
        raise UsageError("a public key is 64 hex digits") from None


def key_id(key: Ed25519PublicKey) -> str:
    """Return the public key itself as hex: 64 digits are short enough to be their own name."""
    return key.public_bytes_raw().hex()


def signed_by(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Return whether the signature is the key's."""
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
