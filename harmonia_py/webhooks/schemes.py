"""How each sender signs. A scheme refuses with ``WebhookRejected`` and raises nothing else."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from harmonia_py.errors import InvalidSecret, WebhookRejected
from harmonia_py.webhooks.message import Message, Verified

__all__ = ["HmacScheme", "Hubspot", "Scheme", "Standard", "Stripe", "Twilio", "standard_key"]

MAX_SIGNATURES = 16
_ID = re.compile(r"[!-\-/-~]{1,256}", re.ASCII)  # printable, no space, no "."
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Scheme(ABC):
    """One way to sign."""

    name: str

    @abstractmethod
    def verify(
        self, message: Message, secrets: Sequence[bytes], now: float, tolerance: float
    ) -> Verified:
        """Return what was verified, or raise ``WebhookRejected``."""


def standard_key(secret: bytes) -> bytes:
    """Return the HMAC key of a Standard Webhooks secret, ``whsec_`` and base64 of 24-64 bytes."""
    try:
        key = binascii.a2b_base64(secret.removeprefix(b"whsec_"), strict_mode=True)
    except (binascii.Error, ValueError):
        raise InvalidSecret("a Standard Webhooks secret is whsec_ and base64") from None
    if not 24 <= len(key) <= 64:
        raise InvalidSecret(f"a Standard Webhooks secret has 24 to 64 bytes, not {len(key)}")
    return key


def _match(
    keys: Sequence[bytes], text: bytes, given: Sequence[bytes], digest: str = "sha256"
) -> int:
    """Return the place of the key that made one of ``given``; look at every pair, always."""
    found = -1
    for place, key in enumerate(keys):
        expected = hmac.digest(key, text, digest)
        for signature in given:
            if hmac.compare_digest(expected, signature) and found < 0:
                found = place
    if found < 0:
        raise WebhookRejected("signature_mismatch")
    return found


def _decode(value: str, encoding: str, size: int = 32) -> bytes:
    """Return a signature in its one canonical spelling."""
    try:
        if encoding == "hex":
            if not _HEX.fullmatch(value.lower()):
                raise WebhookRejected("malformed_signature")
            return bytes.fromhex(value)
        raw = binascii.a2b_base64(value, strict_mode=True)
    except (binascii.Error, ValueError):
        raise WebhookRejected("malformed_signature") from None
    # Other spellings of the same bytes exist: the last digit has bits to spare.
    if len(raw) != size or binascii.b2a_base64(raw, newline=False).decode() != value:
        raise WebhookRejected("malformed_signature")
    return raw


def _body_key(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


class Standard(Scheme):
    """Standard Webhooks (and Svix, whose headers have another prefix)."""

    name = "standard"

    def verify(
        self, message: Message, secrets: Sequence[bytes], now: float, tolerance: float
    ) -> Verified:
        """Check ``id.timestamp.body``."""
        prefix = "webhook-" if "webhook-signature" in message.headers else "svix-"
        event_id = message.header(prefix + "id")
        # A dot in the id would let bytes move between id, timestamp and body.
        if not _ID.fullmatch(event_id):
            raise WebhookRejected("malformed_id")
        stamp = message.header(prefix + "timestamp")
        timestamp = message.fresh(stamp, now, tolerance)
        given = _standard_signatures(message.header(prefix + "signature"))
        if not given:
            raise WebhookRejected("no_known_signature")
        try:
            keys = [standard_key(secret) for secret in secrets]
        except InvalidSecret:
            raise WebhookRejected("unusable_secret") from None
        text = f"{event_id}.{stamp}.".encode() + message.body
        place = _match(keys, text, given)
        return Verified(self.name, "id:" + event_id, place, timestamp, event_id)


def _standard_signatures(header: str) -> list[bytes]:
    entries = header.split(" ")
    if len(entries) > MAX_SIGNATURES:
        raise WebhookRejected("too_many_signatures")
    found = []
    for entry in entries:
        if not entry.startswith("v1,"):
            continue
        # One damaged entry must not hide a good one beside it.
        try:
            found.append(_decode(entry[3:], "base64"))
        except WebhookRejected:
            continue
    return found


@dataclass(frozen=True, slots=True)
class Stripe(Scheme):
    """``t=...,v1=...`` (Stripe, Calendly)."""

    name: str = "stripe"
    header: str = "stripe-signature"

    def verify(
        self, message: Message, secrets: Sequence[bytes], now: float, tolerance: float
    ) -> Verified:
        """Check ``timestamp.body``; unlike Stripe's own code, future timestamps are refused."""
        stamps: list[str] = []
        given: list[bytes] = []
        parts = message.header(self.header).split(",")
        if len(parts) > MAX_SIGNATURES:
            raise WebhookRejected("too_many_signatures")
        for part in parts:
            name, _, value = part.partition("=")
            if name == "t":
                stamps.append(value)
            elif name == "v1" and _HEX.fullmatch(value):
                given.append(bytes.fromhex(value))
        if len(stamps) != 1:
            raise WebhookRejected("malformed_timestamp")
        if not given:
            raise WebhookRejected("no_known_signature")
        timestamp = message.fresh(stamps[0], now, tolerance)
        place = _match(secrets, stamps[0].encode() + b"." + message.body, given)
        return Verified(self.name, _body_key(message.body), place, timestamp)


