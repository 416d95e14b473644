"""Candidate values for a column: traceable first, then whatever a CHECK may insist on."""

from __future__ import annotations

import functools
import hashlib
import random
import re
import uuid
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from harmonia_py.isolation.catalog import Column
from harmonia_py.isolation.references import literals

__all__ = ["candidates", "sample"]

_NOW = datetime.now(UTC).replace(microsecond=0)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_FREE = 6


class _NotSampledError(Exception):
    """A regular expression holds what no sample is made of, such as a back reference."""


# Types whose text has a form of its own.
_FORMS = {
    "macaddr": "08:00:2b:01:{a:02x}:{b:02x}",
    "macaddr8": "08:00:2b:01:02:03:{a:02x}:{b:02x}",
    "money": "{n}.00",
    "pg_lsn": "0/{n:X}",
    "jsonpath": "$.{mark}",
    "tsquery": "{mark}",
    "xml": "<hz>{mark}</hz>",
}


def candidates(
    column: Column, token: str, n: int, checks: tuple[str, ...] = (), *, variant: bool = False
) -> list[Any]:
    """Return JSON-able values for ``column``, best first; unique per ``token`` and ``n``.

    ``checks`` are the constraint expressions that mention the column. A ``variant`` fills
    what a plain row leaves empty (nullable times, the other enum labels, flags).
    """
    text = " ".join((*checks, *column.domain_checks))
    offered = _by_type(column, token, n, text, variant=variant)
    # Without a check nothing is chosen from: the first that fits is taken.
    values = list(offered if text or column.labels else islice(offered, _FREE))
    if not column.not_null:
        times = column.category in "DT"
        # A record or a document needs its own form: empty is always well formed.
        bare = column.category in "CP" or column.base == "xml"
        values = [None, *values] if (times and not variant) or bare else [*values, None]
    out: list[Any] = []
    for value in values:
        if value not in out or isinstance(value, bool):
            out.append(value)
    return out


