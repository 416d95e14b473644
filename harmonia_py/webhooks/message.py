"""What arrives, before anything about it is believed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harmonia_py.errors import WebhookRejected

__all__ = ["MAX_HEADER", "Message", "Verified", "headers_of"]

MAX_HEADER = 4096
_DIGITS = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)

RawHeaders = Mapping[str, str] | Iterable[tuple[bytes, bytes]]


def headers_of(raw: RawHeaders) -> dict[str, str | None]:
    """Return header values by lower-case name; None marks one that occurs twice."""
    found: dict[str, str | None] = {}
    if isinstance(raw, Mapping):
        for name, value in raw.items():
            key = name.lower()
            found[key] = None if key in found else value
        return found
    for raw_name, raw_value in raw:
        key = raw_name.decode("latin-1").lower()
        found[key] = None if key in found else raw_value.decode("latin-1")
    return found


@dataclass(slots=True)
class Message:
    """A request as it came: the raw body, never a parsed and re-written one."""

    body: bytes
    headers: Mapping[str, str | None]
    method: str = "POST"
    url: str = ""

    def header(self, name: str) -> str:
        """Return one header, which must be there once, short and printable ASCII."""
        value = self.headers.get(name, "")
        if value is None:
            raise WebhookRejected("malformed_header")
        if not value:
            raise WebhookRejected("missing_header")
        if len(value) > MAX_HEADER or not (value.isascii() and value.isprintable()):
            raise WebhookRejected("malformed_header")
        return value

    def fresh(self, text: str, now: float, tolerance: float, *, unit: int = 1) -> int:
        """Return the timestamp in ``unit`` parts of a second; refuse old and future ones."""
        if not _DIGITS.fullmatch(text):
            raise WebhookRejected("malformed_timestamp")
        timestamp = int(text)
        age = now - timestamp / unit
        if age > tolerance:
            raise WebhookRejected("timestamp_too_old")
        if -age > tolerance:
            raise WebhookRejected("timestamp_in_the_future")
        return timestamp


@dataclass(frozen=True, slots=True)
class Verified:
    """A message whose signature holds.

    ``dedupe_key`` is the signed id where the scheme has one, else the SHA-256 of the body (a
    delivery id that is not signed proves nothing). ``secret`` is the place of the secret that
    matched: when it is not 0, the sender still signs with an older one.
    """

    scheme: str
    dedupe_key: str
    secret: int
    timestamp: int | None = None
    event_id: str | None = field(default=None)
