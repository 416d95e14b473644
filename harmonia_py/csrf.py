"""Signed double-submit tokens, for frontends that keep the session in a cookie.

A page gets the token in a readable cookie and sends it back in the header ``x-harmonia-csrf``.
Another site can neither read the cookie nor send the header, and a token that a sibling domain
plants is refused because it is signed for one session (OWASP CSRF Prevention Cheat Sheet,
"signed double-submit cookie").
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time

from harmonia_py.errors import CsrfRejected, UsageError

__all__ = ["COOKIE", "HEADER", "MAX_AGE", "check", "issue"]

COOKIE = "__Host-harmonia-csrf"
HEADER = "x-harmonia-csrf"
#: Seconds a token is accepted for.
MAX_AGE = 12 * 3600

_NONCE = 16
_STAMP = 8
_MAC = 32
_LEEWAY = 60


def issue(session_id: str, secret: bytes, *, now: float | None = None) -> str:
    """Return a fresh token bound to one session, for the cookie and the header.

    ``secret`` is at least 32 bytes and stays on the server. Raises :class:`UsageError` without a
    session or with a short secret.
    """
    stamp = int(time.time() if now is None else now).to_bytes(_STAMP, "big")
    nonce = secrets.token_bytes(_NONCE)
    token = nonce + stamp + _mac(session_id, secret, nonce + stamp)
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def check(
    cookie: str | None,
    header: str | None,
    session_id: str,
    secret: bytes,
    *,
    max_age: int = MAX_AGE,
    now: float | None = None,
) -> None:
    """Return when cookie and header carry the same valid token, else raise CsrfRejected.

    ``max_age`` is in seconds. The reason in the message never repeats a token.
    """
    if not cookie or not header:
        raise CsrfRejected("the CSRF cookie or header is missing")
    # Frameworks hand on bytes that are no text as lone surrogates.
    sent = [text.encode(errors="surrogatepass") for text in (cookie, header)]
    if not hmac.compare_digest(*sent):
        raise CsrfRejected("the CSRF cookie and header differ")
    try:
        token = base64.b64decode(
            header.encode("ascii") + b"=" * (-len(header) % 4), altchars=b"-_", validate=True
        )
    except (ValueError, binascii.Error):
        raise CsrfRejected("the CSRF token cannot be read") from None
    body, mac = token[: _NONCE + _STAMP], token[_NONCE + _STAMP :]
    if len(mac) != _MAC or not hmac.compare_digest(mac, _mac(session_id, secret, body)):
        raise CsrfRejected("the CSRF token was not issued for this session")
    age = (time.time() if now is None else now) - int.from_bytes(body[_NONCE:], "big")
    if not -_LEEWAY <= age <= max_age:
        raise CsrfRejected("the CSRF token has expired")


def _mac(session_id: str, secret: bytes, body: bytes) -> bytes:
    if len(secret) < _MAC:
        raise UsageError(f"a CSRF secret needs at least {_MAC} bytes")
    if not session_id:
        raise UsageError("a CSRF token needs a session to belong to")
    # The length keeps (session "ab", body "c") apart from (session "a", body "bc").
    name = session_id.encode()
    message = b"harmonia.csrf.v1" + len(name).to_bytes(4, "big") + name + body
    return hmac.new(secret, message, hashlib.sha256).digest()
