"""The client without ``await``, derived word by word from the one with it."""

from __future__ import annotations

__all__ = ["derive"]

_WORDS = (
    (
        '"""The client with ``await``."""',
        '"""The client without ``await``.\n\n'
        'Derived from ``asynchronous.py`` by ``harmonia reference``; do not edit.\n"""',
    ),
    ("AsyncIterator", "Iterator"),
    ("__aenter__", "__enter__"),
    ("__aexit__", "__exit__"),
    ("aclose", "close"),
    ("Async", ""),
    ("async def", "def"),
    ("await ", ""),
    (
        "            for item in page:\n                yield item\n",
        "            yield from page\n",
    ),
)


def derive(text: str) -> str:
    """Return the source of the plain client for the source of the asynchronous one."""
    for word, plain in _WORDS:
        text = text.replace(word, plain)
    return text
