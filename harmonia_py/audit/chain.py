"""Walk one organization's chain and name what does not fit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from harmonia_py.audit import digests, sql
from harmonia_py.connection import Connection
from harmonia_py.errors import AuditTampered

__all__ = ["Head", "Tampering", "Walk", "as_made", "walk"]

_KEPT = 2_000
# The number of an event, or the first and the last of several.
_SPAN = re.compile(r"([1-9][0-9]{0,18})(?:-([1-9][0-9]{0,18}))?")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tampering:
    """One thing that is not as it was recorded.

    ``kind`` is changed, removed, inserted, reordered, erased (without a record of the erasure),
    chain (a link) or seal. ``event`` is the number of the first event concerned; ``None`` for an
    inserted event, which has no number, and for a seal.
    """

    organization_id: UUID | None
    kind: str
    event: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain as it was sealed: the last link's number and hash, the last event."""

    seq: int
    events: int
    hash: bytes


@dataclass(slots=True)
class Walk:
    """What was seen of one chain. ``hashes`` holds the links asked for, by sequence number.

    ``end`` is the number of the last event that a link claims.
    """

    organization_id: UUID
    events: int = 0
    end: int = 0
    links: int = 0
    erased: set[int] = field(default_factory=set)
    erasures: list[tuple[int, int]] = field(default_factory=list)
    hashes: dict[int, bytes] = field(default_factory=dict)
    found: list[Tampering] = field(default_factory=list)
    _altered: list[tuple[int, Row]] = field(default_factory=list)
    _missing: list[tuple[int, Row]] = field(default_factory=list)

    def report(self, kind: str, event: int | None, message: str) -> None:
        """Keep a finding."""
        self.found.append(Tampering(self.organization_id, kind, event, message))


@contextmanager
def as_made() -> Iterator[None]:
    """Raise :class:`AuditTampered` for values that the tables of the record cannot hold.

    A superuser who changes the tables themselves can make them hold anything.
    """
    try:
        yield
    except (TypeError, ValueError, OverflowError):
        raise AuditTampered(
            "the record holds what its tables cannot: they were changed",
            hint="compare them with the migrations (harmonia doctor), and the record with a backup",
        ) from None


def walk(
    conn: Connection,
    organization_id: UUID,
    *,
    after: Head | None = None,
    wanted: set[int] | None = None,
) -> Walk:
    """Check links and events of one organization, or those after a head, in constant memory.

    Runs inside the caller's transaction (a server-side cursor needs one). ``wanted`` are the
    sequence numbers of links whose hashes the seals speak of.
    """
    result = Walk(organization_id)
    seen = _links(conn, result, after, wanted or set())
    strays = _strays(conn, organization_id) if after is None else []
    _name(result, strays)
    if after is None:
        for number in sorted(result.erased):
            if not any(low <= number <= high for low, high in result.erasures):
                result.report(
                    "erased", number, f"the payload of event {number} was erased without a record"
                )
    result.links = seen
    result.found.sort(key=lambda t: (t.event is None, t.event or 0))
    return result


def _links(conn: Connection, result: Walk, after: Head | None, wanted: set[int]) -> int:
    start = after or Head(0, 0, digests.genesis(result.organization_id))
    previous, expected_seq, expected_event = start.hash, start.seq + 1, start.events + 1
    count = 0
    rows = _stream(conn, result.organization_id, start.seq)
    current: Row | None = None
    hasher = hashlib.sha256()
    for row in rows:
        if current is None or row["seq"] != current["seq"]:
            if current is not None:
                previous, expected_event = _close(result, current, hasher, wanted)
                expected_seq = current["seq"] + 1
            _open(result, row, expected_seq, expected_event, previous)
            current, hasher = row, hashlib.sha256()
            count += 1
        hasher.update(bytes(row["expected"]))
        _event(result, row)
    if current is not None:
        _close(result, current, hasher, wanted)
    return count


def _open(result: Walk, row: Row, seq: int, first_event: int, previous: bytes) -> None:
    number = row["first_event"]
    if row["seq"] != seq:
        result.report(
            "chain",
            first_event,
            f"links {seq} to {row['seq'] - 1} are gone: events {first_event} to {number - 1}",
        )
    elif bytes(row["prev_hash"]) != previous:
        result.report("chain", number, f"link {row['seq']} is not joined to the one before it")
    elif number != first_event:
        result.report("chain", number, f"link {row['seq']} does not start at event {first_event}")
    elif row["digests_length"] != row["link_events"] * 32:
        # Bytes behind the last digest would be in no event, and so in no hash made here.
        result.report("chain", number, f"link {row['seq']} does not hold one digest for each event")


