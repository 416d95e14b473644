"""Refresh OAuth tokens exactly once, however many workers want to.

A provider that rotates refresh tokens takes a second use for theft and revokes them all. So one
worker at a time holds a lease, the answer is stored before anything else happens, and it becomes
current only if the lease is still ours (RFC 6749, 6; RFC 9700, 4.14.2).
"""

from __future__ import annotations

import random
import time
from uuid import UUID, uuid4

from harmonia_py.errors import (
    DecryptFailed,
    InvalidSecret,
    NeedsReauthorization,
    RefreshInProgress,
    SecretError,
)
from harmonia_py.secrets.bound import BoundSecret
from harmonia_py.secrets.store import SecretStore, context_for
from harmonia_py.secrets.tokens import (
    Failed,
    OAuthTokens,
    Refused,
    TokenEndpoint,
    ask,
    check_url,
)
from harmonia_py.secrets.value import Secret
from harmonia_py.secrets.vault import Actor

__all__ = ["HTTP_TIMEOUT", "LEASE_SECONDS", "OAuthTokens", "Refresher", "TokenEndpoint"]

HTTP_TIMEOUT = 15.0
LEASE_SECONDS = 60.0
FRESH_SECONDS = 300.0


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
        check_url(tokens.endpoint.url)
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
        except Failed:
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
                refreshed = ask(left[1] if left is not None else tokens, timeout=self._timeout)
                version = self._keep(organization_id, name, secret_id, found, refreshed)
        except Refused:
            newer = self._candidate(organization_id, name, secret_id, found.version)
            moved = self._moved(organization_id, name, found.version)
            if moved or (newer is not None and (left is None or newer[0] != left[0])):
                raise Failed from None  # somebody else refreshed: read again
            self._give_up(organization_id, name, secret_id, token, actor)
            raise NeedsReauthorization(f"the provider no longer accepts {name}") from None
        self._promote(organization_id, name, secret_id, version, refreshed, token, actor)
        return refreshed

    def _moved(self, organization_id: UUID, name: str, version: int) -> bool:
        with self._store.vault.open(organization_id) as session:
            row = session.run("secrets", name=name).fetchone()
        return row is not None and row[5] != version

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
