"""Change keys while everything runs. All state is in the tables: run again to resume."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from harmonia_py.errors import KeysShredded, SecretError, StaleKey, UnknownOrganization
from harmonia_py.secrets.keyring import KeyRing
from harmonia_py.secrets.store import context_for
from harmonia_py.secrets.vault import Actor, Session, Vault

__all__ = [
    "KeyInfo",
    "Rotated",
    "Verified",
    "key_infos",
    "rotate_organization",
    "shred",
    "verify",
]

Progress = Callable[[int, int], None]
T = TypeVar("T")
_RETRIES = 20


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One generation of an organization's keys; ``seals`` is an estimate."""

    id: UUID
    generation: int
    state: str
    master_key_id: str
    seals: int
    created_at: object
    retired_at: object
    versions: int


@dataclass(slots=True)
class Rotated:
    """What a rotation did. ``parked`` are secrets that did not open and stay as they are."""

    old_generation: int = 0
    new_generation: int = 0
    moved: int = 0
    finished: bool = False
    parked: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Verified:
    """How many versions opened, and which did not."""

    opened: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def key_infos(vault: Vault, organization_id: UUID) -> list[KeyInfo]:
    """Return the generations of an organization's keys."""
    with vault.open(organization_id) as session:
        return [KeyInfo(*row) for row in session.run("organization_keys")]


