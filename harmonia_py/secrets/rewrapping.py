"""Change the master key while everything runs: wrapped keys move, no secret is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from harmonia_py.errors import SecretError
from harmonia_py.secrets.context import WrapContext
from harmonia_py.secrets.keyring import KeyRing
from harmonia_py.secrets.providers import Rewraps
from harmonia_py.secrets.vault import Vault

__all__ = ["Rewrapped", "rewrap"]

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Rewrapped:
    """What a change of the master key did. ``waiting`` are former keys that are still in use."""

    master_key_id: str
    moved: int = 0
    parked: dict[str, str] = field(default_factory=dict)
    retired: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


def rewrap(vault: Vault, ring: KeyRing, *, progress: Progress | None = None) -> Rewrapped:
    """Wrap every organization key under the ring's current master key. No secret is touched.

    The ring must hold the former provider too. Run again after an interruption. The former key
    is marked retired; keep it until the oldest backup has expired.
    """
    result = Rewrapped(ring.add_successor(vault))
    former = [state.id for state in ring.states(vault) if state.state == "retiring"]
    if not former and isinstance(ring.provider, Rewraps):
        # The same key in its newest version: the service moves the blobs itself.
        former = [result.master_key_id]
    for old_id in former:
        organizations = _organizations(vault, old_id)
        for place, organization_id in enumerate(organizations):
            for item in _rewrap_one(vault, ring, organization_id, old_id, result):
                result.moved += item
            if progress is not None:
                progress(place + 1, len(organizations))
        if old_id == result.master_key_id:
            continue
        with vault.open(None) as session:
            row = session.run("retire_master_key", master_key_id=old_id).fetchone()
        (result.retired if row and row[0] else result.waiting).append(old_id)
    ring.check(vault)
    return result


def _organizations(vault: Vault, master_key_id: str) -> list[UUID]:
    with vault.open(None) as session:
        return [row[0] for row in session.run("organizations_under", master_key_id=master_key_id)]


def _rewrap_one(
    vault: Vault, ring: KeyRing, organization_id: UUID, old_id: str, result: Rewrapped
) -> Iterator[int]:
    new = ring.provider
    old = ring.named(old_id)
    with vault.open(organization_id) as session:
        for row in session.run("keys_under", master_key_id=old_id).fetchall():
            key_id, _, generation, _, _, wrapped = row
            context = WrapContext(organization_id, key_id)
            try:
                moved = None
                if isinstance(old, Rewraps):
                    moved = old.rewrap(bytes(wrapped), context, new)
                if moved is None:
                    moved = new.wrap(old.unwrap(bytes(wrapped), context), context)
            except SecretError as error:
                if error.exit_code == 4:  # the service is down: nothing else will do better
                    raise
                result.parked[f"{organization_id} generation {generation}"] = error.code
                continue
            session.run(
                "rewrap_key",
                id=key_id,
                wrapped=moved,
                master_key_id=new.master_key_id,
                old_master_key_id=old_id,
            )
            yield 1