def _close(result: Walk, row: Row, hasher: Any, wanted: set[int]) -> tuple[bytes, int]:
    computed = digests.link(
        result.organization_id,
        row["seq"],
        row["link_at_us"],
        row["link_statement"],
        row["first_event"],
        row["link_events"],
        bytes(row["prev_hash"]),
        hasher.digest(),
    )
    if computed != bytes(row["hash"]):
        result.report("chain", row["first_event"], f"link {row['seq']} was changed")
    if row["seq"] in wanted:
        result.hashes[row["seq"]] = computed
    result.end = row["first_event"] + row["link_events"] - 1
    return bytes(row["hash"]), result.end + 1


def _event(result: Walk, row: Row) -> None:
    number = row["first_event"] + row["place"] - 1
    if row["position"] is None:
        if len(result._missing) < _KEPT:
            result._missing.append((number, row))
        return
    result.events += 1
    if not _intact(row, bytes(row["expected"])):
        if len(result._altered) < _KEPT:
            result._altered.append((number, row))
        return
    if row["salt"] is None:
        if row["payload"] is not None:
            result.report("changed", number, f"event {number} has a payload without its salt")
        result.erased.add(number)
    elif digests.payload(row["salt"], row["payload"]) != bytes(row["payload_digest"]):
        result.report("changed", number, f"the payload of event {number} was changed")
    if row["table_name"] == "audit.events" and row["action"] in {
        "payload.erased",
        "payloads.erased",
    }:
        span = _SPAN.fullmatch(str(row["record_key"]))
        if span is None:
            result.report("erased", number, f"event {number} records the erasure of no event")
        else:
            result.erasures.append((int(span[1]), int(span[2] or span[1])))


def _intact(row: Row, expected: bytes) -> bool:
    fixed = ("db_user", "aal", "request_id", "table_name", "action", "actor_kind")
    if any(digests.SEPARATOR in (row[name] or "") for name in fixed):
        return False
    place = {"at_us": row["at_us"], "statement": row["statement"], "position": row["position"]}
    return digests.event(row, **place) == expected


def _name(result: Walk, strays: list[Row]) -> None:
    """Tell moved events from changed, removed and inserted ones."""
    slots = [*result._altered, *result._missing]
    content = [row for _, row in result._altered] + strays
    moved: set[int] = set()
    used: set[int] = set()
    if len(slots) * len(content) <= _KEPT * 50:
        for number, slot in slots:
            for index, row in enumerate(content):
                place = {
                    "at_us": slot["link_at_us"],
                    "statement": slot["link_statement"],
                    "position": slot["place"],
                }
                if index not in used and digests.event(row, **place) == bytes(slot["expected"]):
                    moved.add(number)
                    used.add(index)
                    break
    for number, _ in slots:
        if number in moved:
            result.report("reordered", number, f"event {number} was moved to another place")
    for number, row in result._altered:
        if number not in moved:
            result.report(
                "changed",
                number,
                f"event {number} ({row['action']} {row['table_name'] or ''}) was changed",
            )
    for number, _ in result._missing:
        if number not in moved:
            result.report("removed", number, f"event {number} was removed")
    offset = len(result._altered)
    for index, row in enumerate(strays):
        if index + offset not in used:
            result.report(
                "inserted",
                None,
                f"an event that was never recorded: statement {row['statement']}, "
                f"position {row['position']}, {row['action']} {row['table_name'] or ''}".rstrip(),
            )


def _stream(conn: Connection, organization_id: UUID, after: int) -> Iterator[Row]:
    with conn.cursor(name="harmonia_audit_chain", row_factory=dict_row) as cursor:
        cursor.itersize = 2_000
        cursor.execute(sql.load("chain"), {"organization_id": organization_id, "after": after})
        yield from cursor


def _strays(conn: Connection, organization_id: UUID) -> list[Row]:
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(sql.load("strays"), {"organization_id": organization_id})
        return cursor.fetchmany(_KEPT)
