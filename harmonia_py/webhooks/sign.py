"""Sign what we send, in Standard Webhooks form."""

from __future__ import annotations

import base64
import hmac
import os
import re
import time
from collections.abc import Sequence
from uuid import uuid4

from harmonia_py.errors import InvalidSecret
from harmonia_py.secrets.value import Secret
from harmonia_py.webhooks.schemes import standard_key

__all__ = ["generate_secret", "sign"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def generate_secret() -> Secret:
    """Return a new signing secret: ``whsec_`` and base64 of 32 random bytes."""
    return Secret(b"whsec_" + base64.b64encode(os.urandom(32)))


def sign(
    body: bytes,
    secrets: Sequence[Secret],
    *,
    event_id: str | None = None,
    timestamp: int | None = None,
) -> dict[str, str]:
    """Return the three headers; one signature per secret, so that receivers can rotate.

    ``timestamp`` is in Unix seconds (default: now), ``event_id`` stays the same when a delivery
    is repeated (default: a new one).
    """
    if not secrets:
        raise InvalidSecret("a webhook needs at least one signing secret")
    chosen = event_id if event_id is not None else f"msg_{uuid4().hex}"
    if not _ID.fullmatch(chosen):
        raise InvalidSecret("a webhook id is 1 to 128 characters of A-Z a-z 0-9 _ -")
    stamp = str(int(time.time()) if timestamp is None else timestamp)
    text = f"{chosen}.{stamp}.".encode() + body
    signatures = [
        "v1,"
        + base64.b64encode(hmac.digest(standard_key(secret.reveal()), text, "sha256")).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": chosen,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signatures),
    }
