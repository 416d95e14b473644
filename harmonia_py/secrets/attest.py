"""A document to keep outside the database: which version of each secret was current.

Whoever can write every table can put an old row and its pointer back together; nothing inside
the database can show that. The attestation can.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from harmonia_py.errors import InvalidSecret, SecretError
from harmonia_py.secrets.store import SecretStore

__all__ = ["Compared", "attest", "compare"]


@dataclass(slots=True)
class Compared:
    """What changed since an attestation. ``authentic`` is None when its key is retired."""

    authentic: bool | None
    rolled_back: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing went backwards."""
        return self.authentic is not False and not self.rolled_back and not self.missing


def attest(store: SecretStore, organization_id: UUID) -> dict[str, Any]:
    """Return the document, with a MAC under the organization's key."""
    with store.vault.open(organization_id) as session:
        key = store.ring.active(session)
        secrets = {
            str(row[0]): {"name": row[1], "version": row[2]} for row in session.run("pointers")
        }
    document: dict[str, Any] = {
        "format": "harmonia.attestation.v1",
        "organization_id": str(organization_id),
        "generation": key.generation,
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "secrets": secrets,
    }
    return {**document, "mac": key.attest(_canonical(document)).hex()}


def compare(store: SecretStore, organization_id: UUID, document: dict[str, Any]) -> Compared:
    """Compare an earlier document with the database."""
    try:
        secrets = {UUID(key): value for key, value in document["secrets"].items()}
        mac = bytes.fromhex(document["mac"])
        generation = int(document["generation"])
        if document["organization_id"] != str(organization_id):
            raise InvalidSecret("the attestation is of another organization")
        wanted = {
            key: (str(value["name"]), int(value["version"])) for key, value in secrets.items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidSecret("this is not an attestation of Harmonia") from None
    body = {key: value for key, value in document.items() if key != "mac"}
    with store.vault.open(organization_id) as session:
        pointers = session.run("pointers").fetchall()
        rows = [row for row in session.run("usable_keys") if row[2] == generation]
    authentic: bool | None = None
    if rows:
        try:
            expected = store.ring.unwrap(*rows[0]).attest(_canonical(body))
            authentic = hmac.compare_digest(expected, mac)
        except SecretError:
            authentic = False
    now = {row[0]: row[2] for row in pointers}
    # New ones, or deleted ones that somebody put back.
    result = Compared(authentic, added=[row[1] for row in pointers if row[0] not in wanted])
    for secret_id, (name, version) in wanted.items():
        current = now.get(secret_id)
        if current is None:
            result.missing.append(name)
        elif current < version:
            result.rolled_back.append(name)
        elif current > version:
            result.newer.append(name)
    return result


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
