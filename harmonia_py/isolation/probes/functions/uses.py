"""Where what a function is given ends up: the columns it is compared with, or stored in.

The text of the function is read, and that of the functions it hands the value on to: a thin
wrapper says nothing itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from harmonia_py.isolation.catalog import Column, Function, Table
from harmonia_py.isolation.lab import Lab

__all__ = ["Use", "handed_on", "items", "uses"]

_DEEP = 3
_INSERTED = re.compile(
    r'insert\s+into\s+(?:"?(\w+)"?\s*\.\s*)?"?(\w+)"?(?:\s+as\s+\w+)?\s*\(([^()]*)\)\s*values\s*\(',
    re.I,
)
_NAMED = re.compile(
    r'\b(?:from|join|update|insert\s+into)\s+(?:only\s+)?(?:"?(\w+)"?\s*\.\s*)?"?(\w+)"?'
    r'(?:\s+(?:as\s+)?(?!(?:where|on|set|join|left|inner|cross|using|group|order|limit|for)\b)"?(\w+)"?)?',
    re.I,
)
_WITHIN = r"(?:[\w.]+\s*\(\s*)*"
_CALL = re.compile(r'(?:"?(\w+)"?\s*\.\s*)?"?(\w+)"?\s*\(')


@dataclass(frozen=True, slots=True)
class Use:
    """One column that the value meets; ``stored`` when it becomes part of a new row."""

    table: Table
    column: Column
    stored: bool


def uses(lab: Lab, function: Function, name: str) -> list[Use]:
    """List the uses of the argument called ``name``, the function's own first."""
    key = ("uses", function.key, name)
    if key not in lab.memo:
        found = list(_found(lab, function, name, set(), _DEEP)) if name else []
        lab.memo[key] = list(dict.fromkeys(found))
    return list(lab.memo[key])


def handed_on(lab: Lab, function: Function, name: str) -> list[tuple[Function, str]]:
    """Return the function and those it hands the argument on to, with what each calls it."""
    out = [(function, name)]
    for place, (found, called) in enumerate(out):
        if place < 2 * _DEEP:
            out += [pair for pair in _handed(lab, found, called) if pair not in out]
    return out


def _found(
    lab: Lab, function: Function, name: str, seen: set[tuple[str, str]], deep: int
) -> Iterator[Use]:
    if (function.key, name) in seen:
        return
    seen.add((function.key, name))
    text = function.source
    yield from _compared(lab, text, name)
    yield from _stored(lab, text, name)
    if deep:
        for callee, parameter in _handed(lab, function, name):
            yield from _found(lab, callee, parameter, seen, deep - 1)


def _compared(lab: Lab, text: str, argument: str) -> Iterator[Use]:
    name = re.escape(argument)
    # Only whole words, none of them given up again: else each is tried from each of its letters.
    column = r'(?<!\w)(?:"?(\w++)"?\s*\.\s*)?"?(\w++)"?'
    matches = [
        # Also within calls: lower(column) = lower(value), coalesce(value, what is there).
        *re.finditer(
            rf'{column}(?:::\w+)?\s*\)*\s*(?:=|\bi?like\b)\s*{_WITHIN}(?:\w+\.)?"?{name}"?(?!\w)',
            text,
            re.I,
        ),
        *re.finditer(rf'(?<![\w."]){name}(?:::\w+)?\s*\)*\s*=\s*{_WITHIN}{column}', text, re.I),
    ]
    # Of times, also those between which a row must lie.
    limits = [
        *re.finditer(rf'{column}(?:::\w+)?\s*[<>]=?\s*(?:\w+\.)?"?{name}"?(?!\w)', text, re.I),
        *re.finditer(
            rf'{column}(?:::\w+)?\s+between\s+(?:\S+\s+and\s+)?(?:\w+\.)?"?{name}"?(?!\w)',
            text,
            re.I,
        ),
    ]
    for match in (*matches, *limits):
        table = _table_at(lab, text, match.start(), match.group(1))
        if table is not None and table.has(match.group(2)):
            found = table.column(match.group(2))
            if match in matches or found.category == "D":
                yield Use(table, found, stored=False)


