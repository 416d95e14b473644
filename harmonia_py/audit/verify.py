"""Verify the whole record: every chain, every seal, and the receipts kept elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from harmonia_py.audit import digests, sql
from harmonia_py.audit.chain import Tampering, as_made, walk
from harmonia_py.audit.seal import Receipt
from harmonia_py.connection import Connection, ConnectionOrDsn, session
from harmonia_py.lifecycle import keys

__all__ = ["Report", "Tampering", "verify", "verify_within"]

Seals = dict[int, tuple[Any, ...]]


@dataclass(slots=True)
class Report:
    """What was verified and what was found; ``found`` is empty when all is as recorded.

    ``sealed_events`` of ``events`` are covered by a signature. ``signatures`` says whether
    signatures were checked: without a public key only digests are.
    """

    organizations: int = 0
    events: int = 0
    links: int = 0
    seals: int = 0
    sealed_events: int = 0
    signatures: bool = False
    found: list[Tampering] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Return whether nothing was found."""
        return not self.found


def verify(
    target: ConnectionOrDsn,
    *,
    organization_id: UUID | None = None,
    public_key: Ed25519PublicKey | None = None,
    receipts: Sequence[Receipt] = (),
) -> Report:
    """Recompute every digest outside the database and compare.

    One snapshot, so events that arrive meanwhile do not disturb. The public key must come from
    where the database's superuser cannot reach; receipts are what ``seal`` returned.
    """
    with session(target) as conn, conn.transaction():
        conn.execute("set transaction isolation level repeatable read, read only")
        return verify_within(
            conn, organization_id=organization_id, public_key=public_key, receipts=receipts
        )


def verify_within(
    conn: Connection,
    *,
    organization_id: UUID | None = None,
    public_key: Ed25519PublicKey | None = None,
    receipts: Sequence[Receipt] = (),
) -> Report:
    """Verify inside a transaction that the caller has open, seeing what it sees.

    Raises :class:`AuditTampered` where the tables themselves were changed.
    """
    report = Report(signatures=public_key is not None)
    with as_made():
        _check_seals(conn, report, _seals(conn), public_key, receipts)
        sealed: dict[UUID, list[tuple[int, int, bytes, int]]] = defaultdict(list)
        for org, seal, seq, events, hash_ in conn.execute(
            "select organization_id, seal, seq, events, hash from audit.sealed_heads"
            " order by organization_id, seal"
        ):
            sealed[org].append((seal, seq, bytes(hash_), events))
        chosen = (
            [organization_id]
            if organization_id
            else [row[0] for row in conn.execute(sql.load("organizations"))]
        )
        for org in chosen:
            _check_chain(conn, report, org, sealed[org])
    return report


def _check_chain(
    conn: Connection, report: Report, org: UUID, sealed: list[tuple[int, int, bytes, int]]
) -> None:
    result = walk(conn, org, wanted={seq for _, seq, _, _ in sealed})
    report.organizations += 1
    report.events += result.events
    report.links += result.links
    covered = 0
    for seal, seq, hash_, events in sealed:
        found = result.hashes.get(seq)
        if found is None:
            first = min(result.end, events - 1) + 1
            result.report(
                "removed", first, f"events {first} to {events}, under seal {seal}, are gone"
            )
            break
        if found != hash_:
            # Where the chain itself says which event it is, the seal only agrees.
            result.report(
                "seal",
                None if result.found else covered + 1,
                f"events {covered + 1} to {events} are not the ones seal {seal} was put on",
            )
            break
        covered = events
    report.sealed_events += covered
    report.found += result.found


def _seals(conn: Connection) -> Seals:
    return {row[0]: row for row in conn.execute(sql.load("seals"))}


def _check_seals(
    conn: Connection,
    report: Report,
    seals: Seals,
    public_key: Ed25519PublicKey | None,
    receipts: Sequence[Receipt],
) -> None:
    def found(message: str) -> None:
        report.found.append(Tampering(None, "seal", None, message))

    previous = bytes(32)
    expected = 1
    for number, sealed_us, key_id, count, heads_digest, prev, digest, signature in seals.values():
        if number != expected:
            found(f"seals {expected} to {number - 1} are gone")
        elif bytes(prev) != previous:
            found(f"seal {number} is not joined to the one before it")
        heads = [
            (org, seq, events, bytes(hash_))
            for org, seq, events, hash_ in conn.execute(
                "select organization_id, seq, events, hash from audit.sealed_heads where seal = %s",
                [number],
            )
        ]
        message = digests.seal_message(
            number, sealed_us, key_id, count, bytes(heads_digest), bytes(prev)
        )
        if len(heads) != count or digests.heads(heads) != bytes(heads_digest):
            found(f"the chain ends under seal {number} were changed")
        elif digests.sha256(message) != bytes(digest):
            found(f"seal {number} was changed")
        elif public_key is not None and not keys.signed_by(public_key, bytes(signature), message):
            found(f"seal {number} is not signed by the given key")
        previous, expected = bytes(digest), number + 1
        report.seals += 1
    for receipt in receipts:
        row = seals.get(receipt.number)
        if row is None:
            found(f"seal {receipt.number}, for which there is a receipt, is gone")
        elif bytes(row[6]).hex() != receipt.digest:
            found(f"seal {receipt.number} is not the one its receipt was given for")
