"""Token pairs as they are stored, and the one call that renews them (RFC 6749, 6)."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import Any

import httpx

from harmonia_py.errors import InvalidSecret
from harmonia_py.secrets.context import audience_of
from harmonia_py.secrets.value import Secret

__all__ = ["Failed", "OAuthTokens", "Refused", "TokenEndpoint", "ask", "check_url"]

_MAX_ANSWER = 32_768
_LONGEST = 10 * 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where tokens are refreshed. Sealed with the tokens, so a changed row redirects nothing."""

    url: str
    client_id: str
    client_secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class OAuthTokens:
    """A token pair. ``expires_at`` is in Unix seconds (None: it does not say)."""

    access_token: Secret
    refresh_token: Secret | None
    expires_at: float | None
    endpoint: TokenEndpoint

    def seal(self) -> Secret:
        """Return the value that is stored."""
        client_secret = self.endpoint.client_secret
        return Secret(
            json.dumps(
                {
                    "access_token": _text(self.access_token),
                    "refresh_token": _text(self.refresh_token),
                    "expires_at": self.expires_at,
                    "token_url": self.endpoint.url,
                    "client_id": self.endpoint.client_id,
                    "client_secret": _text(client_secret),
                }
            )
        )

    @classmethod
    def unseal(cls, value: Secret) -> OAuthTokens:
        """Return what was stored; ``InvalidSecret`` when it is something else."""
        try:
            data = json.loads(value.reveal())
            endpoint = TokenEndpoint(
                data["token_url"], data["client_id"], _secret(data["client_secret"])
            )
            access, ends = Secret(data["access_token"]), data["expires_at"]
            ends = None if ends is None else float(ends)
            return cls(access, _secret(data["refresh_token"]), ends, endpoint)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InvalidSecret("the secret is not an OAuth token pair") from None

    def fresh(self, seconds: float) -> bool:
        """Tell whether the access token is valid for that long."""
        return self.expires_at is None or self.expires_at - time.time() > seconds


class Refused(Exception):
    """The provider said invalid_grant."""


class Failed(Exception):
    """The provider did not answer, or not properly."""


def ask(tokens: OAuthTokens, *, timeout: float) -> OAuthTokens:
    """Return the pair that the provider gives for the refresh token.

    ``timeout`` is in seconds, for the whole call. Raises ``Refused`` or ``Failed``.
    """
    refresh_token = tokens.refresh_token
    if refresh_token is None:
        raise Refused
    form = {
        "grant_type": "refresh_token",
        "refresh_token": _text(refresh_token),
        "client_id": tokens.endpoint.client_id,
    }
    if tokens.endpoint.client_secret is not None:
        form["client_secret"] = _text(tokens.endpoint.client_secret)
    check_url(tokens.endpoint.url)
    status, answer = _post(tokens.endpoint.url, form, timeout)
    if status in (400, 401) and answer.get("error") == "invalid_grant":
        raise Refused
    access = answer.get("access_token")
    if status != 200 or not isinstance(access, str) or not access:
        raise Failed
    given = answer.get("refresh_token")
    lifetime = answer.get("expires_in")
    return OAuthTokens(
        Secret(access),
        # No new refresh token means that the old one stays (RFC 6749, 6).
        Secret(given) if isinstance(given, str) and given else refresh_token,
        _expiry(lifetime),
        tokens.endpoint,
    )


def _post(url: str, form: dict[str, Any], timeout: float) -> tuple[int, dict[str, Any]]:
    # A total limit: httpx's own limits count from byte to byte, and a slow drip outlives them.
    deadline = time.monotonic() + timeout
    body = b""
    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", url, data=form, headers={"Accept": "application/json"}) as answer,
        ):
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > _MAX_ANSWER or time.monotonic() > deadline:
                    raise Failed
            data = json.loads(body)
    except (httpx.HTTPError, ValueError, RecursionError):
        raise Failed from None
    if not isinstance(data, dict):
        raise Failed
    return answer.status_code, data


def check_url(url: str) -> None:
    """Raise ``InvalidSecret`` unless the token endpoint is https, or on this machine."""
    host = audience_of(url)
    local = host.split(":")[0] in ("localhost", "127.0.0.1")
    if not url.startswith("https://") and not (local and url.startswith("http://")):
        raise InvalidSecret("the token endpoint must be an https URL")


def _expiry(lifetime: object) -> float | None:
    """Return when a token ends; some providers send the seconds as text. None: it does not say."""
    try:
        seconds = float(lifetime) if isinstance(lifetime, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return time.time() + seconds if 0 < seconds <= _LONGEST else None


def _text(value: Secret | None) -> str | None:
    try:
        return None if value is None else value.reveal().decode()
    except UnicodeDecodeError:
        raise InvalidSecret("a token is text") from None


def _secret(value: object) -> Secret | None:
    return None if value is None else Secret(str(value))
