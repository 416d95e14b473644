"""Refresh OAuth tokens exactly once, however many workers want to.

A provider that rotates refresh tokens takes a second use for theft and revokes them all. So one
worker at a time holds a lease, the answer is stored before anything else happens, and it becomes
current only if the lease is still ours (RFC 6749, 6; RFC 9700, 4.14.2).
"""

from __future__ import annotations

import json
import math
import random
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx

from harmonia_py.errors import (
    DecryptFailed,
    InvalidSecret,
    NeedsReauthorization,
    RefreshInProgress,
    SecretError,
)
from harmonia_py.secrets.bound import BoundSecret
from harmonia_py.secrets.context import audience_of
from harmonia_py.secrets.store import SecretStore, context_for
from harmonia_py.secrets.value import Secret
from harmonia_py.secrets.vault import Actor

__all__ = ["HTTP_TIMEOUT", "LEASE_SECONDS", "OAuthTokens", "Refresher", "TokenEndpoint"]

HTTP_TIMEOUT = 15.0
LEASE_SECONDS = 60.0
FRESH_SECONDS = 300.0
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
            access = Secret(data["access_token"])
            return cls(access, _secret(data["refresh_token"]), data["expires_at"], endpoint)
        except (ValueError, KeyError, TypeError):
            raise InvalidSecret("the secret is not an OAuth token pair") from None

    def fresh(self, seconds: float) -> bool:
        """Tell whether the access token is valid for that long."""
        return self.expires_at is None or self.expires_at - time.time() > seconds


class _Refused(Exception):
    """The provider said invalid_grant."""


class _Failed(Exception):
    """The provider did not answer, or not properly."""


