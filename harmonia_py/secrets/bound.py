"""A secret that goes to one host only."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass

import httpx

from harmonia_py.errors import AudienceMismatch, InvalidSecret
from harmonia_py.secrets.context import audience_of
from harmonia_py.secrets.value import Secret

__all__ = ["BoundSecret", "bound_client"]


@dataclass(frozen=True, slots=True)
class BoundSecret:
    """A value with the host it was sealed for (empty: bound to none)."""

    name: str
    version: int
    kind: str
    audience: str
    value: Secret

    def check(self, url: str) -> None:
        """Raise ``AudienceMismatch`` unless ``url`` is https (or loopback) at the bound host."""
        parts = httpx.URL(url)
        local = parts.host in ("localhost", "127.0.0.1", "::1")
        if audience_of(url) != self.audience or (parts.scheme != "https" and not local):
            raise AudienceMismatch(f"the secret {self.name} is not sent to {parts.host or 'there'}")


# RFC 9110, 5.5: visible characters, and white space only between them.
_HEADER_SAFE = re.compile(rb"[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?").fullmatch


class _Auth(httpx.Auth):
    def __init__(self, secret: BoundSecret, header: str, prefix: str) -> None:
        self._secret, self._header, self._prefix = secret, header, prefix

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        self._secret.check(str(request.url))
        value = self._secret.value.reveal()
        # The HTTP library would refuse these too, and show the value in its message.
        if not _HEADER_SAFE(value):
            raise InvalidSecret(
                f"the secret {self._secret.name} cannot be sent in a header: it holds a line "
                "break, another control character, or white space at an end"
            )
        request.headers[self._header] = self._prefix + value.decode("latin-1")
        yield request


def bound_client(
    secret: BoundSecret,
    *,
    header: str = "Authorization",
    prefix: str = "Bearer ",
    timeout: float = 15.0,
) -> httpx.Client:
    """Return an HTTP client that sends the secret to its host and refuses any other.

    Redirects are not followed, and each request is checked as it leaves: a changed base URL or
    a redirect never carries the secret away. ``timeout`` is in seconds.
    """

    def check(request: httpx.Request) -> None:
        secret.check(str(request.url))

    return httpx.Client(
        auth=_Auth(secret, header, prefix),
        event_hooks={"request": [check]},
        follow_redirects=False,
        timeout=timeout,
        trust_env=False,
    )
