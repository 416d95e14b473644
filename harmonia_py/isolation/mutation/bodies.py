"""Take one check out of a function: a condition, a call that would raise, a term of a WHERE.

Only what has to do with protection is taken out: a term that names a tenant, a user, a role or
the state of a membership, or that asks a helper of the policies. What else a function checks is
its business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pglast
from pglast import ast
from pglast.enums import BoolExprType
from pglast.stream import RawStream

from harmonia_py.isolation.catalog import Function
from harmonia_py.isolation.lab import Lab

__all__ = ["Body", "authority", "bodies", "is_and", "refusals"]

_CHECK = re.compile(
    r"(?<!end )\bif\b((?:(?!\bthen\b|;).)+?)\bthen\s+"
    r"(?=raise\b(?!\s+(?:notice|warning|info|debug|log)\b)|perform\s+[\w.]*fail\w*\s*\(|return\s*(?:false|null|;))",
    re.S | re.I,
)
_CALL = re.compile(
    r"perform\s+[\w.]*(?:require|check|assert|ensure|authorize)\w*\s*\([^;]*\);", re.I
)
_TERM = re.compile(r"\n\s+and\s+[^\n;]+(?=\n|;)", re.I)
#: The first line of a WHERE, and what is commented before it.
_FIRST = re.compile(r"\bwhere\s+(?:--[^\n]*\n\s*)*([^\s;-][^\n;]*)(?=\n|;)", re.I)


@dataclass(frozen=True, slots=True)
class Body:
    """One change of a function: ``start`` to ``end`` of its source becomes ``text``."""

    function: Function
    description: str
    start: int
    end: int
    text: str
    #: Whether it is the first condition of a query: mostly whose rows are wanted.
    first: bool = False

    @property
    def statement(self) -> str:
        """The create or replace statement with the change."""
        return self._with(self.function.source, self)

    def together(self, other: Body) -> str | None:
        """Return the statement with both changes, None when they are in each other's way."""
        first, second = sorted((self, other), key=lambda b: b.start)
        if self.function.key != other.function.key or first.end > second.start:
            return None
        source = self.function.source
        changed = source[: second.start] + second.text + source[second.end :]
        changed = changed[: first.start] + first.text + changed[first.end :]
        return self.function.definition.replace(source, changed)

    def _with(self, source: str, body: Body) -> str:
        changed = source[: body.start] + body.text + source[body.end :]
        return self.function.definition.replace(source, changed)


def authority(lab: Lab) -> frozenset[str]:
    """Return the identifiers that say who asks, whose a row is, and whether a right still holds."""
    model = lab.model
    words = {"uid", "jwt"}
    for table in model.tables.values():
        words |= {*table.path[-1:], *table.users} if table.kind in ("tenant", "user") else set()
    for m in (*model.memberships, *model.grants):
        words |= {w for w in (m.user, m.tenant, m.role, m.deleted, m.expires) if w}
        words |= {f"{m.table}.{m.status}"} if m.status else set()
    if model.tenant_table and model.tenant_status:
        words.add(f"{model.tenant_table}.{model.tenant_status}")
    words |= {lab.catalog.functions[k].name for k in lab.refs.helpers}
    words |= {
        f.name
        for f in lab.catalog.functions.values()
        if not f.exposed and lab.refs.direct(f.source)[1] & lab.refs.helpers
    }
    return frozenset(words - {"id", model.tenant_key})


def bodies(function: Function, words: frozenset[str]) -> Iterator[Body]:
    """Yield each change; ``words`` are those of :func:`authority`."""
    source, definition = function.source, function.definition
    if not definition or source not in definition:
        return
    words = words | _states(function, words)
    if function.language == "sql":
        for number, shorter in enumerate(_queries(source, words), 1):
            yield Body(function, f"without condition {number}", 0, len(source), shorter)
        return
    found = [m for m in _CHECK.finditer(source) if _speaks(m.group(1), words)]
    for number, match in enumerate(found, 1):
        yield Body(function, f"check {number} never true", match.start(1), match.end(1), " false ")
    for number, match in enumerate(_CALL.finditer(source), 1):
        yield Body(
            function, f"call {number} of a check left out", match.start(), match.end(), "null;"
        )
    # A term ends with its line; what goes on in the next one is left alone.
    terms = [
        m
        for m in _TERM.finditer(source)
        if m.group(0).count("(") == m.group(0).count(")") and _speaks(m.group(0), words)
    ]
    for number, match in enumerate(terms, 1):
        # The line stays: what follows must not become part of a comment before it.
        text = "\n" if not match.group(0).rstrip().endswith(" then") else "\n then"
        yield Body(function, f"query without condition {number}", match.start(), match.end(), text)
    first = [
        m
        for m in _FIRST.finditer(source)
        if m.group(1).count("(") == m.group(1).count(")") and _speaks(m.group(1), words)
    ]
    for number, match in enumerate(first, 1):
        what = f"query without its first condition {number}"
        yield Body(function, what, match.start(1), match.end(1), "true", first=True)


def refusals(function: Function) -> list[str]:
    """Return the conditions upon which a function refuses or gives nothing."""
    if function.language != "plpgsql":
        return []
    return [m.group(1) for m in _CHECK.finditer(function.source)]


def _states(function: Function, words: frozenset[str]) -> frozenset[str]:
    """Return ``alias.column`` for each column that says a state of a membership or a tenant.

    A status is a word of many tables: only with its table's alias does it say this.
    """
    out = set()
    for word in words:
        table, _, column = word.rpartition(".")
        if table:
            alias = rf"\b(?:from|join)\s+{re.escape(table)}\s+(?:as\s+)?(\w+)"
            out |= {f"{m}.{column}" for m in re.findall(alias, function.source, re.I)}
    return frozenset(out)


def _speaks(text: str, words: frozenset[str]) -> bool:
    return not words.isdisjoint({*re.findall(r"\w+", text), *re.findall(r"\w+\.\w+", text)})


def _queries(source: str, words: frozenset[str]) -> Iterator[str]:
    """Yield a SQL body once for each such AND term of its WHERE clauses, without that term."""
    try:
        parsed = pglast.parse_sql(source)
    except pglast.parser.ParseError:
        return
    for place, number in _places(parsed, words):
        fresh = pglast.parse_sql(source)
        holders = list(_holders(fresh))
        where: Any = holders[place].whereClause
        if is_and(where):
            kept = tuple(a for i, a in enumerate(where.args) if i != number)
            holders[place].whereClause = (
                kept[0] if len(kept) == 1 else ast.BoolExpr(BoolExprType.AND_EXPR, kept)
            )
        else:
            holders[place].whereClause = None
        yield "\n" + RawStream()(fresh) + "\n"


def _places(parsed: object, words: frozenset[str]) -> Iterator[tuple[int, int]]:
    for place, holder in enumerate(_holders(parsed)):
        where: Any = holder.whereClause
        terms = where.args if is_and(where) else (where,)
        for number, term in enumerate(terms):
            if _speaks(RawStream()(term), words):
                yield place, number


def is_and(where: Any) -> bool:
    """Whether an expression is an AND of several terms."""
    return isinstance(where, ast.BoolExpr) and where.boolop == BoolExprType.AND_EXPR


def _holders(node: object) -> Iterator[ast.SelectStmt]:
    """Walk a parse tree and yield every SELECT with a WHERE clause, in order."""
    if isinstance(node, tuple | list):
        for item in node:
            yield from _holders(item)
    elif isinstance(node, ast.Node):
        if isinstance(node, ast.SelectStmt) and node.whereClause is not None:
            yield node
        for name in node:
            yield from _holders(getattr(node, name))
