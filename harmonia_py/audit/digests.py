"""The digests of the chain, computed apart from the database that is being judged.

The same bytes as ``audit.event_digest()`` and ``audit.tg_events__link()``: fields joined with
U+001F, SHA-256. Only the last field of an event may hold that character.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

__all__ = ["SEPARATOR", "event", "genesis", "heads", "link", "payload", "seal_message", "sha256"]

SEPARATOR = "\x1f"
_BEFORE = ("actor_kind", "db_user", "session_id", "aal", "support_grant_id", "api_key_id")


def _join(*fields: object) -> bytes:
    return SEPARATOR.join("" if field is None else str(field) for field in fields).encode()


def payload(salt: UUID, text: str | None) -> bytes:
    """Return the digest of a payload as PostgreSQL prints it."""
    return hashlib.sha256(salt.bytes + (text or "").encode()).digest()


def event(row: Mapping[str, Any], *, at_us: int, statement: int, position: int) -> bytes:
    """Return the digest of an event's columns as if it stood at the given place."""
    return hashlib.sha256(
        _join(
            "harmonia.audit.event.v1",
            row["organization_id"],
            at_us,
            statement,
            position,
            row["total"],
            row["actor_id"],
            *(row[name] for name in _BEFORE),
            row["request_id"],
            row["action"],
            row["table_name"],
            bytes(row["payload_digest"]).hex(),
            row["record_key"],
        )
    ).digest()


def genesis(organization_id: UUID) -> bytes:
    """Return what the first link of an organization is joined to."""
    return hashlib.sha256(organization_id.bytes).digest()


def link(
    organization_id: UUID,
    seq: int,
    at_us: int,
    statement: int,
    first_event: int,
    events: int,
    prev_hash: bytes,
    digests_sha256: bytes,
) -> bytes:
    """Return the hash of a link."""
    return hashlib.sha256(
        _join(
            "harmonia.audit.link.v1",
            organization_id,
            seq,
            at_us,
            statement,
            first_event,
            events,
            prev_hash.hex(),
            digests_sha256.hex(),
        )
    ).digest()


def heads(rows: list[tuple[UUID, int, int, bytes]]) -> bytes:
    """Return the digest of chain ends (organization, seq, events, hash), sorted."""
    lines = [
        _join(org, seq, events, bytes(hash_).hex()) for org, seq, events, hash_ in sorted(rows)
    ]
    return hashlib.sha256(b"\n".join(lines)).digest()


def seal_message(
    number: int, sealed_us: int, key: str, count: int, heads_digest: bytes, prev: bytes
) -> bytes:
    """Return the bytes that a seal signs."""
    return _join(
        "harmonia.audit.seal.v1", number, sealed_us, key, count, heads_digest.hex(), prev.hex()
    )


def sha256(message: bytes) -> bytes:
    """Return SHA-256."""
    return hashlib.sha256(message).digest()
