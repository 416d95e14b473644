"""One way to ask a key service over HTTP, with errors that name no secret."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from typing import Any
from urllib.parse import urlsplit

import httpx

from harmonia_py.errors import KeyProviderDenied, KeyProviderUnavailable, UsageError

__all__ = ["Answer", "ask", "decoded", "require_https"]

TIMEOUT = httpx.Timeout(10.0, connect=5.0)


class Answer:
    """A status and the JSON object that came with it."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.body = body


def ask(
    service: str, method: str, url: str, headers: dict[str, str], json: dict[str, Any] | None = None
) -> Answer:
    """Send one request without following redirects.

    Raises ``KeyProviderDenied`` for 401, 403, 404 and ``KeyProviderUnavailable`` for network
    errors, 429, 5xx and answers that are not a JSON object.
    """
    try:
        with httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
            response = client.request(method, url, headers=headers, json=json)
    except httpx.HTTPError as error:
        raise KeyProviderUnavailable(f"{service} did not answer: {type(error).__name__}") from None
    if response.status_code in (401, 403, 404):
        raise KeyProviderDenied(f"{service} refused with status {response.status_code}")
    if response.status_code != 400 and response.status_code >= 300:
        raise KeyProviderUnavailable(f"{service} failed with status {response.status_code}")
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise KeyProviderUnavailable(f"{service} sent something that is not JSON")
    return Answer(response.status_code, body)


def decoded(service: str, value: object) -> bytes:
    """Return the bytes of a base64 field of an answer."""
    try:
        return base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError):
        raise KeyProviderUnavailable(f"{service} sent a damaged answer") from None


def require_https(service: str, url: str) -> None:
    """Refuse plain HTTP to anything but this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise UsageError(f"{service} must be reached over https")