def _stored(lab: Lab, text: str, name: str) -> Iterator[Use]:
    """Find the columns that an insert fills with the argument, by its place in the list."""
    said = re.compile(rf'(?<![\w"]){re.escape(name)}(?!\w)', re.I)
    for schema, table, filled in _inserted(text):
        found = _known(lab, schema, table)
        for column, given in filled:
            if found is not None and found.has(column) and said.search(given):
                yield Use(found, found.column(column), stored=True)


@lru_cache(maxsize=1024)
def _inserted(text: str) -> tuple[tuple[str | None, str, tuple[tuple[str, str], ...]], ...]:
    """Return the inserts of a text: schema, table, and what each column is given."""
    found = []
    for match in _INSERTED.finditer(text):
        schema, table, names = match.groups()
        columns = [n.strip().strip('"') for n in names.split(",")]
        given = items(text, match.end())
        found.append((schema, table, tuple(zip(columns, given, strict=False))))
    return tuple(found)


def _handed(lab: Lab, function: Function, name: str) -> Iterator[tuple[Function, str]]:
    """Find the functions that get the argument as it is, and what they call it."""
    for callees, given in _calls(lab, function):
        for place, item in enumerate(given):
            said, _, value = item.rpartition("=>")
            bare = value.strip().removeprefix(f"{function.name}.").strip('"')
            for callee in callees if bare == name else ():
                if said.strip():
                    parameter = said.strip().strip('"')
                elif place < len(callee.arguments) == len(given):
                    parameter = callee.arguments[place].name
                else:
                    continue
                if parameter:
                    yield callee, parameter


def _calls(lab: Lab, function: Function) -> list[tuple[list[Function], list[str]]]:
    """List the calls of the project's functions in a text: who may be meant, and what is given."""
    key = ("calls", function.key)
    if key not in lab.memo:
        found = []
        for match in _CALL.finditer(function.source):
            schema, name = match.groups()
            callees = [f for f in _functions(lab).get(name, ()) if schema in (None, f.schema)]
            if callees:
                given = [_bare(item) for item in items(function.source, match.end())]
                found.append((callees, given))
        lab.memo[key] = found
    calls: list[tuple[list[Function], list[str]]] = lab.memo[key]
    return calls


def _functions(lab: Lab) -> dict[str, list[Function]]:
    key = "functions by name"
    if key not in lab.memo:
        by_name: dict[str, list[Function]] = {}
        for function in lab.catalog.functions.values():
            by_name.setdefault(function.name, []).append(function)
        lab.memo[key] = by_name
    named: dict[str, list[Function]] = lab.memo[key]
    return named


def _bare(text: str) -> str:
    return re.sub(r"::\s*[\w.\[\]]+\s*$", "", text.strip())


def _known(lab: Lab, schema: str | None, name: str) -> Table | None:
    keys = [f"{schema}.{name}"] if schema else [f"{s}.{name}" for s in lab.catalog.schemas]
    return next((t for k in keys if (t := lab.catalog.table(k))), None)


def items(text: str, start: int) -> list[str]:
    """Split what follows an opening parenthesis at its own commas, up to the closing one."""
    depth, quoted, out = 0, False, []
    for position in range(start, len(text)):
        char = text[position]
        quoted ^= char == "'"
        if quoted:
            continue
        if (char == "," or char == ")") and depth == 0:
            out.append(text[start:position])
            start = position + 1
            if char == ")":
                break
        depth += (char == "(") - (char == ")")
    return out


@lru_cache(maxsize=1024)
def _named(text: str) -> tuple[tuple[int, str | None, str, str | None], ...]:
    """Return where a text names which tables: the place, the schema, the name, the alias."""
    return tuple((m.start(), m[1], m[2], m[3]) for m in _NAMED.finditer(text))


def _table_at(lab: Lab, text: str, position: int, alias: str | None) -> Table | None:
    """Return the table that a column at ``position`` belongs to, as a reader would guess."""
    found: Table | None = None
    for start, schema, name, said in _named(text):
        if not alias and start > position and found is not None:
            break
        table = _known(lab, schema, name)
        if table is not None and (
            not alias or alias.lower() in (name.lower(), (said or "").lower())
        ):
            found = table
    return found
