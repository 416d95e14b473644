"""Claims that are objects keyed by the tenant: ``{"orgs": {"<tenant>": "admin"}}``.

In a model such a key is written ``*``: ``app_metadata.orgs.*`` is the role in each tenant.
"""

from __future__ import annotations

import re

from harmonia_py.isolation.references import References, elements, literals

__all__ = ["calls_with", "kept_apart", "keyed", "whole", "words_of"]

#: What the key is: a column or a parameter, which is an id: one that is cast, or called so.
_KEY = (
    r"\(*\s*(?:cast\(\s*)?(?!')(?:[\w\"$]+\.)*\"?(?P<key>[\w$]+)\"?"
    r"(?P<cast>[\s)]*(?:::|as\s+)(?:text|varchar|character varying))?(?![\w(.])"
)
_LOOKED_UP = re.compile(
    rf"[\s)]*(?P<arrow>->>?)\s*{_KEY}(?:[\s)]*->>?\s*'(?P<inner>[\w-]+)'(?:::text)?)?", re.I
)
_ASKED_FOR = re.compile(
    rf"[\s)]*(?:,\s*'[^']*'(?:::\w+)?[\s)]*)?(?:::jsonb?[\s)]*)?\?\s*{_KEY}", re.I
)
_TAKEN_APART = re.compile(r"(?:object_keys|jsonb?_each(?:_text)?)\s*(?=\()", re.I)
_LIST = r"\(*(?:array\[)?\s*'[^']*'(?:::\w+(?:\[\])?)?(?:\s*,\s*'[^']*'(?:::\w+)?)*"
_COMPARED = re.compile(
    rf"[\s)]*(?:::\w+)?[\s)]*(?:=|<>|\bin\b|\?[|&]?|@>)\s*(?:any\s*)?({_LIST})", re.I
)
_HOLDS = re.compile(r"[\s)]*(?:::jsonb?[\s)]*)?(?:\?[|&]?|@>)\s*\(*(?:array\[)?\s*'", re.I)
#: Objects that hold more than one thing: a key of them is the name of a claim.
_WHOLE = frozenset("app_metadata user_metadata raw_app_meta_data raw_user_meta_data".split())


def keyed(text: str, path: str, start: int, end: int) -> tuple[str, str] | None:
    """Return path and meaning of a claim if it is looked up by an id; it is read at start to end.

    The meaning is ``role``, or ``roles`` where the tenant's value is a list of them.
    """
    looked = _LOOKED_UP.match(text, end)
    if looked and _is_id(looked):
        inner = f".{looked['inner']}" if looked["inner"] else ""
        named = not inner or "role" in inner.lower()
        several = named and _HOLDS.match(text, looked.end())
        return f"{path}.*{inner}", "roles" if several else "role" if named else "tenant"
    asked = _ASKED_FOR.match(text, end)
    if asked and _is_id(asked) and "role" in path.rpartition(".")[2].lower():
        return f"{path}.*", "role"  # else a list does as well
    before = text[max(0, start - 300) : start]
    for call in _TAKEN_APART.finditer(before):
        inside = before[call.end() :]
        if inside.count("(") > inside.count(")"):
            return f"{path}.*", "role"
    return None


def whole(path: str) -> bool:
    """Whether a path names all that the server, or the user, wrote into the token."""
    return path in _WHOLE


def _is_id(match: re.Match[str]) -> bool:
    # A name of a right is a text already.
    return bool(match["cast"]) or match["key"].lower().endswith("id")


def kept_apart(claims: dict[str, str]) -> dict[str, str]:
    """Leave out what is an object keyed by the tenant where it is read as something else too."""
    objects = {path.partition(".*")[0] for path in claims if ".*" in path}
    deeper = {path.rpartition(".*.")[0] + ".*" for path in claims if ".*." in path}
    return {path: what for path, what in claims.items() if path not in objects | deeper}


def calls_with(refs: References, paths: set[str]) -> list[str]:
    """Return the names of the functions with arguments that look such a claim up."""
    last = {re.escape(path.partition(".*")[0].rpartition(".")[2]) for path in paths if ".*" in path}
    if not last:
        return []
    read = re.compile(rf"'(?:{'|'.join(last)})'")
    reached = {f.key for f in refs.catalog.functions.values() if read.search(f.source)}
    return [
        f.name
        for f in refs.catalog.functions.values()
        if f.arguments and (f.key in reached or refs.reach(f.source)[1] & reached)
    ]


def words_of(refs: References, end_of_claims: list[int], helpers: list[str]) -> list[str]:
    """List the words that policies compare with what such claims, or helpers, give or take."""
    text = refs.everything
    found: list[str] = []
    for end in end_of_claims:
        looked = _LOOKED_UP.match(text, end)
        if looked and _is_id(looked) and (compared := _COMPARED.match(text, looked.end())):
            found += literals(compared[1])
    if helpers:
        called = re.compile(
            rf"\b(?:{'|'.join(map(re.escape, helpers))})\"?\((?:[^()]|\([^()]*\))*\)"
        )
        for call in called.finditer(text):
            for word in literals(call[0]):
                found += elements(word) if word.startswith("{") else [word]
            if compared := _COMPARED.match(text, call.end()):
                found += literals(compared[1])
    return [word for word in found if re.fullmatch(r"[\w .-]{1,40}", word)]
