"""What may be shown of secrets, who used them, and whether they are given out.

No value is read or written, so no master key is needed: whoever has to stop a leak has not to
look for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from harmonia_py.errors import SecretAccessDenied, SecretNotFound
from harmonia_py.secrets.vault import Actor, Session, Vault

__all__ = ["AccessEntry", "SecretInfo", "SecretRegister", "VersionInfo", "shown"]


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """What may be shown of a secret."""

    id: UUID
    name: str
    provider: str | None
    kind: str
    audience: str
    version: int
    hint: str | None
    fingerprint: str | None
    status: str
    expires_at: datetime | None
    last_rotated_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """What may be shown of a version."""

    version: int
    state: str
    kind: str
    audience: str
    generation: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One line of the access log."""

    occurred_at: datetime
    name: str
    version: int | None
    action: str
    actor: str
    user_id: UUID | None
    purpose: str | None
    outcome: str
    request_id: str | None


class SecretRegister:
    """The names, states and records of the secrets in one database."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault

    def list_all(self, organization_id: UUID, *, actor: Actor) -> list[SecretInfo]:
        """Return what may be shown of every secret, by name."""
        self.require(organization_id, actor, "secrets.read_metadata", "use", "*")
        with self.vault.open(organization_id) as session:
            return [SecretInfo(*row) for row in session.run("secrets", name=None)]

    def show(self, organization_id: UUID, name: str, *, actor: Actor) -> SecretInfo:
        """Return what may be shown of one secret."""
        self.require(organization_id, actor, "secrets.read_metadata", "use", name)
        with self.vault.open(organization_id) as session:
            return shown(session, name)

    def history(self, organization_id: UUID, name: str, *, actor: Actor) -> list[VersionInfo]:
        """Return the kept versions, newest first."""
        self.require(organization_id, actor, "secrets.read_metadata", "use", name)
        with self.vault.open(organization_id) as session:
            return [VersionInfo(*row) for row in session.run("history", name=name)]

    def access_log(
        self, organization_id: UUID, name: str | None = None, *, limit: int = 100
    ) -> list[AccessEntry]:
        """Return who used what, newest first. For operators."""
        with self.vault.open(organization_id) as session:
            return [AccessEntry(*row) for row in session.run("access_log", name=name, limit=limit)]

    def expire(
        self, organization_id: UUID, name: str, at: datetime | None, *, actor: Actor
    ) -> SecretInfo:
        """Set when the current value stops being given out (None: never)."""
        return self._change(organization_id, name, actor, "expire", set_expiry=True, expires_at=at)

    def disable(self, organization_id: UUID, name: str, *, actor: Actor) -> SecretInfo:
        """Stop giving the value out, without deleting it."""
        return self._change(organization_id, name, actor, "disable", status="disabled")

    def enable(self, organization_id: UUID, name: str, *, actor: Actor) -> SecretInfo:
        """Give the value out again."""
        return self._change(organization_id, name, actor, "enable", status="active")

    def _change(
        self, organization_id: UUID, name: str, actor: Actor, action: str, **values: object
    ) -> SecretInfo:
        self.require(organization_id, actor, "secrets.write", action, name)
        arguments = {"status": None, "set_expiry": False, "expires_at": None, **values}
        with self.vault.open(organization_id) as session:
            row = session.run("change_status", name=name, **arguments).fetchone()
            if row is None:
                raise SecretNotFound(f"there is no secret {name}")
            session.log(action, name, actor, secret_id=row[0], version=row[1])
            return shown(session, name)

    def delete(self, organization_id: UUID, name: str, *, actor: Actor) -> None:
        """Delete a secret with all versions; the record of its use stays."""
        self.require(organization_id, actor, "secrets.write", "delete", name)
        with self.vault.open(organization_id) as session:
            row = session.run("delete_secret", name=name).fetchone()
            if row is None:
                raise SecretNotFound(f"there is no secret {name}")
            session.log("delete", name, actor, secret_id=row[0], version=row[1])

    def require(
        self,
        organization_id: UUID,
        actor: Actor,
        permission: str,
        action: str,
        name: str,
        purpose: str | None = None,
    ) -> None:
        """Let the actor go on, or record the attempt and raise ``SecretAccessDenied``."""
        if self.vault.authorize(organization_id, actor, permission):
            return
        with self.vault.open(organization_id) as session:
            session.log(action, name[:128], actor, "denied", purpose=purpose)
        raise SecretAccessDenied(f"this needs the permission {permission}")


def shown(session: Session, name: str) -> SecretInfo:
    """Return what may be shown of one secret, or raise ``SecretNotFound``."""
    row = session.run("secrets", name=name).fetchone()
    if row is None:
        raise SecretNotFound(f"there is no secret {name}")
    return SecretInfo(*row)
