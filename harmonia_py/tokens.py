"""Development tokens: what Supabase Auth would issue, signed with the project's HS256 secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from harmonia_py.errors import UsageError

__all__ = ["new_secret", "sign", "user_claims"]

Aal = Literal["aal1", "aal2"]
MIN_SECRET_BYTES = 32
ISSUER = "harmonia-dev"


def new_secret() -> str:
    """Return a fresh signing secret of 256 random bits."""
    return secrets.token_urlsafe(32)


def user_claims(
    user_id: UUID | str,
    email: str,
    *,
    aal: Aal = "aal1",
    organization_id: UUID | str | None = None,
    lifetime: int = 3600,
    issuer: str = ISSUER,
) -> dict[str, Any]:
    """Return the claims Supabase Auth puts in a user's access token; ``lifetime`` in seconds."""
    now = int(time.time())
    method = "totp" if aal == "aal2" else "password"
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": "authenticated",
        "role": "authenticated",
        "sub": str(user_id),
        "email": email,
        "aal": aal,
        "amr": [{"method": method, "timestamp": now}],
        "is_anonymous": False,
        "iat": now,
        "exp": now + lifetime,
    }
    if organization_id is not None:
        claims["active_organization_id"] = str(organization_id)
    return claims


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """Return ``claims`` as a compact JWS with HMAC-SHA256 (RFC 7515, RFC 7518 3.2).

    Raises ``UsageError`` when the secret is shorter than the hash, as RFC 7518 demands.
    """
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise UsageError(
            f"a signing secret needs at least {MIN_SECRET_BYTES} bytes",
            hint="generate one with: openssl rand -base64 32",
        )
    head = _part({"alg": "HS256", "typ": "JWT"})
    body = _part(claims)
    signature = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{_base64(signature)}"


def _part(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
