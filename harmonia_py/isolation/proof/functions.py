"""Helper functions, inlined: which one a call means, and what it is given."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import Any

import z3
from pglast import parse_sql
from pglast.parser import ParseError

from harmonia_py.isolation.catalog import Function
from harmonia_py.isolation.proof.bodies import Body
from harmonia_py.isolation.proof.expressions import Translator, expression
from harmonia_py.isolation.proof.formulas import YES, all_of, any_of
from harmonia_py.isolation.proof.queries import Queries
from harmonia_py.isolation.proof.scope import NAMELESS, Scope
from harmonia_py.isolation.proof.terms import Alternative, Arguments, Array, Term, World

__all__ = ["Functions"]

_DEPTH = 8
#: Settings of a function that change no value that is in it.
_HARMLESS = re.compile(
    r"search_path|row_security|plan_cache_mode|jit|work_mem|client_min_messages|enable_\w+"
    r"|\w+_timeout|plpgsql\.\w+"
)

#: What a body does not run: remarks, and texts.
_UNREAD = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.S)
_WRITES = re.compile(r"\b(?:insert|update|delete|merge|truncate|execute|copy)\b")


class Functions:
    """Find a function in the catalog and return the rows a call of it may return."""

    translator: Translator
    queries: Queries

    def __init__(self, world: World) -> None:
        """Take the world; the two other halves are set once they exist."""
        self.world = world

    def call(
        self, schema: str, name: str, arguments: Arguments, scope: Scope
    ) -> Term | Array | None:
        """Return the value of a call, or None for a function that is not the project's."""
        found = self._find(schema, name, arguments, scope)
        if len(found) > 1:
            return self.world.unknown(f"{name} has several forms")
        if not found:
            return None
        function = found[0]
        if function.returns_set or function.returns.endswith("[]"):
            return Array(lambda: self._expanded(self._rows(function, arguments, scope)))
        rows = self._rows(function, arguments, scope)
        value = self.translator.first(rows)
        if any(len(row.columns) > 1 for row in rows):
            return replace(value, null=self.world.flag("a row"))  # which is null as a whole
        if function.strict and (missing := self._missing(function, arguments, scope)):
            # Nobody asked the body.
            return replace(value, null=any_of(value.null, *missing))
        return value

    def _missing(self, function: Function, arguments: Arguments, scope: Scope) -> list[Any]:
        """Return when a parameter is null: by the call or by its default, as a set may be too."""
        bound = self._bind(function, arguments, scope)
        given = [value for name, value in bound.items() if name.startswith("$")]
        nulls = [
            self.world.flag("a set is null") if isinstance(value, Array) else value.null
            for value in given
            if not (isinstance(value, Array) and value.listed)
        ]
        return [null for null in nulls if not z3.is_false(null)]

    def returned(
        self, schema: str, name: str, arguments: Arguments, scope: Scope
    ) -> list[Alternative] | None:
        """Return the rows of a set-returning call, or None when it is not one of the project's."""
        found = [f for f in self._find(schema, name, arguments, scope) if f.returns_set]
        if len(found) > 1:
            return [self._opaque(f"{name} has several forms")]
        return self._titled(found[0], self._rows(found[0], arguments, scope)) if found else None

    def _titled(self, function: Function, rows: list[Alternative]) -> list[Alternative]:
        """Name the columns as whoever calls the function does, whatever they are called in it."""
        attributes = self.world.catalog.attributes(function.returns)
        named = None if attributes is None else tuple(name for name, _ in attributes)
        names = function.outputs or named
        return [
            Alternative(row.when, tuple(zip(_titles(names, row), terms, strict=True)))
            for row in rows
            for terms in [[term for _, term in row.columns]]
        ]

    def _find(self, schema: str, name: str, arguments: Arguments, scope: Scope) -> list[Function]:
        """Return the functions that a call may mean; types are not looked at."""
        if not schema and scope.deparsed:
            return []  # one of PostgreSQL's own
        path = scope.path if scope.path is not None else ("public", *self.world.catalog.schemas)
        found = [
            f
            for f in self.world.catalog.functions.values()
            if f.name == name
            and f.schema in ((schema,) if schema else path)
            and _fits(f, arguments)
        ]
        # A function of PostgreSQL's own may be meant as well.
        return found * 2 if not schema and any(f.namesake for f in found) else found

    def _rows(self, function: Function, arguments: Arguments, scope: Scope) -> list[Alternative]:
        key = function.key
        if set_ := [name for name in function.settings if not _HARMLESS.fullmatch(name)]:
            return [self._opaque(f"{key} sets {set_[0]}")]  # and texts and callers are others
        if scope.depth >= _DEPTH or key in scope.visiting:
            return [self._opaque(f"recursion of {key}")]
        inner = replace(
            scope.deeper(),
            sources=(),
            variables=self._bind(function, arguments, scope),
            queries={},
            definer=scope.definer or function.definer,
            visiting=scope.visiting | {key},
            path=_path(function, scope.path),
            deparsed=_is_atomic(function.source),
        )
        self._note(function)
        try:
            if function.language == "sql":
                found = self.queries.rows(_sql_body(function.source), inner)
                return self._returned_as(function, found)
            if function.language == "plpgsql" and function.outputs and not function.returns_set:
                return [self._opaque(f"{key} returns its parameters")]
            if function.language == "plpgsql":
                return self._returned_as(function, Body(self, inner, function).run())
        except (ParseError, KeyError, IndexError, AttributeError) as error:
            return [self._opaque(f"{key}: {type(error).__name__}")]
        return [self._opaque(f"{key} is written in {function.language}")]

    def _note(self, function: Function) -> None:
        """Note that a function, or any that it calls, may set settings, and what it may write."""
        functions = self.world.catalog.functions.values()
        todo, seen = [function], {function.key}
        while todo:
            current = todo.pop()
            sets, written, called = _does(current.source)
            self.world.tampered |= sets
            fired: set[str] = set()
            if current.volatility == "v":  # of others, PostgreSQL refuses it
                self.world.written |= written
                fired = self._fired(written)
            for other in functions:
                name = f"{other.schema}.{other.name}"
                if (other.name in called or name in fired) and other.key not in seen:
                    seen.add(other.key)
                    todo.append(other)

    def _fired(self, written: frozenset[str]) -> set[str]:
        """Return the trigger functions of what may be written."""
        tables = self.world.catalog.tables.values() if written else ()
        return {trigger.function for t in tables if t.name in written for trigger in t.triggers}

    def _expanded(self, rows: list[Alternative]) -> list[Alternative]:
        """Return the elements of arrays that are written out as texts, and all else as it is."""
        found: list[Alternative] = []
        for row in rows:
            text = self.world.text_of(row.columns[0][1]) if len(row.columns) == 1 else ""
            if text.startswith("{"):
                inside = self.translator.listed(text).elements()
                found += [Alternative(all_of(row.when, e.when), e.columns) for e in inside]
            found.append(row)
        return found

    def _bind(
        self, function: Function, arguments: Arguments, scope: Scope
    ) -> dict[str, Term | Array]:
        variables: dict[str, Term | Array] = {}
        count = len(function.arguments)
        for n, argument in enumerate(function.arguments):
            value: Term | Array
            if n < len(arguments.positional):
                value = arguments.positional[n]
                if n == count - 1 and argument.type.endswith("[]") and isinstance(value, Term):
                    # A variadic parameter: what is left of the call, as one set.
                    rest = [
                        Alternative(YES, (("", a),))
                        for a in arguments.positional[n:]
                        if isinstance(a, Term)
                    ]
                    value = Array(lambda rest=rest: self._expanded(rest))  # type: ignore[misc]
            elif argument.name in arguments.named:
                value = arguments.named[argument.name]
            elif argument.default is not None:
                nowhere = scope.deeper(sources=(), variables={}, queries={}, deparsed=True)
                value = self.translator.any(expression(argument.default), nowhere)
            else:
                value = self.world.unknown(f"{function.name} without {argument.name}")
            value = self.taken(value, argument.type)
            variables[f"${n + 1}"] = value
            if argument.name:
                variables[argument.name] = value
        return variables

    def _returned_as(self, function: Function, rows: list[Alternative]) -> list[Alternative]:
        """Return rows as the function's result is, which may hold less or another value."""
        attributes = self.world.catalog.attributes(function.returns) or ()
        kinds = function.output_types or tuple(kind for _, kind in attributes)
        return [
            replace(
                row,
                columns=tuple(
                    (name, self.translator.held(term, kind))
                    for (name, term), kind in zip(
                        row.columns, _kinds(row, function, kinds), strict=True
                    )
                ),
            )
            for row in rows
        ]

    def taken(self, value: Term | Array, kind: str) -> Term | Array:
        """Return what a parameter or a variable of a type holds of a value."""
        return self.translator.taken(value, kind)

    def _opaque(self, reason: str) -> Alternative:
        return Alternative(YES, ((NAMELESS, self.world.unknown(reason)),))