Signed = Callable[[str, bytes], bytes]


def _body_only(_: str, body: bytes) -> bytes:
    return body


@dataclass(frozen=True, slots=True)
class HmacScheme(Scheme):
    """HMAC-SHA256 in one header: a row of a table instead of code.

    ``prefix`` stands before the signature (``sha256=``); ``signed`` builds the signed text from
    timestamp and body. Without a timestamp header there is no time limit: replays are caught by
    the receipt alone.
    """

    name: str
    header: str
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"
    timestamp_header: str | None = None
    unit: int = 1
    signed: Signed = _body_only

    def verify(
        self, message: Message, secrets: Sequence[bytes], now: float, tolerance: float
    ) -> Verified:
        """Check the one signature."""
        value = message.header(self.header)
        if not value.startswith(self.prefix):
            raise WebhookRejected("no_known_signature")
        given = _decode(value[len(self.prefix) :], self.encoding)
        timestamp = None
        stamp = ""
        if self.timestamp_header is not None:
            stamp = message.header(self.timestamp_header)
            timestamp = message.fresh(stamp, now, tolerance, unit=self.unit)
        place = _match(secrets, self.signed(stamp, message.body), [given])
        return Verified(self.name, _body_key(message.body), place, timestamp)


# HubSpot signs the URI with these characters decoded, and no others.
_HUBSPOT = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


class Hubspot(Scheme):
    """HubSpot v3: method, URI, body and timestamp (milliseconds)."""

    name = "hubspot"

    def verify(
        self, message: Message, secrets: Sequence[bytes], now: float, tolerance: float
    ) -> Verified:
        """Check ``METHOD + URI + body + timestamp``."""
        given = _decode(message.header("x-hubspot-signature-v3"), "base64")
        stamp = message.header("x-hubspot-request-timestamp")
        timestamp = message.fresh(stamp, now, tolerance, unit=1000)
        url = _HUBSPOT.sub(lambda found: chr(int(found[0][1:], 16)), message.url)
        start = (message.method + url).encode("utf-8", "surrogatepass")
        place = _match(secrets, start + message.body + stamp.encode(), [given])
        return Verified(self.name, _body_key(message.body), place, timestamp)


class Twilio(Scheme):
    """Twilio: HMAC-SHA1 of the URL and the sorted form fields.

    Any other body is bound only by ``bodySHA256`` in the URL, so it is required there.
    """

    name = "twilio"

    def verify(
        self, message: Message, secrets: Sequence[bytes], now: float, tolerance: float
    ) -> Verified:
        """Check the URL, and the body through the fields or through its hash."""
        given = _decode(message.header("x-twilio-signature"), "base64", 20)
        content = message.headers.get("content-type") or ""
        text = message.url
        if content.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            text += self._fields(message.body)
        elif message.body:
            self._bound(message)
        signed = text.encode("utf-8", "surrogatepass")
        place = _match(secrets, signed, [given], "sha1")
        key = hashlib.sha256(message.url.encode("utf-8", "surrogatepass") + b"\0" + message.body)
        return Verified(self.name, "sha256:" + key.hexdigest(), place)

    def _fields(self, body: bytes) -> str:
        try:
            pairs = parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(body),
                errors="strict",
                max_num_fields=500,
            )
        except ValueError:
            raise WebhookRejected("malformed_body") from None
        return "".join(name + value for name, value in sorted(set(pairs)))

    def _bound(self, message: Message) -> None:
        try:
            query = parse_qsl(urlsplit(message.url).query, max_num_fields=500)
        except ValueError:
            raise WebhookRejected("malformed_url") from None
        hashes = [value for name, value in query if name == "bodySHA256"]
        if len(hashes) != 1:
            raise WebhookRejected("body_not_bound")
        expected = hashlib.sha256(message.body).hexdigest().encode()
        if not hmac.compare_digest(expected, hashes[0].lower().encode("utf-8", "replace")):
            raise WebhookRejected("body_mismatch")
