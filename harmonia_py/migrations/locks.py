"""Which table lock a statement takes, and what has to wait for it.

From the PostgreSQL manual, "Explicit Locking" and the pages of each command. A statement this
module does not know is said to take no table lock only when it touches no table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harmonia_py.migrations.files import Migration
from harmonia_py.migrations.split import leading_words

__all__ = ["Step", "steps"]

_SHARE_UPDATE = "share update exclusive"
_LIGHT_ALTER = re.compile(
    r"\b(validate\s+constraint|set\s+statistics|(re)?set\s*\(|attach\s+partition|cluster\s+on)\b",
    re.IGNORECASE,
)
_FOREIGN_KEY = re.compile(r"\b(foreign\s+key|references)\b", re.IGNORECASE)
_BLOCKS = {
    "access exclusive": "everything, reads too",
    "share row exclusive": "writes",
    "share": "writes",
    _SHARE_UPDATE: "other schema changes",
    "row exclusive": "nothing but schema changes",
    "": "nothing",
}
_BY_WORDS: dict[tuple[str, ...], str] = {
    ("create", "trigger"): "share row exclusive",
    ("create", "constraint"): "share row exclusive",
    ("create", "policy"): "access exclusive",
    ("alter", "policy"): "access exclusive",
    ("drop", "policy"): "access exclusive",
    ("drop", "trigger"): "access exclusive",
    ("drop", "table"): "access exclusive",
    ("drop", "index"): "access exclusive",
    ("alter", "index"): _SHARE_UPDATE,
    ("create", "statistics"): _SHARE_UPDATE,
    ("comment", "on", "table"): _SHARE_UPDATE,
    ("comment", "on", "column"): _SHARE_UPDATE,
    ("comment", "on", "index"): _SHARE_UPDATE,
    ("comment", "on", "view"): _SHARE_UPDATE,
    ("truncate",): "access exclusive",
    ("refresh",): "access exclusive",
    ("reindex",): "access exclusive",
    ("cluster",): "access exclusive",
    ("vacuum",): _SHARE_UPDATE,
    ("analyze",): _SHARE_UPDATE,
    ("call",): "access exclusive",
    ("insert",): "row exclusive",
    ("update",): "row exclusive",
    ("delete",): "row exclusive",
    ("merge",): "row exclusive",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One statement: its line, its first words, the strongest lock, and what that blocks."""

    line: int
    summary: str
    lock: str
    blocks: str


def steps(migration: Migration) -> list[Step]:
    """Return what each statement of a migration does to the tables it names."""
    return [
        Step(migration.line_of(part.offset), _summary(part.text), lock, _BLOCKS[lock])
        for part in migration.parts
        for lock in [_lock(part.text)]
    ]


def _lock(statement: str) -> str:
    words = leading_words(statement)
    if words[:1] == ["create"] and "index" in words[:3]:
        return _SHARE_UPDATE if "concurrently" in words[:6] else "share"
    if "concurrently" in words[:6]:
        return _SHARE_UPDATE
    if words[:2] == ["alter", "table"]:
        if _LIGHT_ALTER.search(statement):
            return _SHARE_UPDATE
        foreign_key = "add" in words and _FOREIGN_KEY.search(statement) and "column" not in words
        return "share row exclusive" if foreign_key else "access exclusive"
    if words[:1] == ["create"] and "table" in words[:4]:
        return "share row exclusive" if _FOREIGN_KEY.search(statement) else ""
    for length in (3, 2, 1):
        if (lock := _BY_WORDS.get(tuple(words[:length]))) is not None:
            return lock
    return ""


def _summary(statement: str) -> str:
    text = re.sub(r"^(\s*--[^\n]*\n|\s*/\*.*?\*/)+", "", statement, flags=re.DOTALL)
    text = " ".join(text.split())
    return text if len(text) <= 72 else text[:71] + "…"
