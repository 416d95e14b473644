r"""What a ciphertext is bound to: the additional authenticated data, one way to write it.

::

    domain "\0" | organization 16 | secret 16 | u32 n | name | u32 n | audience | u64 version

UUIDs in network byte order, integers big-endian, text UTF-8 in NFC. Fixed widths and length
prefixes make it injective: two different contexts never give the same bytes. It is built from
what the caller asked for, never from what the sealed row says about itself.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from harmonia_py.errors import InvalidSecret

__all__ = [
    "SECRET_DOMAIN",
    "WEBHOOK_DOMAIN",
    "SecretContext",
    "WrapContext",
    "audience_of",
    "check_name",
]

SECRET_DOMAIN = b"harmonia.secret.v1\0"
WEBHOOK_DOMAIN = b"harmonia.webhook.v1\0"
_WRAP_DOMAIN = b"harmonia.dek.v1\0"
_NAME = re.compile(r"[a-z0-9][a-z0-9_./-]{0,127}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{{0,4}})?")
_version = struct.Struct(">Q").pack
_length = struct.Struct(">I").pack


@dataclass(frozen=True, slots=True)
class SecretContext:
    """The identity of one secret; its versions differ only in the last eight bytes."""

    organization_id: UUID
    secret_id: UUID
    name: str
    audience: str
    domain: bytes = SECRET_DOMAIN

    def prefix(self) -> bytes:
        """Return the part that all versions share."""
        name = unicodedata.normalize("NFC", self.name).encode()
        audience = unicodedata.normalize("NFC", self.audience).encode()
        return b"".join(
            (
                self.domain,
                self.organization_id.bytes,
                self.secret_id.bytes,
                _length(len(name)),
                name,
                _length(len(audience)),
                audience,
            )
        )

    def encode(self, version: int) -> bytes:
        """Return the whole context of one version (0 to 2**64 - 1)."""
        return self.prefix() + _version(version)


@dataclass(frozen=True, slots=True)
class WrapContext:
    """What a wrapped organization key is bound to, so that it cannot serve another tenant."""

    organization_id: UUID
    key_id: UUID

    def encode(self, master_key_id: str) -> bytes:
        """Return the bytes a local master key authenticates."""
        return b"".join(
            (
                _WRAP_DOMAIN,
                master_key_id.encode(),
                b"\0",
                self.organization_id.bytes,
                self.key_id.bytes,
            )
        )

    def mapping(self) -> dict[str, str]:
        """Return the same as the encryption context of a cloud key service."""
        return {
            "harmonia": "dek.v1",
            "organization_id": str(self.organization_id),
            "key_id": str(self.key_id),
        }


def check_name(name: str) -> str:
    """Return the name of a secret, or raise ``InvalidSecret``."""
    if not _NAME.fullmatch(name):
        raise InvalidSecret(
            "a secret's name is 1 to 128 characters of a-z 0-9 _ . / - and begins with a-z 0-9"
        )
    return name


def audience_of(host_or_url: str) -> str:
    """Return ``host`` or ``host:port``, lower case, of a host or an https URL.

    The empty text means that the secret is bound to no host. Default ports are dropped.
    """
    text = host_or_url.strip()
    if not text:
        return ""
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        port = parts.port
    except ValueError:
        raise InvalidSecret("the audience is not a host name") from None
    if parts.username is not None or parts.password is not None:
        raise InvalidSecret("the audience must not hold a user or a password")
    host = (parts.hostname or "").rstrip(".").lower()
    if ":" in host:
        host = f"[{host}]"
    elif not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise InvalidSecret("the audience is not a host name") from None
    default = 80 if parts.scheme == "http" else 443
    audience = host if port in (None, default) else f"{host}:{port}"
    if not _HOST.fullmatch(audience) or len(audience) > 253:
        raise InvalidSecret("the audience is not a host name")
    return audience
