"""Texts of SQL as values: which are true, which may be equal, and which cast changes one."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation

__all__ = [
    "INTEGERS",
    "alike",
    "canonical",
    "cuts",
    "is_day",
    "is_yes",
    "keeps",
    "plain",
    "spoken",
]

#: Types that have two names.
_NAMES = {
    "smallint": "int2",
    "integer": "int4",
    "int": "int4",
    "bigint": "int8",
    "boolean": "bool",
    "character varying": "varchar",
    "character": "bpchar",
    "decimal": "numeric",
    "double precision": "float8",
    "real": "float4",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
}
INTEGERS = frozenset({"int2", "int4", "int8"})
_NUMBERS = INTEGERS | {"smallint", "integer", "bigint", "int"}
_CUTTING = frozenset('name "char" character char bpchar date time real float4 float8'.split()) | {
    "double precision",
    "time without time zone",
}
#: Types of which equal values are one text, and the text is of no other value.
_TOLD = INTEGERS | {"uuid", "text", "varchar", "bool", "name"}
#: Types of columns that a cast to a whole number rounds.
_BROKEN = ("numeric", "double precision", "real", "float", "money")
_WORDS = re.compile(r"[^\W\d][\w.:/*@-]*(?: [^\W\d]+)*")
_UUID = re.compile(r"[0-9a-f]{32}")
_NAME = 63  # bytes of a name; what is more is cut off
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
#: Words that some type reads as a day, a moment, an address or a key of a machine.
_READ = re.compile(
    r"epoch|infinity|now|today|tomorrow|yesterday|allballs"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\D*\d.*"
    r"|[0-9a-f]*[:.-][0-9a-f:./-]*"
)


def is_day(text: str) -> bool:
    """Whether a literal is a day, written as PostgreSQL writes it."""
    return _DATE.fullmatch(text) is not None


def spoken(text: str) -> bool | None:
    """Return what a text is as a boolean (``parse_bool``), None where it is none."""
    said = text.strip().lower()
    if said and (said in ("on", "1") or "true".startswith(said) or "yes".startswith(said)):
        return True
    no = said in ("of", "off", "0") or "false".startswith(said) or "no".startswith(said)
    return False if said and no else None


def is_yes(text: str) -> bool:
    """Whether a literal is true once it is a boolean, as numbers other than zero are."""
    return spoken(text) is True or (text.lstrip("-").isdecimal() and int(text) != 0)


def keeps(kind: str | None, name: str) -> bool:
    """Whether a cast from a type (None: unknown) to one called ``name`` tells as much as before.

    Then one is written as the other is. A text is written in many ways that one uuid, number or
    document comes of: of two that are cast to the same, nothing says that they were the same.
    """
    kind, name = plain(kind), plain(name) or ""
    if name in ("text", "varchar"):
        return kind is None or kind in _TOLD or "." in kind
    return kind == name or (kind in INTEGERS and name in INTEGERS)


def plain(kind: str | None) -> str | None:
    """Return the one name of a type that has two."""
    return _NAMES.get(kind, kind) if kind else kind


def canonical(text: str, name: str) -> str:
    """Return how PostgreSQL writes a literal of a type, which may be written in other ways."""
    said = text.strip()
    if plain(name) in INTEGERS and re.fullmatch(r"[+-]?\d+", said, re.ASCII):
        return str(int(said))
    digits = said.lower().removeprefix("{").removesuffix("}").replace("-", "")
    if name == "name":
        return text.encode()[:_NAME].decode(errors="ignore")
    if name == "uuid" and _UUID.fullmatch(digits):
        return "-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
    return text


def cuts(kind: str | None, to: str) -> bool:
    """Whether a parameter or variable of a type may hold less than a value has."""
    if to in _CUTTING:
        return plain(kind) != plain(to)
    return to in _NUMBERS and kind is not None and kind.startswith(_BROKEN)


def alike(text: str) -> object:
    """Return what two literals share where some type may take them for equal, None if unknown.

    A number, a uuid, a text of citext or of another collation is written in more than one way.
    """
    folded = unicodedata.normalize("NFKD", text).strip().casefold()
    said = "".join(c for c in folded if not unicodedata.combining(c))
    try:
        number = Decimal(said)
        return number if number.is_finite() else None
    except InvalidOperation:
        pass
    digits = said.strip("{}").replace("-", "")
    if _UUID.fullmatch(digits):
        return digits
    if said.startswith("{"):
        return "{"  # a set or a document: no word, and written in many ways
    known = not said or is_day(said) or (_WORDS.fullmatch(said) and not _READ.fullmatch(said))
    return said if known else None
