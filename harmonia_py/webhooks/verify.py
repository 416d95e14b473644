"""One call for every sender: ``verify(scheme, body, headers, secrets)``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Literal

from harmonia_py.errors import UsageError, WebhookRejected
from harmonia_py.webhooks.message import Message, RawHeaders, Verified, headers_of
from harmonia_py.webhooks.schemes import HmacScheme, Hubspot, Scheme, Standard, Stripe, Twilio

__all__ = ["SCHEMES", "TOLERANCE", "generic", "scheme_of", "verify"]

TOLERANCE = 300.0
MAX_SECRETS = 8


def _slack(stamp: str, body: bytes) -> bytes:
    return b"v0:" + stamp.encode() + b":" + body


def _dotted(stamp: str, body: bytes) -> bytes:
    return stamp.encode() + b"." + body


SCHEMES: Mapping[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Standard(),
        Stripe(),
        Stripe("calendly", "calendly-webhook-signature"),
        HmacScheme("github", "x-hub-signature-256", "sha256="),
        HmacScheme("meta", "x-hub-signature-256", "sha256="),
        HmacScheme("linear", "linear-signature"),
        HmacScheme("shopify", "x-shopify-hmac-sha256", encoding="base64"),
        HmacScheme("typeform", "typeform-signature", "sha256=", "base64"),
        HmacScheme(
            "slack",
            "x-slack-signature",
            "v0=",
            timestamp_header="x-slack-request-timestamp",
            signed=_slack,
        ),
        Hubspot(),
        Twilio(),
    )
}


def generic(
    header: str,
    *,
    prefix: str = "",
    encoding: str = "hex",
    timestamp_header: str | None = None,
) -> HmacScheme:
    """Return a table entry for another sender: HMAC-SHA256 of the body.

    With a timestamp header (seconds) the signed text is ``timestamp.body``.
    """
    if encoding not in ("hex", "base64"):
        raise UsageError("the encoding of a signature is hex or base64")
    kind: Literal["hex", "base64"] = "hex" if encoding == "hex" else "base64"
    if timestamp_header is None:
        return HmacScheme("generic", header.lower(), prefix, kind)
    return HmacScheme(
        "generic",
        header.lower(),
        prefix,
        kind,
        timestamp_header=timestamp_header.lower(),
        signed=_dotted,
    )


def scheme_of(name: str, options: Mapping[str, str] | None = None) -> Scheme:
    """Return a scheme by name; ``generic`` takes header, prefix, encoding, timestamp_header."""
    if name == "generic":
        given = dict(options or {})
        if not given.get("header"):
            raise UsageError("the generic scheme needs the name of the signature header")
        return generic(
            given["header"],
            prefix=given.get("prefix", ""),
            encoding=given.get("encoding", "hex"),
            timestamp_header=given.get("timestamp_header") or None,
        )
    if name not in SCHEMES:
        known = ", ".join([*SCHEMES, "generic"])
        raise UsageError("there is no such webhook scheme", hint=f"one of: {known}")
    return SCHEMES[name]


def verify(
    scheme: str | Scheme,
    body: bytes,
    headers: RawHeaders,
    secrets: Sequence[bytes],
    *,
    method: str = "POST",
    url: str = "",
    now: float | None = None,
    tolerance: float = TOLERANCE,
) -> Verified:
    """Verify a webhook and return what was verified.

    ``body`` is the raw request body, ``secrets`` every secret that is valid now (newest first),
    ``url`` the full public URL (HubSpot and Twilio sign it), ``tolerance`` seconds in both
    directions. Raises ``WebhookRejected``, whatever the sender sent, and nothing else.
    """
    if not isinstance(body, bytes):
        raise TypeError("the body is the raw bytes that arrived, not text or parsed JSON")
    usable = [secret for secret in secrets if secret]
    if not usable or len(usable) > MAX_SECRETS:
        raise WebhookRejected("unusable_secret")
    chosen = scheme_of(scheme) if isinstance(scheme, str) else scheme
    message = Message(body, headers_of(headers), method, url)
    return chosen.verify(message, usable, time.time() if now is None else now, tolerance)
