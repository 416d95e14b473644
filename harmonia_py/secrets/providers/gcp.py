"""Google Cloud KMS over its REST interface: the master key never leaves the service."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from typing import Any

from harmonia_py.errors import (
    DecryptFailed,
    KeyProviderDenied,
    KeyProviderUnavailable,
    UsageError,
)
from harmonia_py.secrets.context import WrapContext
from harmonia_py.secrets.providers.http import Answer, ask, decoded, require_https

__all__ = ["GcpKms", "access_token", "crc32c"]

_SERVICE = "Google Cloud KMS"
_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")


def _crc32c_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _crc32c_table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli, RFC 3720) that KMS wants with every field."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def access_token() -> str:
    """Return a bearer token: ``GOOGLE_ACCESS_TOKEN``, else the metadata server of the machine."""
    token = os.environ.get("GOOGLE_ACCESS_TOKEN")
    if token:
        return token
    host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    answer = ask(
        "the Google metadata server",
        "GET",
        f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token",
        {"Metadata-Flavor": "Google"},
    )
    token = answer.body.get("access_token")
    if not isinstance(token, str) or not token:
        raise KeyProviderDenied("the Google metadata server gave no token")
    return token


class GcpKms:
    """A symmetric KMS key by its resource name."""

    kind = "gcpkms"

    def __init__(
        self,
        key: str,
        *,
        endpoint: str = "https://cloudkms.googleapis.com",
        token: Callable[[], str] = access_token,
    ) -> None:
        """Take ``projects/P/locations/L/keyRings/R/cryptoKeys/K``."""
        if not _KEY.fullmatch(key):
            raise UsageError("write gcpkms:projects/P/locations/L/keyRings/R/cryptoKeys/K")
        require_https(_SERVICE, endpoint)
        self._key = key
        self._endpoint = endpoint.rstrip("/")
        self._token = token

    @property
    def master_key_id(self) -> str:
        """``gcpkms:`` and the resource name."""
        return f"gcpkms:{self._key}"

    def wrap(self, key: bytes, context: WrapContext) -> bytes:
        """Encrypt; both directions are checked with CRC-32C, as Google advises."""
        aad = context.encode(self.master_key_id)
        answer = self._post("encrypt", {"plaintext": key, "additionalAuthenticatedData": aad})
        blob = decoded(_SERVICE, answer.body.get("ciphertext"))
        if answer.body.get("verifiedPlaintextCrc32c") is not True:
            raise KeyProviderUnavailable(f"{_SERVICE} did not receive the key intact")
        _check(blob, answer.body.get("ciphertextCrc32c"))
        return blob

    def unwrap(self, blob: bytes, context: WrapContext) -> bytes:
        """Decrypt; ``DecryptFailed`` when the blob belongs elsewhere or was altered."""
        aad = context.encode(self.master_key_id)
        answer = self._post("decrypt", {"ciphertext": blob, "additionalAuthenticatedData": aad})
        key = decoded(_SERVICE, answer.body.get("plaintext"))
        _check(key, answer.body.get("plaintextCrc32c"))
        return key

    def _post(self, verb: str, fields: dict[str, bytes]) -> Answer:
        body: dict[str, Any] = {}
        for name, value in fields.items():
            body[name] = base64.b64encode(value).decode()
            body[f"{name}Crc32c"] = str(crc32c(value))
        answer = ask(
            _SERVICE,
            "POST",
            f"{self._endpoint}/v1/{self._key}:{verb}",
            {"Authorization": f"Bearer {self._token()}"},
            body,
        )
        if answer.status == 400:
            error = answer.body.get("error")
            status = error.get("status") if isinstance(error, dict) else None
            if verb == "decrypt" and status == "INVALID_ARGUMENT":
                raise DecryptFailed(
                    f"{_SERVICE} refused the wrapped key: altered, or of another organization"
                )
            raise KeyProviderDenied(f"{_SERVICE} refused the request (disabled or destroyed key)")
        return answer


def _check(data: bytes, crc: object) -> None:
    if str(crc) != str(crc32c(data)):
        raise KeyProviderUnavailable(f"{_SERVICE}: the answer was damaged on the way")
