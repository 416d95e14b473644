"""The SQL statements inside a function's body, parsed."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

from pglast import parse_sql
from pglast.parser import ParseError, parse_plpgsql_json

from harmonia_py.isolation.catalog import Function

__all__ = ["plpgsql", "statements"]

_DECLARED = re.compile(r"\bdeclare\b(.*?)\bbegin\b", re.I | re.S)
_QUALIFIED = re.compile(r"\b(?!pg_catalog\.)\w+\s*\.\s*\w+\b(?:%\w+)?")


def statements(function: Function) -> tuple[tuple[bool, Any], ...]:
    """Return the parse trees of a body, none where it is not understood.

    Each comes with whether it decides where to go on (``if exists (...)``); those come last.
    """
    names = tuple(a.name for a in function.arguments if a.name)
    return _parsed(function.language, function.source, names)


@functools.lru_cache(maxsize=1024)
def _parsed(language: str, source: str, names: tuple[str, ...]) -> tuple[tuple[bool, Any], ...]:
    if language == "sql":
        return tuple((False, tree) for tree in _trees(source))
    if language != "plpgsql":
        return ()
    said = sorted(_texts(_block(source, names), branch=False), key=lambda pair: pair[0])
    return tuple((branch, tree) for branch, text in said for tree in _trees(text))


def _trees(text: str) -> tuple[Any, ...]:
    for shape in (text, f"select ({text})"):
        try:
            return tuple(raw.stmt for raw in parse_sql(shape))
        except ParseError:
            continue
    return ()


def plpgsql(source: str, names: tuple[str, ...], returns: str) -> Any:
    """Return the tree of a body of PL/pgSQL; ParseError or ValueError where it is none.

    The parser resolves no types: the header only has to declare the parameters.
    """
    header = "" if returns == "trigger" else ", ".join(f'"{name}" text' for name in names)
    tag = "$harmonia_body$"
    text = f"create function f({header}) returns {returns} language plpgsql as {tag}{source}{tag}"
    return json.loads(parse_plpgsql_json(text))


def _block(source: str, names: tuple[str, ...]) -> Any:
    # What type a variable has is of no use here, and may not be known to the parser.
    known = _DECLARED.sub(lambda m: _QUALIFIED.sub("text", m.group(0)), source)
    for returns in ("setof text", "text", "void", "trigger"):
        try:
            return plpgsql(known, names, returns)
        except (ParseError, ValueError):
            continue
    return None


def _texts(node: Any, *, branch: bool) -> Iterator[tuple[bool, str]]:
    """Yield every text of SQL, and whether it decides a branch."""
    if isinstance(node, list):
        for item in node:
            yield from _texts(item, branch=branch)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "PLpgSQL_expr" and isinstance(value, dict) and "query" in value:
                yield branch, str(value["query"])
            else:
                yield from _texts(value, branch=branch or key == "cond")
