"""Rich text that is safe to render: one allow-list, kept here and in ``private.is_safe_html()``.

:func:`sanitize` writes the canonical form (attributes in double quotes, every ``<``, ``>`` and
``&`` of the text escaped), and the database refuses any other form, whoever wrote it. A test
holds the two lists to each other.
"""

from __future__ import annotations

import nh3

__all__ = ["ATTRIBUTES", "MAX_CHARS", "TAGS", "URL_SCHEMES", "sanitize"]

#: Elements that may appear. None runs script, loads anything or changes how the rest is parsed.
TAGS: frozenset[str] = frozenset(
    """
    a b blockquote br code del div em h1 h2 h3 h4 hr i ins li ol p pre s span strong sub sup
    table tbody td th thead tr u ul
    """.split()
)
#: Attributes that may appear, per element. ``rel`` is written, never read.
ATTRIBUTES: dict[str, frozenset[str]] = {"a": frozenset({"href", "title"})}
#: What a link may lead to. Relative links are dropped: a record has no base address.
URL_SCHEMES: frozenset[str] = frozenset({"http", "https", "mailto", "tel"})
#: Written on every link.
LINK_REL = "noopener noreferrer nofollow"
#: Characters of the longest column that holds rich text.
MAX_CHARS = 1_000_000

#: Elements whose text goes with them.
_WITH_CONTENT = frozenset({"script", "style", "iframe", "noscript", "template", "title", "object"})


def sanitize(value: str) -> str:
    """Return ``value`` reduced to the allow-list, in the form the database accepts.

    Sanitizing twice changes nothing. Raises nothing: what is not allowed is dropped. The result
    may be empty, and longer than ``value`` (escapes), but never holds a NUL.
    """
    cleaned = _CLEANER.clean(value.replace("\0", ""))
    return cleaned.replace("\u00a0", "&nbsp;")


def _attribute(tag: str, name: str, value: str) -> str | None:
    if (tag, name) == ("a", "href"):
        scheme, colon, rest = value.partition(":")
        value = scheme.lower() + colon + rest
        if not value.startswith(_PREFIXES):
            return None
    # The database's grammar has no control characters inside a tag.
    return "".join(" " if ord(c) < 32 or 127 <= ord(c) < 160 else c for c in value)


_PREFIXES = ("http://", "https://", "mailto:", "tel:")
_CLEANER = nh3.Cleaner(
    tags=set(TAGS),
    attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
    attribute_filter=_attribute,
    clean_content_tags=set(_WITH_CONTENT),
    url_schemes=set(URL_SCHEMES),
    link_rel=LINK_REL,
    strip_comments=True,
)
