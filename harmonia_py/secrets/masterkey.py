"""The text form of a local master key: ``hmk1_<base64url of 32 bytes>_<8 hex check digits>``.

The check digits catch a slip of the hand; the fixed prefix lets secret scanners find a leak.
Passphrases are refused: the key must be as strong as what it protects.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re

from harmonia_py.errors import InvalidMasterKey
from harmonia_py.secrets.hierarchy import derive
from harmonia_py.secrets.value import Secret

__all__ = ["generate", "master_key_id", "parse", "text"]

_FORM = re.compile(rb"hmk1_([A-Za-z0-9_-]{43})_([0-9a-f]{8})")


def generate() -> Secret:
    """Return 32 new random bytes."""
    return Secret(os.urandom(32))


def text(key: Secret) -> str:
    """Return the text form."""
    raw = key.reveal()
    body = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return f"hmk1_{body}_{_check(raw)}"


def parse(data: bytes) -> Secret:
    """Return the key in a text form; surrounding white space is allowed, nothing else is."""
    match = _FORM.fullmatch(data.strip())
    if match is None:
        raise InvalidMasterKey(
            "the master key does not have the form hmk1_..._........ (passphrases are refused)"
        )
    try:
        raw = base64.b64decode(match[1] + b"=", altchars=b"-_", validate=True)
    except binascii.Error:
        raise InvalidMasterKey("the master key is damaged") from None
    if not hmac.compare_digest(_check(raw), match[2].decode()):
        raise InvalidMasterKey("the check digits of the master key do not match: a slip in copying")
    # Other spellings of the same bytes exist: the last digit has two bits to spare.
    if text(Secret(raw)).encode() != match[0]:
        raise InvalidMasterKey("the master key is damaged: a slip in copying")
    if len(set(raw)) < 8:
        raise InvalidMasterKey("the master key is not random")
    return Secret(raw)


def master_key_id(key: Secret) -> str:
    """Return the public id, derived so that it says nothing about the key."""
    return "mk_" + derive(key.reveal(), "harmonia/v1/kek-id", 8).hex()


def _check(raw: bytes) -> str:
    return hashlib.sha256(b"hmk1" + raw).hexdigest()[:8]