class Refresher:
    """Hands out access tokens and refreshes them in time.

    ``lease`` and ``timeout`` are in seconds; a lease must be at least three times the timeout,
    or a slow answer would meet a second worker.
    """

    def __init__(
        self,
        store: SecretStore,
        *,
        lease: float = LEASE_SECONDS,
        timeout: float = HTTP_TIMEOUT,
        wait: float = 20.0,
    ) -> None:
        if lease < 3 * timeout:
            raise InvalidSecret("the lease must be at least three times the HTTP timeout")
        self._store = store
        self._lease = lease
        self._timeout = timeout
        self._wait = wait

    def connect(
        self,
        organization_id: UUID,
        name: str,
        tokens: OAuthTokens,
        *,
        audience: str,
        actor: Actor,
        integration_id: UUID | None = None,
    ) -> None:
        """Store the first token pair of a connection."""
        _check_url(tokens.endpoint.url)
        self._store.set(
            organization_id,
            name,
            tokens.seal(),
            actor=actor,
            kind="oauth2",
            audience=audience,
            integration_id=integration_id,
        )

    def access_token(
        self, organization_id: UUID, name: str, *, audience: str, actor: Actor
    ) -> BoundSecret:
        """Return a valid access token bound to its host, refreshing it when it is due.

        Raises ``NeedsReauthorization`` when the provider no longer accepts the refresh token and
        ``RefreshInProgress`` when another worker refreshes and nothing valid is at hand.
        """
        margin = FRESH_SECONDS + random.uniform(0, 30)  # noqa: S311 - spreads load, not a secret
        deadline = time.monotonic() + self._wait
        while True:
            found = self._store.get(organization_id, name, audience=audience, actor=actor)
            tokens = OAuthTokens.unseal(found.value)
            if tokens.fresh(margin) or tokens.refresh_token is None:
                return _bound(found, tokens)
            refreshed = self._refresh(organization_id, name, found, tokens, actor)
            if refreshed is not None:
                return _bound(found, refreshed)
            if tokens.fresh(0):
                return _bound(found, tokens)  # still good: never make the caller wait
            if time.monotonic() > deadline:
                raise RefreshInProgress(self._why_not(organization_id, name))
            time.sleep(0.05 + random.uniform(0, 0.1))  # noqa: S311

    def _why_not(self, organization_id: UUID, name: str) -> str:
        with self._store.vault.open(organization_id) as session:
            row = session.run("lease", name=name).fetchone()
        if row is not None and row[0] is None and row[1] is not None:
            return f"the provider of {name} does not answer; it is asked again at {row[1]:%H:%M:%S}"
        return f"another worker is refreshing {name}"

    def _refresh(
        self,
        organization_id: UUID,
        name: str,
        found: BoundSecret,
        tokens: OAuthTokens,
        actor: Actor,
    ) -> OAuthTokens | None:
        """Refresh under a lease; None when somebody else has it or the provider is down."""
        token = uuid4()
        with self._store.vault.open(organization_id) as session:
            row = session.run("secrets", name=name).fetchone()
            if row is None:
                return None
            secret_id, current = row[0], row[5]
            if current != found.version:
                return None  # refreshed meanwhile: read again
            taken = session.run(
                "take_lease", secret_id=secret_id, token=token, seconds=self._lease
            ).fetchone()
            if taken is None:
                return None
            # Only now is the version we read surely the one nobody else is refreshing.
            row = session.run("secrets", name=name).fetchone()
            if row is None or row[5] != found.version:
                session.run("end_lease", secret_id=secret_id, token=token)
                return None
        try:
            return self._exchange(organization_id, name, secret_id, found, tokens, token, actor)
        except _Failed:
            with self._store.vault.open(organization_id) as session:
                session.run("fail_lease", secret_id=secret_id, token=token)
                session.log("refresh", name, actor, "failed", secret_id=secret_id)
            return None
        except BaseException:
            with self._store.vault.open(organization_id) as session:
                session.run("end_lease", secret_id=secret_id, token=token)
            raise

    def _exchange(
        self,
        organization_id: UUID,
        name: str,
        secret_id: UUID,
        found: BoundSecret,
        tokens: OAuthTokens,
        token: UUID,
        actor: Actor,
    ) -> OAuthTokens:
        """Use the newest candidate if a former worker left one, else ask the provider."""
        left = self._candidate(organization_id, name, secret_id, found.version)
        try:
            if left is not None and left[1].fresh(0):
                version, refreshed = left
            else:
                refreshed = self._ask(left[1] if left is not None else tokens)
                version = self._keep(organization_id, name, secret_id, found, refreshed)
        except _Refused:
            newer = self._candidate(organization_id, name, secret_id, found.version)
            moved = self._moved(organization_id, name, found.version)
            if moved or (newer is not None and (left is None or newer[0] != left[0])):
                raise _Failed from None  # somebody else refreshed: read again
            self._give_up(organization_id, name, secret_id, token, actor)
            raise NeedsReauthorization(f"the provider no longer accepts {name}") from None
        self._promote(organization_id, name, secret_id, version, refreshed, token, actor)
        return refreshed

    def _moved(self, organization_id: UUID, name: str, version: int) -> bool:
        with self._store.vault.open(organization_id) as session:
            row = session.run("secrets", name=name).fetchone()
        return row is not None and row[5] != version

    def _ask(self, tokens: OAuthTokens) -> OAuthTokens:
        refresh_token = tokens.refresh_token
        if refresh_token is None:
            raise _Refused
        form = {
            "grant_type": "refresh_token",
            "refresh_token": _text(refresh_token),
            "client_id": tokens.endpoint.client_id,
        }
        if tokens.endpoint.client_secret is not None:
            form["client_secret"] = _text(tokens.endpoint.client_secret)
        _check_url(tokens.endpoint.url)
        status, answer = self._post(tokens.endpoint.url, form)
        if status in (400, 401) and answer.get("error") == "invalid_grant":
            raise _Refused
        access = answer.get("access_token")
        if status != 200 or not isinstance(access, str) or not access:
            raise _Failed
        given = answer.get("refresh_token")
        lifetime = answer.get("expires_in")
        return OAuthTokens(
            Secret(access),
            # No new refresh token means that the old one stays (RFC 6749, 6).
            Secret(given) if isinstance(given, str) and given else refresh_token,
            _expiry(lifetime),
            tokens.endpoint,
        )

    def _post(self, url: str, form: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        # A total limit: httpx's own limits count from byte to byte, and a slow drip outlives them.
        deadline = time.monotonic() + self._timeout
        body = b""
        try:
            with (
                httpx.Client(
                    timeout=self._timeout, follow_redirects=False, trust_env=False
                ) as client,
                client.stream(
                    "POST", url, data=form, headers={"Accept": "application/json"}
                ) as answer,
            ):
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > _MAX_ANSWER or time.monotonic() > deadline:
                        raise _Failed
                data = json.loads(body)
        except (httpx.HTTPError, ValueError):
            raise _Failed from None
        if not isinstance(data, dict):
            raise _Failed
        return answer.status_code, data

    def _candidate(
        self, organization_id: UUID, name: str, secret_id: UUID, current: int
    ) -> tuple[int, OAuthTokens] | None:
        with self._store.vault.open(organization_id) as session:
            row = session.run("candidates", secret_id=secret_id, current_version=current).fetchone()
            if row is None:
                return None
            version, kind, audience, envelope, *key_row = row
            key = self._store.ring.unwrap(*key_row)
        context = context_for(organization_id, secret_id, name, audience, kind)
        try:
            value = Secret(key.data_key.handle(context).open(bytes(envelope), version))
        except DecryptFailed:
            return None
        return int(version), OAuthTokens.unseal(value)

    def _keep(
        self,
        organization_id: UUID,
        name: str,
        secret_id: UUID,
        found: BoundSecret,
        tokens: OAuthTokens,
    ) -> int:
        """Store the answer before anything else: it may be the only valid refresh token."""
        value = tokens.seal().reveal()

        def write() -> int:
            with self._store.vault.open(organization_id) as session:
                key = self._store.ring.active(session)
                row = session.run(
                    "lock_secret", name=name, kind=found.kind, user_id=None
                ).fetchone()
                if row is None or row[0] != secret_id:
                    raise SecretError(f"{name} was deleted while it was refreshed")
                version = int(row[1]) + 1
                context = context_for(organization_id, secret_id, name, found.audience, found.kind)
                session.run(
                    "store_candidate",
                    secret_id=secret_id,
                    version=version,
                    key_id=key.id,
                    kind=found.kind,
                    audience=found.audience,
                    envelope=key.data_key.handle(context).seal(value, version),
                )
                return version

        return self._store.retried(organization_id, write)

    def _promote(
        self,
        organization_id: UUID,
        name: str,
        secret_id: UUID,
        version: int,
        tokens: OAuthTokens,
        token: UUID,
        actor: Actor,
    ) -> None:
        with self._store.vault.open(organization_id) as session:
            key = self._store.ring.active(session)
            promoted = session.run(
                "promote_candidate",
                secret_id=secret_id,
                version=version,
                token=token,
                fingerprint=key.fingerprint(tokens.seal().reveal()),
            ).fetchone()
            # Not promoted: the lease was lost. The candidate stays for whoever comes next.
            outcome = "done" if promoted is not None else "kept as candidate"
            session.log("refresh", name, actor, outcome, secret_id=secret_id, version=version)

    def _give_up(
        self, organization_id: UUID, name: str, secret_id: UUID, token: UUID, actor: Actor
    ) -> None:
        with self._store.vault.open(organization_id) as session:
            row = session.run(
                "change_status",
                name=name,
                status="needs_reauth",
                set_expiry=False,
                expires_at=None,
            ).fetchone()
            if row is not None and row[2] is not None:
                session.run("mark_integration", id=row[2], status="needs_reauth")
            session.run("end_lease", secret_id=secret_id, token=token)
            session.log("refresh", name, actor, "needs_reauth", secret_id=secret_id)


def _bound(found: BoundSecret, tokens: OAuthTokens) -> BoundSecret:
    return BoundSecret(found.name, found.version, found.kind, found.audience, tokens.access_token)


def _check_url(url: str) -> None:
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
