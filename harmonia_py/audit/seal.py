"""Sign the ends of the chains with a key that is not in the database."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from harmonia_py.audit import digests, sql
from harmonia_py.audit.chain import Head, as_made, walk
from harmonia_py.connection import ConnectionOrDsn, session
from harmonia_py.errors import AuditTampered, NotWritable, UsageError
from harmonia_py.lifecycle import keys

__all__ = ["Receipt", "check_receipts", "read_receipts", "seal", "write_receipt"]

# Two sealers at once would both continue from the same seal.
LOCK = 486101
# More than any number of receipts; a device has no end.
_MOST = 64 << 20


@dataclass(frozen=True, slots=True)
class Receipt:
    """What proves, outside the database, that a seal existed. ``digest`` is hex."""

    number: int
    sealed_at: str
    key_id: str
    heads: int
    digest: str
    signature: str


def seal(target: ConnectionOrDsn, key: Ed25519PrivateKey) -> Receipt | None:
    """Verify what was recorded since the last seal, then sign the ends of all moved chains.

    Returns ``None`` when nothing moved. One transaction: interrupted, there is no seal.
    Raises :class:`harmonia_py.errors.AuditTampered` and signs nothing when a chain is broken.
    """
    key_id = keys.key_id(key.public_key())
    with session(target) as conn, conn.transaction():
        conn.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        conn.execute("call audit.ensure_partitions()")
        ends = conn.execute(sql.load("ends")).fetchall()
        if not ends:
            return None
        for end in ends:
            _prove(conn, *end)
        heads = [(org, seq, events, bytes(hash_)) for org, seq, events, hash_, *_ in ends]
        number, previous, sealed_at, sealed_us = _next(conn)
        heads_digest = digests.heads(heads)
        message = digests.seal_message(
            number, sealed_us, key_id, len(heads), heads_digest, previous
        )
        digest, signature = digests.sha256(message), key.sign(message)
        conn.execute(
            "insert into audit.seals (number, sealed_at, key_id, heads, heads_digest,"
            " prev_digest, digest, signature) values (%s, %s, %s, %s, %s, %s, %s, %s)",
            [number, sealed_at, key_id, len(heads), heads_digest, previous, digest, signature],
        )
        with conn.cursor() as cursor:
            cursor.executemany(
                "insert into audit.sealed_heads (seal, organization_id, seq, events, hash)"
                " values (%s, %s, %s, %s, %s)",
                [(number, *head) for head in heads],
            )
    return Receipt(number, sealed_at.isoformat(), key_id, len(heads), digest.hex(), signature.hex())


def _prove(
    conn: Any,
    org: UUID,
    seq: int,
    _events: int,
    _hash: bytes,
    sealed_seq: int,
    sealed_events: int,
    sealed_hash: bytes | None,
    kept_hash: bytes | None,
) -> None:
    """Raise :class:`AuditTampered` unless the chain goes on intact from where it was sealed."""
    if sealed_hash is not None and (kept_hash is None or bytes(kept_hash) != bytes(sealed_hash)):
        what = (
            f"events up to {sealed_events} were sealed and the chain now ends before that"
            if seq < sealed_seq
            else f"event {sealed_events} and those before it are not the ones that were sealed"
        )
        raise AuditTampered(f"organization {org}: {what}; nothing was sealed")
    head = Head(sealed_seq, sealed_events, bytes(sealed_hash)) if sealed_hash is not None else None
    with as_made():
        broken = walk(conn, org, after=head).found
    if broken:
        raise AuditTampered(f"organization {org}: {broken[0].message}; nothing was sealed")


def _next(conn: Any) -> tuple[int, bytes, datetime, int]:
    last = conn.execute(
        "select number, digest from audit.seals order by number desc limit 1"
    ).fetchone()
    at, microseconds = conn.execute(
        "select now(), (extract(epoch from now()) * 1000000)::bigint"
    ).fetchone()
    number, previous = (last[0] + 1, bytes(last[1])) if last else (1, bytes(32))
    return number, previous, at, microseconds


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Append the receipt as one JSON line to a file that belongs somewhere else.

    Raises :class:`NotWritable`.
    """
    _append(path, json.dumps(asdict(receipt)) + "\n")


def check_receipts(path: Path) -> None:
    """Raise :class:`NotWritable` unless a receipt could be written, before there is a seal."""
    _append(path, "")


def _append(path: Path, line: str) -> None:
    try:
        with path.open("ab", buffering=0) as file:
            if not line:
                return
            end = file.seek(0, os.SEEK_END) if file.seekable() else None
            # What a power cut left of an earlier receipt must not take this one with it.
            text = ("" if end is None or _ends_a_line(path) else "\n") + line
            try:
                if file.write(text.encode()) != len(text.encode()):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if end is not None:
                    os.fsync(file.fileno())
            except OSError:
                if end is not None:
                    os.ftruncate(file.fileno(), end)
                raise
    except OSError as error:
        raise NotWritable(f"cannot write {path}: {error.strerror}") from None


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def read_receipts(path: Path) -> list[Receipt]:
    """Return the receipts of a file. Raises :class:`UsageError` when it cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST + 1)
        if len(text) > _MOST:
            raise UsageError(
                f"{path} holds more than {_MOST >> 20} MiB, which receipts never do",
                hint="name the file that harmonia audit seal --receipts writes",
            )
        lines = text.decode().split("\n")
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", hint="name the file of receipts"
        ) from None
    except ValueError:
        raise UsageError(f"{path} holds no receipts: it is not UTF-8 text") from None
    return [_receipt(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _receipt(path: Path, number: int, line: str) -> Receipt:
    try:
        found = Receipt(**json.loads(line))
        if type(found.number) is not int or not isinstance(found.digest, str):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise UsageError(
            f"line {number} of {path} is not a receipt, or it was cut off",
            hint="if a power cut left it, delete the line: each receipt stands for all seals "
            "before it",
        ) from None
    return found