@functools.lru_cache(maxsize=4096)
def _does(source: str) -> tuple[bool, frozenset[str], frozenset[str]]:
    """Return whether a body sets settings, the names in it if it writes, and what it calls."""
    text = source.lower()
    code = _UNREAD.sub(" ", text)
    called = frozenset(re.findall(r"(\w+)\"?\s*\(", code))
    written = frozenset(re.findall(r"\w+", text)) if _WRITES.search(code) else frozenset()
    return "set_config" in text, written, called


def _is_atomic(source: str) -> bool:
    """Whether a body was parsed when it was made: then its names are what they were."""
    return source.lstrip().upper().startswith(("BEGIN ATOMIC", "RETURN "))


def _kinds(row: Alternative, function: Function, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Return what type each column of a row becomes; nothing of those that are not told."""
    if len(row.columns) == 1 and (len(kinds) != 1 or row.columns[0][1].fields is not None):
        return (function.returns.removesuffix("[]"),)
    return kinds if len(kinds) == len(row.columns) else ("",) * len(row.columns)


def _titles(names: tuple[str, ...] | None, row: Alternative) -> list[str]:
    if names is None and len(row.columns) == 1:
        return [""]  # a value: it is called after its alias
    if names is None or len(names) != len(row.columns):
        return [f"{NAMELESS}{n}" for n in range(len(row.columns))]
    return list(names)


def _path(function: Function, around: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for setting in function.config:
        name, _, value = setting.partition("=")
        if name == "search_path":
            return tuple(s.strip().strip("\"'") for s in value.split(",") if s.strip(" \"'"))
    return around


def _fits(function: Function, arguments: Arguments) -> bool:
    given = len(arguments.positional)
    rest = function.arguments[given:]
    if given > len(function.arguments):
        return bool(function.arguments) and function.arguments[-1].type.endswith("[]")
    names = {a.name for a in rest}
    return arguments.named.keys() <= names and all(
        a.has_default or a.name in arguments.named for a in rest
    )


@functools.lru_cache(maxsize=1024)
def _sql_body(source: str) -> Any:
    text = source.strip()
    upper = text.upper()
    if upper.startswith("RETURN "):
        return parse_sql(f"select ({text[7:].rstrip(';')})")[0].stmt
    if upper.startswith("BEGIN ATOMIC"):
        text = text[len("BEGIN ATOMIC") :].rstrip().rstrip(";")
        text = text[: -len("END")] if text.upper().endswith("END") else text
    statements = [raw.stmt for raw in parse_sql(text)]
    # Of several, the last one counts; what others write it may read.
    writes = any(type(statement).__name__ != "SelectStmt" for statement in statements)
    return None if writes else statements[-1]
