"""Vault / OpenBao transit: the master key never leaves the service."""

from __future__ import annotations

import base64
import os
from typing import Any
from urllib.parse import quote, urlsplit

from harmonia_py.errors import DecryptFailed, KeyProviderDenied, KeyProviderUnavailable, UsageError
from harmonia_py.secrets.context import WrapContext
from harmonia_py.secrets.providers.base import KeyProvider
from harmonia_py.secrets.providers.http import ask, decoded, require_https
from harmonia_py.secrets.value import Secret

__all__ = ["VaultTransit"]

_SERVICE = "Vault transit"


class VaultTransit:
    """A named transit key: ``https://vault.example.com:8200/transit#key``.

    The token comes from ``VAULT_TOKEN``, the namespace from ``VAULT_NAMESPACE``.
    """

    kind = "transit"

    def __init__(self, url: str, *, token: Secret | None = None) -> None:
        """Take the URL with mount and key; the token defaults to the environment's."""
        parts = urlsplit(url)
        if not parts.fragment or not parts.hostname or parts.username or parts.password:
            raise UsageError("write transit:https://host:8200/mount#key")
        require_https(_SERVICE, url)
        self._base = f"{parts.scheme}://{parts.netloc}/v1"
        self._mount = parts.path.strip("/") or "transit"
        self._key = parts.fragment
        self._id = f"transit:{parts.netloc}/{self._mount}#{self._key}"
        self._token = token

    @property
    def master_key_id(self) -> str:
        """``transit:`` with host, mount and key name."""
        return self._id

    def wrap(self, key: bytes, context: WrapContext) -> bytes:
        """Encrypt under the newest version of the transit key."""
        body = {"plaintext": _b64(key), "associated_data": _b64(context.encode(self._id))}
        return str(self._post("encrypt", body).get("ciphertext")).encode()

    def unwrap(self, blob: bytes, context: WrapContext) -> bytes:
        """Decrypt; ``DecryptFailed`` when the blob belongs elsewhere or was altered."""
        body = {"ciphertext": _ascii(blob), "associated_data": _b64(context.encode(self._id))}
        return decoded(_SERVICE, self._post("decrypt", body).get("plaintext"))

    def rewrap(self, blob: bytes, context: WrapContext, new: KeyProvider) -> bytes | None:
        """Move the blob to the newest version of the same transit key, inside Vault."""
        if new.master_key_id != self._id:
            return None
        body = {"ciphertext": _ascii(blob), "associated_data": _b64(context.encode(self._id))}
        return str(self._post("rewrap", body).get("ciphertext")).encode()

    def _post(self, verb: str, body: dict[str, str]) -> dict[str, Any]:
        token = self._token.reveal().decode() if self._token else os.environ.get("VAULT_TOKEN")
        if not token:
            raise KeyProviderDenied("VAULT_TOKEN is not set")
        headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
        if namespace := os.environ.get("VAULT_NAMESPACE"):
            headers["X-Vault-Namespace"] = namespace
        url = f"{self._base}/{quote(self._mount)}/{verb}/{quote(self._key, safe='')}"
        answer = ask(_SERVICE, "POST", url, headers, body)
        if answer.status == 400:
            if verb != "encrypt" and "authentication failed" in str(answer.body.get("errors")):
                raise DecryptFailed(
                    f"{_SERVICE} refused the wrapped key: altered, or of another organization"
                )
            raise KeyProviderDenied(f"{_SERVICE} refused the request with status 400")
        data = answer.body.get("data")
        if not isinstance(data, dict):
            raise KeyProviderUnavailable(f"{_SERVICE} sent an answer without data")
        return data


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _ascii(blob: bytes) -> str:
    try:
        return blob.decode("ascii")
    except UnicodeDecodeError:
        raise DecryptFailed("the wrapped key was altered") from None
