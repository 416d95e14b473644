"""One way to ask a key service over HTTP, with errors that name no secret."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import time
from typing import Any
from urllib.parse import urlsplit

import httpx

from harmonia_py.errors import KeyProviderDenied, KeyProviderUnavailable, UsageError

__all__ = ["Answer", "ask", "decoded", "require_https"]

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
# Seconds for a whole answer: the limits above count from byte to byte, and a drip outlives them.
_PATIENCE = 30.0
# A wrapped key is some hundred bytes.
_LONGEST = 64 << 10


class Answer:
    """A status and the JSON object that came with it."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.body = body


def ask(
    service: str, method: str, url: str, headers: dict[str, str], body: dict[str, Any] | None = None
) -> Answer:
    """Send one request without following redirects.

    Raises ``KeyProviderDenied`` for 401, 403, 404 and ``KeyProviderUnavailable`` for network
    errors, 429, 5xx and answers that are not a JSON object, too long or too slow.
    """
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise KeyProviderDenied(
            f"the token or namespace for {service} holds a character that no header can",
            hint="look for a line feed or a letter that is not ASCII in the variable",
        )
    try:
        with (
            httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client,
            # Not compressed: what is unpacked has no limit before it is unpacked.
            client.stream(
                method, url, headers={**headers, "Accept-Encoding": "identity"}, json=body
            ) as response,
        ):
            status = response.status_code
            if status in (401, 403, 404):
                raise KeyProviderDenied(f"{service} refused with status {status}")
            if status != 400 and status >= 300:
                raise KeyProviderUnavailable(f"{service} failed with status {status}")
            text = _read(service, response)
    except httpx.HTTPError as error:
        raise KeyProviderUnavailable(f"{service} did not answer: {type(error).__name__}") from None
    except (httpx.InvalidURL, UnicodeError):
        raise UsageError(f"the address of {service} is none") from None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise KeyProviderUnavailable(f"{service} sent something that is not JSON")
    return Answer(status, found)


def _read(service: str, response: httpx.Response) -> bytes:
    """Return the body as it was sent, within the limits of length and time."""
    deadline = time.monotonic() + _PATIENCE
    text = b""
    for chunk in response.iter_raw():
        text += chunk
        if len(text) > _LONGEST:
            raise KeyProviderUnavailable(
                f"{service} sent more than {_LONGEST >> 10} KiB, which no key service does",
                hint="check that the address is that of the key service",
            )
        if time.monotonic() > deadline:
            raise KeyProviderUnavailable(f"{service} did not answer in full in {_PATIENCE:.0f} s")
    return text


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
