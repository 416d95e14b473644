"""Secrets of organizations: set, use, reveal, roll back, delete. Only ciphertext is stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from harmonia_py.errors import (
    AudienceMismatch,
    InvalidSecret,
    KeysShredded,
    NeedsReauthorization,
    SecretError,
    SecretExpired,
    SecretNotFound,
    SecretUnavailable,
    StaleKey,
)
from harmonia_py.secrets.bound import BoundSecret
from harmonia_py.secrets.context import (
    SECRET_DOMAIN,
    WEBHOOK_DOMAIN,
    SecretContext,
    audience_of,
    check_name,
)
from harmonia_py.secrets.envelope import MAX_PLAINTEXT
from harmonia_py.secrets.keyring import KeyRing
from harmonia_py.secrets.register import SecretInfo, SecretRegister, shown
from harmonia_py.secrets.value import Secret
from harmonia_py.secrets.vault import Actor, Vault

__all__ = [
    "KINDS",
    "SecretStore",
    "checked",
    "context_for",
    "hint_of",
]

KINDS = ("api_key", "oauth2", "webhook", "password", "certificate")
MAX_PURPOSE = 400
_RETRIES = 8
T = TypeVar("T")


def context_for(
    organization_id: UUID, secret_id: UUID, name: str, audience: str, kind: str
) -> SecretContext:
    """Return what the versions of a secret are bound to."""
    domain = WEBHOOK_DOMAIN if kind == "webhook" else SECRET_DOMAIN
    return SecretContext(organization_id, secret_id, name, audience, domain)


class SecretStore(SecretRegister):
    """The secrets in one database, opened with one key ring."""

    def __init__(self, vault: Vault, ring: KeyRing) -> None:
        super().__init__(vault)
        self.ring = ring

    # Writing ----------------------------------------------------------------------------------

    def set(
        self,
        organization_id: UUID,
        name: str,
        value: Secret,
        *,
        actor: Actor,
        kind: str = "api_key",
        audience: str = "",
        provider: str | None = None,
        integration_id: UUID | None = None,
        expires_at: datetime | None = None,
    ) -> SecretInfo:
        """Store a value as the new current version; on any failure the old one stays current.

        ``value`` is 1 to ``MAX_PLAINTEXT`` bytes of any content. ``audience`` is the host it may
        be sent to (empty: bound to none). Raises ``InvalidSecret``, ``SecretAccessDenied``,
        ``UnknownOrganization`` or a ``KeyProviderError``.
        """
        self.require(organization_id, actor, "secrets.write", "set", name)
        host = audience_of(audience)
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise InvalidSecret(
                "the expiry lies in the past: nobody could use the secret",
                hint="to stop a secret from being given out: harmonia secrets expire",
            )
        return self._write(
            organization_id,
            check_name(name),
            value,
            actor=actor,
            kind=kind,
            audience=host,
            provider=provider,
            integration_id=integration_id,
            expires_at=expires_at,
            action="set",
        )

    def rollback(
        self, organization_id: UUID, name: str, version: int, *, actor: Actor
    ) -> SecretInfo:
        """Make the value of an older version current again, as a new version."""
        self.require(organization_id, actor, "secrets.write", "rollback", name)
        old = self._open(organization_id, name, None, "rollback", actor, f"to {version}", version)
        info = self.show(organization_id, name, actor=actor)
        return self._write(
            organization_id,
            name,
            old.value,
            actor=actor,
            kind=old.kind,
            audience=old.audience,
            provider=None,
            integration_id=None,
            expires_at=info.expires_at,
            action="rollback",
        )

    def _write(
        self,
        organization_id: UUID,
        name: str,
        value: Secret,
        *,
        actor: Actor,
        kind: str,
        audience: str,
        provider: str | None,
        integration_id: UUID | None,
        expires_at: datetime | None,
        action: str,
    ) -> SecretInfo:
        plaintext = checked(value, kind)

        def write() -> SecretInfo:
            with self.vault.open(organization_id) as session:
                key = self.ring.active(session)
                row = session.run(
                    "lock_secret", name=name, kind=kind, user_id=actor.user_id
                ).fetchone()
                if row is None:
                    raise SecretNotFound(f"there is no secret {name}")
                secret_id, newest, status = row
                if status == "shredded":
                    raise KeysShredded(f"the keys of organization {organization_id} were destroyed")
                version = int(newest) + 1
                context = context_for(organization_id, secret_id, name, audience, kind)
                session.run(
                    "store_version",
                    secret_id=secret_id,
                    name=name,
                    version=version,
                    key_id=key.id,
                    kind=kind,
                    audience=audience,
                    envelope=key.data_key.handle(context).seal(plaintext, version),
                    provider=provider,
                    integration_id=integration_id,
                    hint=hint_of(plaintext, kind),
                    fingerprint=key.fingerprint(plaintext),
                    expires_at=expires_at,
                    action=action,
                    actor=actor.name,
                    user_id=actor.user_id,
                    purpose=None,
                    request_id=actor.request_id,
                )
                return shown(session, name)

        return self.retried(organization_id, write)

    def retried(self, organization_id: UUID, write: Callable[[], T]) -> T:
        """Run a write again when the key was rotated under it."""
        for _ in range(_RETRIES):
            try:
                return write()
            except StaleKey:
                self.ring.forget(organization_id)
        return write()

    # Reading ----------------------------------------------------------------------------------

    def get(
        self,
        organization_id: UUID,
        name: str,
        *,
        audience: str,
        actor: Actor,
        purpose: str | None = None,
        version: int | None = None,
    ) -> BoundSecret:
        """Return the current value for a program that will send it to ``audience``.

        The host is the one the caller means to talk to, not one it read from a row: raises
        ``AudienceMismatch`` when the secret was set for another. ``version`` asks for an older
        value.
        """
        host = audience_of(audience)
        return self._open(organization_id, name, host, "use", actor, purpose, version)

    def reveal(
        self,
        organization_id: UUID,
        name: str,
        *,
        actor: Actor,
        purpose: str,
        version: int | None = None,
    ) -> BoundSecret:
        """Return a value for a person. Who, why and when is recorded before it is opened.

        A user needs ``secrets.reveal``, which needs a session at aal2.
        """
        if len(purpose.strip()) < 3:
            raise InvalidSecret("say what for: a reveal without a purpose is refused")
        # It is shown on terminals: no control characters.
        if len(purpose) > MAX_PURPOSE or not purpose.isprintable():
            raise InvalidSecret(f"a purpose is one line of at most {MAX_PURPOSE} characters")
        self.require(organization_id, actor, "secrets.reveal", "reveal", name, purpose)
        return self._open(organization_id, name, None, "reveal", actor, purpose, version)

    def _open(
        self,
        organization_id: UUID,
        name: str,
        audience: str | None,
        action: str,
        actor: Actor,
        purpose: str | None,
        version: int | None,
    ) -> BoundSecret:
        check_name(name)
        with self.vault.open(organization_id) as session:
            row = session.run(
                "use_secret",
                name=name,
                audience=audience,
                version=version,
                action=action,
                actor=actor.name,
                user_id=actor.user_id,
                purpose=purpose,
                request_id=actor.request_id,
            ).fetchone()
        if row is None:
            raise SecretNotFound(
                f"there is no secret {name}" + (f" version {version}" if version else "")
            )
        secret_id, _, _, found, kind, host, envelope, *key_row, outcome = row
        if outcome != "granted":
            raise _refusal(outcome, name, host)
        key_id, generation, state, master_key_id, wrapped = key_row
        try:
            key = self.ring.unwrap(
                key_id, organization_id, generation, state, master_key_id, wrapped
            )
            # What the caller asked for, never what the row says about itself, is bound.
            expected = host if audience is None else audience
            context = context_for(organization_id, secret_id, name, expected, kind)
            wanted = found if version is None else version
            value = Secret(key.data_key.handle(context).open(bytes(envelope), wanted))
        except SecretError as error:
            with self.vault.open(organization_id) as session:
                session.log(
                    action,
                    name,
                    actor,
                    error.code,
                    secret_id=secret_id,
                    version=found,
                    purpose=purpose,
                )
            raise
        return BoundSecret(name, found, kind, expected, value)


def checked(value: Secret, kind: str) -> bytes:
    """Return the bytes to seal, or raise ``InvalidSecret``."""
    plaintext = value.reveal()
    if not plaintext:
        raise InvalidSecret("the secret is empty", hint="to remove it: harmonia secrets delete")
    if len(plaintext) > MAX_PLAINTEXT:
        raise InvalidSecret(
            f"a secret holds at most {MAX_PLAINTEXT} bytes, this one has {len(plaintext)}",
            hint="store a file elsewhere, encrypted, and keep its key here",
        )
    if kind not in KINDS:
        raise InvalidSecret(f"the kind is one of {', '.join(KINDS)}")
    return plaintext


def hint_of(plaintext: bytes, kind: str) -> str | None:
    """Return the last characters of a long API key; of anything else nothing."""
    if kind != "api_key" or len(plaintext) < 20:
        return None
    tail = plaintext[-4:]
    return tail.decode() if tail.isalnum() and tail.isascii() else None


_REFUSALS: dict[str, Callable[[str, str], SecretError]] = {
    "expired": lambda name, _: SecretExpired(f"the secret {name} has expired"),
    "disabled": lambda name, _: SecretUnavailable(
        f"the secret {name} is disabled", hint="enable it with: harmonia secrets enable"
    ),
    "needs_reauth": lambda name, _: NeedsReauthorization(f"the provider no longer accepts {name}"),
    "shredded": lambda name, _: KeysShredded(f"the key of {name} was destroyed"),
    "audience_mismatch": lambda name, host: AudienceMismatch(
        f"the secret {name} is bound to {host or 'no host'}"
    ),
}


def _refusal(outcome: str, name: str, host: str) -> SecretError:
    return _REFUSALS[outcome](name, host)
