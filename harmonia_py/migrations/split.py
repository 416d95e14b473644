"""Split a SQL script into statements, exactly as the Supabase CLI records them.

The CLI keeps in ``supabase_migrations.schema_migrations.statements`` what its own splitter
returns; drift is the difference between that and what this module returns for the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Statement", "leading_words", "lone_return", "split", "split_with_offsets"]

_TOKEN = re.compile(
    r"""
      (?P<line>--[^\n]*)
    | (?P<block>/\*)
    | (?P<escape>(?<![A-Za-z0-9_$])[eE]'(?:[^'\\]|\\.|'')*(?:'|$))
    | (?P<single>'(?:[^']|'')*(?:'|$))
    | (?P<double>"(?:[^"]|"")*(?:"|$))
    | (?P<dollar>(?<![A-Za-z0-9_$])\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$)
    | (?P<word>[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*)
    | (?P<punct>[();])
    """,
    re.VERBOSE | re.DOTALL,
)
_LONE_RETURN = re.compile(r"\r(?!\n)")
_BLOCK_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and where it begins in the script (0-based character offset)."""

    text: str
    offset: int


def split(script: str) -> list[str]:
    """Return the statements of ``script`` without their semicolons, comments kept."""
    return [statement.text for statement in split_with_offsets(script)]


def split_with_offsets(script: str) -> list[Statement]:
    """Return the statements of ``script`` with the offset at which each begins."""
    found = []
    for start, end in _ranges(script):
        raw = script[start:end].rstrip(";")
        if text := raw.strip():
            found.append(Statement(text, start + len(raw) - len(raw.lstrip())))
    return found


def leading_words(statement: str, count: int = 12) -> list[str]:
    """Return up to ``count`` lower-case words outside comments and literals.

    Anything in quotes or dollar quotes appears as the placeholder ``''``.
    """
    words: list[str] = []
    pos = 0
    while len(words) < count and (match := _TOKEN.search(statement, pos)):
        pos = _token_end(statement, match)
        if match["word"]:
            words.append(match["word"].lower())
        elif match["escape"] or match["single"] or match["double"] or match["dollar"]:
            words.append("''")
    return words


def lone_return(script: str) -> int | None:
    """Return the offset of a carriage return that ends a comment for PostgreSQL alone.

    The Supabase CLI, and so this module, reads on to the line feed: what stands between is code
    to one and comment to the other.
    """
    pos = 0
    while match := _TOKEN.search(script, pos):
        pos = _token_end(script, match)
        if match["line"] and (found := _LONE_RETURN.search(script, match.start(), pos + 1)):
            return found.start()
    return None


def _ranges(script: str) -> Iterator[tuple[int, int]]:
    start = pos = depth = atomic = 0
    previous = ""
    while match := _TOKEN.search(script, pos):
        pos = _token_end(script, match)
        if match["block"] or match["dollar"] or match["line"]:
            continue
        mark = match["punct"]
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth = max(0, depth - 1)
        elif mark == ";" and depth == 0 and atomic == 0:
            yield start, pos
            start = pos
        word = (match["word"] or "").upper()
        atomic = _atomic_depth(atomic, previous, word)
        previous = word
    yield start, len(script)


def _atomic_depth(depth: int, previous: str, word: str) -> int:
    """Follow ``begin atomic ... end`` of SQL-standard function bodies, with nested ``case``."""
    if word == "ATOMIC" and previous == "BEGIN":
        return 1
    if depth and word == "CASE":
        return depth + 1
    if depth and word == "END":
        return depth - 1
    return depth


def _token_end(script: str, match: re.Match[str]) -> int:
    if match["block"]:
        return _block_end(script, match.start())
    if match["dollar"]:
        end = script.find(match["dollar"], match.end())
        return len(script) if end < 0 else end + len(match["dollar"])
    return match.end()


def _block_end(script: str, start: int) -> int:
    depth = 0
    for edge in _BLOCK_EDGE.finditer(script, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(script)
