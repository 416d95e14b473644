"""Texts of SQL as values: which are true, which may be equal, and which cast changes one."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation

__all__ = ["alike", "cuts", "is_yes", "keeps", "spoken"]

#: Casts that keep apart what was apart.
_SAME = frozenset({"uuid", "text", "varchar", "bpchar", "regclass", "jsonb", "json", "int4", "int8",
                   "int2", "timestamptz", "_uuid", "_text"})  # fmt: skip
_WHOLE = frozenset({"int2", "int4", "int8"})
_NUMBERS = _WHOLE | {"smallint", "integer", "bigint", "int"}
_CUTTING = frozenset('name "char" character char bpchar date time real float4 float8'.split()) | {
    "double precision",
    "time without time zone",
}
#: Types of columns that a cast to a whole number rounds.
_BROKEN = ("numeric", "double precision", "real", "money")
_WORDS = re.compile(r"[^\W\d][\w.:/*@-]*(?: [^\W\d]+)*")
_UUID = re.compile(r"[0-9a-f]{32}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


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
    """Whether a cast from a type (None: unknown) to one called ``name`` keeps values apart."""
    if name in _WHOLE and kind is not None and kind.startswith(_BROKEN):
        return False
    return name in _SAME and not (kind == "jsonb" and name in ("text", "varchar"))


def cuts(kind: str | None, to: str) -> bool:
    """Whether a parameter or variable of a type may hold less than a value has."""
    if to in _CUTTING:
        return kind != to
    return to in _NUMBERS and kind is not None and kind.startswith(_BROKEN)


def alike(text: str) -> object:
    """Return what two literals share where some type may take them for equal, None if unknown.

    A number, a uuid, a text of citext or of another collation is written in more than one way.
    """
    plain = unicodedata.normalize("NFKD", text).strip().casefold()
    said = "".join(c for c in plain if not unicodedata.combining(c))
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
    known = not said or _WORDS.fullmatch(said) or _DATE.fullmatch(said)
    return said if known else None
