"""Verify an event, and store it once: receipt and event in one transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from harmonia_py.errors import (
    InvalidSecret,
    KeyProviderError,
    SecretAccessDenied,
    SecretError,
    SecretNotFound,
    UsageError,
    WebhookRejected,
)
from harmonia_py.secrets.queries import queries
from harmonia_py.secrets.store import SecretStore
from harmonia_py.secrets.value import Secret
from harmonia_py.secrets.vault import Actor, Session
from harmonia_py.webhooks.message import RawHeaders, headers_of
from harmonia_py.webhooks.schemes import Scheme, standard_key
from harmonia_py.webhooks.verify import scheme_of, verify

__all__ = ["CACHE_SECONDS", "MAX_BODY", "Inbox", "Received"]

MAX_BODY = 1_048_576
CACHE_SECONDS = 15.0
MAX_OVERLAP = 30 * 86_400.0
_ACTOR = Actor("webhook receiver")
_SQL = queries("harmonia_py.webhooks")


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a verified event; ``event_id`` is None for a duplicate."""

    event_id: UUID | None
    duplicate: bool


@dataclass(frozen=True, slots=True)
class _Endpoint:
    scheme: Scheme
    tolerance: float
    secrets: tuple[Secret, ...]
    loaded: float


@dataclass(frozen=True, slots=True)
class _Unusable:
    reason: str
    loaded: float


class Inbox:
    """Receives events for endpoints. Not for several threads at once."""

    def __init__(self, store: SecretStore) -> None:
        self.store = store
        self._endpoints: dict[tuple[UUID, UUID], _Endpoint | _Unusable] = {}

    def receive(
        self,
        organization_id: UUID,
        endpoint_id: UUID,
        body: bytes,
        headers: RawHeaders,
        *,
        method: str = "POST",
        url: str = "",
        now: float | None = None,
    ) -> Received:
        """Verify a request and store its event, or find that it was stored before.

        Raises ``WebhookRejected``, or an error of the store when the database or the master key
        is away (the sender should try again).
        """
        if len(body) > MAX_BODY:
            raise WebhookRejected("body_too_large")
        endpoint = self._endpoint(organization_id, endpoint_id)
        known = headers_of(headers if isinstance(headers, Mapping) else list(headers))
        verified = verify(
            endpoint.scheme,
            body,
            headers,
            [secret.reveal() for secret in endpoint.secrets],
            method=method,
            url=url,
            now=now,
            tolerance=endpoint.tolerance,
        )
        with self.store.vault.open(organization_id) as session:
            row = session.statement(
                _SQL["receipt"], endpoint_id=endpoint_id, dedupe_key=verified.dedupe_key
            ).fetchone()
            refusal, taken = row if row is not None else ("unknown_endpoint", False)
            if refusal is not None:
                self._endpoints.pop((organization_id, endpoint_id), None)
                raise WebhookRejected(refusal)
            if not taken:
                return Received(None, duplicate=True)
            row = session.statement(
                _SQL["event"],
                endpoint_id=endpoint_id,
                event_id=verified.event_id,
                content_type=_printable(known.get("content-type")),
                body=body,
                payload=_payload(session, body),
            ).fetchone()
        return Received(row[0] if row else None, duplicate=False)

    def register(
        self,
        organization_id: UUID,
        name: str,
        scheme: str,
        *,
        secret: str,
        options: Mapping[str, str] | None = None,
    ) -> UUID:
        """Add an endpoint that verifies with a stored secret of kind ``webhook``."""
        scheme_of(scheme, options)
        with self.store.vault.open(organization_id) as session:
            row = session.statement(
                _SQL["register"],
                name=name,
                scheme=scheme,
                options=Jsonb(dict(options or {})),
                secret=secret,
            ).fetchone()
        if row is None:
            raise SecretNotFound(f"there is no webhook secret {secret}")
        return UUID(str(row[0]))

    def rotate_secret(
        self,
        organization_id: UUID,
        endpoint_id: UUID,
        value: Secret,
        *,
        overlap: float,
        actor: Actor,
    ) -> str:
        """Set a new signing secret; the former one is accepted for ``overlap`` more seconds."""
        if not 0 <= overlap <= MAX_OVERLAP:
            raise UsageError("the former secret is accepted for 0 seconds to 30 days")
        endpoint = self._endpoint(organization_id, endpoint_id)
        if endpoint.scheme.name == "standard":
            standard_key(value.reveal())
        if not self.store.vault.authorize(organization_id, actor, "secrets.write"):
            raise SecretAccessDenied("this needs the permission secrets.write")
        with self.store.vault.open(organization_id) as session:
            row = session.statement(
                _SQL["overlap"], endpoint_id=endpoint_id, seconds=overlap
            ).fetchone()
        if row is None:
            raise UsageError("the endpoint has no secret yet")
        self.store.set(organization_id, row[0], value, actor=actor, kind="webhook")
        self._endpoints.pop((organization_id, endpoint_id), None)
        return str(row[0])

    def _endpoint(self, organization_id: UUID, endpoint_id: UUID) -> _Endpoint:
        key = (organization_id, endpoint_id)
        cached = self._endpoints.get(key)
        if cached is None or time.monotonic() - cached.loaded >= CACHE_SECONDS:
            if len(self._endpoints) >= 1000:
                self._endpoints.clear()
            # What cannot verify is remembered too: opening its secret is a line in the access
            # log, and strangers must not be able to write there at will.
            cached = self._endpoints[key] = self._load(organization_id, endpoint_id)
        if isinstance(cached, _Unusable):
            raise WebhookRejected(cached.reason)
        return cached

    def _load(self, organization_id: UUID, endpoint_id: UUID) -> _Endpoint | _Unusable:
        with self.store.vault.open(organization_id) as session:
            row = session.statement(_SQL["endpoint"], endpoint_id=endpoint_id).fetchone()
        try:
            if row is None:
                raise WebhookRejected("unknown_endpoint")
            scheme, options, tolerance, refusal, secret, previous = row
            if refusal is not None:
                raise WebhookRejected(refusal)
            if secret is None:
                raise WebhookRejected("no_secret")
            return _Endpoint(
                scheme_of(scheme, options),
                float(tolerance),
                tuple(self._secrets(organization_id, secret, previous)),
                time.monotonic(),
            )
        except WebhookRejected as error:
            return _Unusable(error.reason, time.monotonic())
        except UsageError:
            return _Unusable("endpoint_misconfigured", time.monotonic())

    def _secrets(self, organization_id: UUID, name: str, previous: int | None) -> list[Secret]:
        found = []
        for version in (None, previous) if previous else (None,):
            try:
                found.append(
                    self.store.get(
                        organization_id, name, audience="", actor=_ACTOR, version=version
                    ).value
                )
            except KeyProviderError:
                raise  # away for now: the sender tries again
            except (SecretError, InvalidSecret):
                continue
        if not found:
            raise WebhookRejected("no_usable_secret")
        return found


def _printable(value: str | None) -> str | None:
    return value[:200] if value and value.isprintable() else None


def _payload(session: Session, body: bytes) -> str | None:
    """Return the body as JSON text when PostgreSQL can keep it as jsonb."""
    try:
        text = body.decode()
        if not text.lstrip().startswith(("{", "[")):
            return None
        with session.savepoint():
            session.statement(_SQL["valid_json"], text=text)
    except (UnicodeDecodeError, psycopg.Error, ValueError):
        return None
    return text