def rotate_organization(
    vault: Vault,
    ring: KeyRing,
    organization_id: UUID,
    *,
    batch: int = 200,
    pause: float = 0.0,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Rotated:
    """Seal every version of an organization under a new key, while others read and write.

    A rotation that was interrupted goes on; two at once share the work. The old key is wiped
    only when nothing is sealed under it. ``pause`` is in seconds between batches, ``limit`` ends
    early after about so many versions.
    """
    done = Rotated()
    old_id = _retried(ring, organization_id, lambda: _begin(vault, ring, organization_id, done))
    parked: set[UUID] = set()
    total = 0

    def move() -> tuple[int, set[UUID]]:
        nonlocal total
        with vault.open(organization_id) as session:
            total = total or _remaining(session, old_id, parked)
            return _move_batch(session, ring, old_id, parked, batch, done)

    while limit is None or done.moved < limit:
        moved, failed = _retried(ring, organization_id, move)
        done.moved += moved
        parked |= failed
        if progress is not None:
            progress(done.moved, total)
        if not moved and not failed:
            if _finish(vault, organization_id, old_id, parked, done):
                break
            time.sleep(0.01)  # the rest is locked by another rotation
        elif pause:
            time.sleep(pause)
    ring.forget(organization_id)
    return done


def _retried(ring: KeyRing, organization_id: UUID, work: Callable[[], T]) -> T:
    """Work again when another rotation, or another master key, came in between."""
    for _ in range(_RETRIES):
        try:
            return work()
        except StaleKey:
            ring.forget(organization_id)
    return work()


def _begin(vault: Vault, ring: KeyRing, organization_id: UUID, done: Rotated) -> UUID:
    """Make sure there is a key to move away from and one to move to; return the former."""
    with vault.open(organization_id) as session:
        session.run("lock_keys")
        usable = session.run("usable_keys").fetchall()
        retiring = [row for row in usable if row[3] == "retiring"]
        if not usable:
            if session.run("any_key").fetchone() is not None:
                raise KeysShredded(f"the keys of organization {organization_id} were destroyed")
            raise UnknownOrganization(f"organization {organization_id} has no keys to rotate")
        if retiring:
            old = retiring[0]
            done.new_generation = max(row[2] for row in usable)
        else:
            old = usable[-1]
            session.run("retiring_key", id=old[0])
            ring.add_generation(session, old[2] + 1)
            done.new_generation = old[2] + 1
        done.old_generation = old[2]
    ring.forget(organization_id)
    return UUID(str(old[0]))


def _remaining(session: Session, key_id: UUID, parked: set[UUID]) -> int:
    row = session.run("count_under_key", key_id=key_id, parked=list(parked)).fetchone()
    return int(row[0]) if row else 0


def _move_batch(
    session: Session,
    ring: KeyRing,
    old_id: UUID,
    parked: set[UUID],
    batch: int,
    done: Rotated,
) -> tuple[int, set[UUID]]:
    organization_id = session.organization_id
    if organization_id is None:
        raise ValueError("no organization is open")
    rows = session.run("lock_versions", key_id=old_id, parked=list(parked), batch=batch).fetchall()
    if not rows:
        return 0, set()
    new = ring.active(session)
    old = next((ring.unwrap(*row) for row in session.run("usable_keys") if row[0] == old_id), None)
    if old is None:
        raise KeysShredded(f"the keys of organization {organization_id} were destroyed")
    if new.id == old_id:
        raise StaleKey
    failed: set[UUID] = set()
    secret_ids, versions, envelopes = [], [], []
    for secret_id, version, kind, audience, envelope, name in rows:
        context = context_for(organization_id, secret_id, name, audience, kind)
        try:
            value = old.data_key.handle(context).open(bytes(envelope), version)
        except SecretError as error:
            # A damaged row is set aside and reported, not tried for ever.
            failed.add(secret_id)
            done.parked[name] = error.code
            continue
        secret_ids.append(secret_id)
        versions.append(version)
        envelopes.append(new.data_key.handle(context).seal(value, version))
    if secret_ids:
        session.run(
            "reseal_versions",
            key_id=old_id,
            new_key_id=new.id,
            secret_ids=secret_ids,
            versions=versions,
            envelopes=envelopes,
        )
    return len(secret_ids), failed


def _finish(
    vault: Vault, organization_id: UUID, old_id: UUID, parked: set[UUID], done: Rotated
) -> bool:
    """Wipe the old key when nothing is under it; return whether there is nothing left to do."""
    with vault.open(organization_id) as session:
        if session.run("retire_key", id=old_id).fetchone() is not None:
            session.log("rotate", "*", Actor("harmonia keys"), version=done.new_generation)
            done.finished = True
        elif not _remaining(session, old_id, set()):
            done.finished = True  # the other rotation wiped it
        # What is left and not parked is locked by another rotation.
        return done.finished or not _remaining(session, old_id, parked)


def verify(
    vault: Vault, ring: KeyRing, organization_id: UUID, *, progress: Progress | None = None
) -> Verified:
    """Open every version of an organization and change nothing. Values are dropped at once."""
    result = Verified()
    after = (UUID(int=0), 0)
    total = sum(info.versions for info in key_infos(vault, organization_id))
    while True:
        with vault.open(organization_id) as session:
            rows = session.run(
                "all_versions", after_secret_id=after[0], after_version=after[1], batch=500
            ).fetchall()
        if not rows:
            return result
        for secret_id, version, kind, audience, envelope, name, *key_row in rows:
            try:
                key = ring.unwrap(*key_row)
                context = context_for(organization_id, secret_id, name, audience, kind)
                key.data_key.handle(context).open(bytes(envelope), version)
                result.opened += 1
            except SecretError as error:
                if error.exit_code == 4:
                    raise
                result.failed[f"{name} version {version}"] = error.code
            after = (secret_id, version)
        if progress is not None:
            progress(result.opened + len(result.failed), total)


def shred(vault: Vault, ring: KeyRing, organization_id: UUID, *, actor: Actor) -> int:
    """Destroy the keys of an organization and return how many there were. There is no way back.

    Backups and WAL archives still hold the wrapped keys: it is complete when they have expired.
    """
    with vault.open(organization_id) as session:
        row = session.run("shred").fetchone()
        count = int(row[0]) if row else 0
        session.log("shred", "*", actor, purpose=f"{count} keys destroyed")
    ring.forget(organization_id)
    return count