def _by_type(column: Column, token: str, n: int, text: str, *, variant: bool) -> Iterator[Any]:
    base, category = column.base, column.category
    seed = f"{token}:{column.name}:{n}"
    if column.labels:
        shift = n % len(column.labels) if variant or column.default is None else 0
        first = _literal_default(column)
        if first in column.labels and not variant:
            yield first
        yield from column.labels[shift:] + column.labels[:shift]
    elif base == "uuid":
        yield str(uuid.uuid5(uuid.NAMESPACE_OID, seed))
    elif base in ("json", "jsonb"):
        empty = re.match(r"'(\{\}|\[\])'", column.default or "")
        if empty:
            yield {} if empty.group(1) == "{}" else []
        yield from (
            {"hz": f"{token}{n:04d}"},
            *_documents(text, f"{token}{n:04d}"),
            {},
            [],
            f"{token}{n:04d}",
            [{"hz": f"{token}{n:04d}"}],
        )
    elif base == "bytea":
        digest = hashlib.sha256(seed.encode()).hexdigest()
        yield "\\x" + digest
        for size in _sizes(text):
            yield "\\x" + (digest * (size // 32 + 1))[: 2 * size]
    elif category == "B":
        default = {"true": True, "false": False}.get(column.default or "", False)
        yield from ((not default, default) if variant else (default, not default))
    elif category == "N":
        yield from _numbers(column, n, text)
    elif category == "D":
        yield from _times(column, n)
    elif category == "T":
        yield from ("01:00:00", "1 day")
    elif category == "C":
        yield {}
    elif category == "A":
        element = _element(column, token, n)
        yield from (([element], []) if element is not None else ([],))
        for value in literals(text):
            yield [value]
    elif category == "R":
        yield from _ranges(base, n)
    elif category == "I":
        yield f"10.{n % 250}.{len(token)}.{n // 250 % 250}"
    elif category == "G":
        forms = {"point": "(1,1)", "circle": "<(0,0),1>", "line": "{1,1,1}"}
        yield forms.get(base, "((0,0),(1,1))")
    elif category == "V":
        size = int((_NUMBER.findall(column.type) or ["1"])[0])
        yield format(n % 2 ** min(size, 30), "b").zfill(size)[-size:]
    elif base in _FORMS:
        yield _FORMS[base].format(a=n // 256 % 256, b=n % 256, mark=f"{token}{n:04d}", n=n)
    elif base.endswith("hstore"):
        yield f'"hz"=>"{token}{n:04d}"'
    elif base.endswith("vector") and "ts" not in base:
        size = int((_NUMBER.findall(column.type) or ["3"])[0])
        yield "[" + ",".join(["1"] * size) + "]"
    elif base.endswith("tsvector"):
        yield f"{token}{n:04d}"
    elif category == "S" or base in ("xml", "name"):
        yield from _texts(column, token, n, text)
    else:
        yield from (f"{token}{n:04d}", "1", "")


def _documents(text: str, mark: str) -> Iterator[dict[str, str]]:
    """Offer objects with the keys, and the values of keys, that a check names."""
    keys = re.findall(r"(?:->>?|\?)\s*'([^']+)'", text)
    keys += [k for many in re.findall(r"\?[&|]\s*ARRAY\[([^\]]*)\]", text) for k in literals(many)]
    if keys:
        yield dict.fromkeys(keys, mark)
        for word in literals(text):
            if word not in keys:
                yield dict.fromkeys(keys, word)


def _literal_default(column: Column) -> str | None:
    if column.default and column.default.startswith("'"):
        return next(iter(literals(column.default)), None)
    return None


def _sizes(text: str) -> list[int]:
    return sorted({int(float(x)) for x in _NUMBER.findall(text) if 0 < float(x) <= 4096})


def _numbers(column: Column, n: int, text: str) -> Iterator[Any]:
    whole = column.base in ("smallint", "integer", "bigint")
    digits, scale = column.digits or (None, 0)
    for value in _any_number(column, n, text):
        if digits is not None and abs(float(value)) >= 10 ** (digits - scale) - 0.5:
            continue
        if not whole or "." not in value:
            yield value


def _any_number(column: Column, n: int, text: str) -> Iterator[str]:
    bound = {"smallint": 32767}.get(column.base, 2**31 - 1)
    found = [float(x) for x in _NUMBER.findall(text)]
    if column.default and (m := re.match(r"^\(?'?(-?\d+(?:\.\d+)?)'?", column.default)):
        yield m.group(1)
    large = 7_000_000 + n
    if large <= bound and not column.type.startswith("numeric("):
        yield str(large)
    yield str(1000 + n % 30000)
    for value in found:
        for near in (value, value + 1, value - 1):
            yield str(int(near)) if near == int(near) else str(near)
    if len(found) >= 2:
        low, high = min(found), max(found)
        if high - low >= 2:
            yield str(int(low + 1 + n % max(1, int(high - low - 1))))
    yield from (str(n % 100), str(1 + n % 9), "1", "0", "50", "100", "0.5")


def _times(column: Column, n: int) -> Iterator[Any]:
    future = re.search(r"(expir|until|ends?_|_end|due|valid_to)", column.name, re.I)
    days = (3, 0.04, 30, 400, 0, -1) if future else (0, -1, 0.04, -30, 3)
    for day in days:
        at = _NOW + timedelta(days=day, seconds=n if column.base == "date" else -n)
        if column.base == "date":
            yield (at + timedelta(days=n % 300)).date().isoformat()
            yield at.date().isoformat()
        elif column.base.startswith("time "):
            # Checks compare two of them: offer some of the same day, far enough apart.
            yield from (f"{hour:02d}:{n % 60:02d}:00" for hour in (9 + n % 8, 20, 6))
        else:
            yield at.isoformat()


def _element(column: Column, token: str, n: int) -> Any:
    if column.element == "uuid":
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{token}:{column.name}:{n}"))
    if column.element in ("text", "character varying", "citext"):
        return f"{token}{n:04d}"
    if column.element in ("integer", "bigint"):
        return 7_000_000 + n
    return None


def _ranges(base: str, n: int) -> Iterator[str]:
    if base.startswith(("tstz", "ts")):
        at = _NOW + timedelta(days=2 * n)
        yield f"[{at.isoformat()},{(at + timedelta(days=1)).isoformat()})"
    elif base.startswith("date"):
        day = (_NOW + timedelta(days=3 * n)).date()
        yield f"[{day.isoformat()},{(day + timedelta(days=1)).isoformat()})"
    else:
        yield f"[{10 * n},{10 * n + 5})"


def _texts(column: Column, token: str, n: int, text: str) -> Iterator[str]:
    mark = f"{token}{n:04d}"
    listed = "~" not in text and ("ARRAY[" in text or re.search(r"= '", text) is not None)
    default = _literal_default(column)
    if default is not None and (listed or "status" in column.name):
        yield default
    found = [v for v in literals(text) if v]
    if listed:
        shift = n % len(found) if found else 0
        yield from found[shift:] + found[:shift]
    number = f"{sum(token.encode()) % 1000:03d}{n:04d}"
    options = [
        f"{column.name.replace('_', '-')}-{mark}",
        mark,
        f"{mark}@example.test",
        f"https://{mark}.example.test/x",
        f"{mark}.example.test",
        f"/{mark}",
        f"+4930{number}",
        f"#{int(number):06x}"[:7],
        f"{int(number):06d}",
        number,
        mark.upper(),
        "EUR",
        "DE",
        "en",
        "en-US",
        "UTC",
        "A",
        "a",
        str(uuid.uuid5(uuid.NAMESPACE_OID, mark)),
        hashlib.sha256(mark.encode()).hexdigest(),
        hashlib.md5(mark.encode(), usedforsecurity=False).hexdigest(),
        "2026-01-01",
        "1.0.0",
        "0 0 * * *",
        "12:00",
        "text/plain",
        f"{mark} {mark}",
        "-",
        "",
    ]
    limit = column.length
    for option in options:
        if limit is None or len(option) <= limit:
            yield option
        elif option == mark and limit:
            yield hashlib.sha256(mark.encode()).hexdigest()[:limit]
    for pattern in found:
        for attempt in range(3):
            made = sample(pattern, f"{mark}:{attempt}")
            if made is not None and (limit is None or len(made) <= limit):
                yield made
    for size in _sizes(text):
        if size <= 512:
            yield (mark * (size // len(mark) + 1))[:size]
            yield hashlib.sha256(mark.encode()).hexdigest()[:size]
    if default is not None:
        yield default
    yield from found


def sample(pattern: str, seed: str) -> str | None:
    """Return a string that a (POSIX-like) regular expression should match, or None."""
    tree = _tree(pattern)
    if tree is None:
        return None
    try:
        return _emit(tree, random.Random(seed))  # noqa: S311 (test data, not secrets)
    except (_NotSampledError, IndexError):
        return None


@functools.lru_cache(maxsize=1024)
def _tree(pattern: str) -> Any:
    """Parse a pattern; the same few patterns come back for every row."""
    posix = {
        "[:alpha:]": "a-zA-Z",
        "[:digit:]": "0-9",
        "[:alnum:]": "a-zA-Z0-9",
        "[:space:]": r"\s",
        "[:upper:]": "A-Z",
        "[:lower:]": "a-z",
        "[:xdigit:]": "0-9a-f",
    }
    # PostgreSQL's words for the edges of words.
    pattern = re.sub(
        r"\\(.)", lambda m: {"m": r"\b", "M": r"\b", "y": r"\b"}.get(m[1], m[0]), pattern
    )
    for name, plain in posix.items():
        pattern = pattern.replace(name, plain)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return None


def _emit(tree: Any, rng: random.Random) -> str:
    out: list[str] = []
    for op, value in tree:
        name = str(op)
        if name == "LITERAL":
            out.append(chr(value))
        elif name == "NOT_LITERAL":
            out.append("a" if value != ord("a") else "b")
        elif name == "ANY":
            out.append(rng.choice("abcdef"))
        elif name == "IN":
            out.append(_one_of(value, rng))
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, inner = value
            count = rng.randint(low, max(low, min(int(high), low + 8)))
            out.extend(_emit(inner, rng) for _ in range(count))
        elif name == "SUBPATTERN":
            out.append(_emit(value[-1], rng))
        elif name == "BRANCH":
            out.append(_emit(rng.choice(value[1]), rng))
        elif name in ("AT", "ASSERT", "ASSERT_NOT"):
            continue
        else:
            raise _NotSampledError(name)
    return "".join(out)


def _one_of(items: Any, rng: random.Random) -> str:
    pool: list[str] = []
    negated = False
    for op, value in items:
        name = str(op)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            pool.append(chr(value))
        elif name == "RANGE":
            pool.extend(chr(c) for c in range(value[0], min(value[1], value[0] + 60) + 1))
        elif name == "CATEGORY":
            kind = str(value)
            pool.extend(
                "0123456789" if "DIGIT" in kind else " " if "SPACE" in kind else "abcdefgh1"
            )
    if negated:
        pool = [c for c in "abcdefghijklmnop0123456789" if c not in pool]
    return rng.choice(pool)
