"""Values that the constants of a policy suggest for a column whose part in it is not understood.

The prover knows that ``name like 'demo%'`` or ``amount < 100`` may hold, not for which rows. A
condition names what it is about, so a few values made of its constants mostly hold one for which
it is true; whether it is, is found by trying.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from harmonia_py.isolation.catalog import Column

__all__ = ["suggestions"]

_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,4})?")
_LIMIT = 32


def suggestions(column: Column, constants: Iterable[str]) -> list[Any]:
    """Return at most 32 values of the column's type, the likeliest first.

    ``constants`` are the quoted texts and numbers of the policies, as text.
    """
    texts = [t for t in dict.fromkeys(constants) if t]
    found = _values(column, texts)
    unique = {json.dumps(value, sort_keys=True): value for value in found}
    return list(unique.values())[:_LIMIT]


def _values(column: Column, texts: list[str]) -> Iterator[Any]:
    numbers = [float(t) if "." in t else int(t) for t in texts if _NUMBER.fullmatch(t)]
    if column.labels:
        yield from column.labels
    elif column.base in ("json", "jsonb"):
        yield from _documents(texts)
    elif column.category == "A":
        yield from ([t] for t in texts)
    elif column.category == "N":
        for number in numbers:
            yield from (number, number - 1, number + 1)
        yield from (0, -1)
    elif column.category == "D" and column.base != "interval":
        yield from _times(texts)
    elif column.category == "S" or column.base == "citext":
        yield from _texts(texts)
        # What counts characters is met by a text of that length.
        lengths = [n for n in numbers if isinstance(n, int) and 0 <= n <= 2000]
        yield from ("x" * n for length in lengths for n in (length, length - 1, length + 1))
        yield ""


def _times(texts: list[str]) -> Iterator[str]:
    now = dt.datetime.now(dt.UTC)
    yield from ((now + dt.timedelta(days=days)).isoformat() for days in (0, -1, 1, -10_000, 20_000))
    for text in texts:
        try:
            moment = dt.datetime.fromisoformat(text)
            yield from ((moment + dt.timedelta(days=days)).isoformat() for days in (0, -1, 1))
        except (ValueError, OverflowError):
            continue


def _texts(texts: list[str]) -> Iterator[str]:
    plain = [re.sub(r"\.[*+]|[%^$\\]", "", text) for text in texts]
    marks = [text for text in texts if not text.isalnum() and len(text) <= 2]
    yield from _in_turns(
        texts,
        plain,
        # Something before or after it: a domain, a prefix.
        (f"{text}hzw" for text in plain),
        (f"hzw{text}" for text in plain),
        # One part of several, whichever is asked for.
        (mark.join([text] * 3) for mark in marks for text in texts if text != mark),
        itertools.chain.from_iterable((text.upper(), text.lower()) for text in plain),
    )


def _documents(texts: list[str]) -> Iterator[Any]:
    for text in texts:
        try:
            document = json.loads(text)
        except ValueError:
            continue
        if isinstance(document, dict | list):
            yield document
    paths = [text.strip("{}").split(",") for text in texts]
    yield from _in_turns(
        (_nested(path, value=True) for path in paths),
        ([text] for text in texts),
        ({one: two} for one, two in itertools.permutations(texts, 2)),
        (
            _nested(keys, value=last)
            for *keys, last in zip(texts, texts[1:], texts[2:], strict=False)
        ),
        (_nested(keys, value=True) for keys in itertools.pairwise(texts)),
    )


def _in_turns(*ways: Iterable[Any]) -> Iterator[Any]:
    """Yield one value of each way, then the next of each."""
    missing = object()
    for values in itertools.zip_longest(*ways, fillvalue=missing):
        yield from (value for value in values if value is not missing)


def _nested(keys: Sequence[str], *, value: Any) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value
