"""What the body of a function demands of the rows it looks for, besides whose they are.

``where id = $1 and published and dropped_at is null`` is met by few of the rows that were made for
no purpose. A demand is a value of a column that lets such a condition pass.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pglast import ast as pg_ast
from pglast import enums
from pglast.stream import RawStream

from harmonia_py.isolation.catalog import Catalog, Column, Function, Table
from harmonia_py.isolation.references import References, elements
from harmonia_py.isolation.routines import statements
from harmonia_py.isolation.suggestions import suggestions

__all__ = ["SOMETHING", "Demand", "demands"]

# The nodes are built at run time: their static types say less than nothing.
ast: Any = pg_ast

#: Any value but null.
SOMETHING = object()
#: More than any number that the fixtures make up, and still one of the smallest type.
_PLENTY = 30_000
_NOW = frozenset({"now", "statement_timestamp", "clock_timestamp", "transaction_timestamp"})
_KINDS = enums.A_Expr_Kind
_EQUAL = (_KINDS.AEXPR_OP, _KINDS.AEXPR_IN, _KINDS.AEXPR_OP_ANY, _KINDS.AEXPR_NOT_DISTINCT)


@dataclass(frozen=True, slots=True)
class Demand:
    """``column`` of ``table`` should hold one of ``values``, the likeliest first.

    ``branch``: it is asked for by what decides where the function goes on.
    """

    table: str
    column: str
    values: tuple[Any, ...]
    branch: bool


def demands(catalog: Catalog, refs: References, function: Function) -> list[Demand]:
    """List the demands of a body, in the order of its statements; the first of a column counts."""
    found: dict[tuple[str, str], Demand] = {}
    for branch, tree in statements(function):
        for query in _queries(tree):
            for table, column, values in _Query(catalog, refs, query).demands():
                found.setdefault((table, column), Demand(table, column, tuple(values), branch))
    return list(found.values())


def _queries(node: Any) -> Iterator[Any]:
    if isinstance(node, tuple | list):
        for item in node:
            yield from _queries(item)
    elif isinstance(node, ast.Node):
        if isinstance(node, ast.SelectStmt | ast.UpdateStmt | ast.DeleteStmt):
            yield node
        for name in node:
            yield from _queries(getattr(node, name))


class _Query:
    """The conditions of one query, read as demands of the tables it names."""

    def __init__(self, catalog: Catalog, refs: References, query: Any) -> None:
        self.catalog, self.refs = catalog, refs
        self.tables: dict[str, Table] = {}
        self.terms: list[Any] = []
        for name in ("relation", "fromClause", "usingClause"):
            self._from(getattr(query, name, None))
        if (where := getattr(query, "whereClause", None)) is not None:
            self.terms += _ands(where)

    def _from(self, node: Any) -> None:
        for item in node if isinstance(node, tuple | list) else (node,):
            if isinstance(item, ast.RangeVar):
                key = f"{item.schemaname}.{item.relname}"
                keys = [key] if item.schemaname else [
                    f"{schema}.{item.relname}" for schema in self.catalog.schemas
                ]  # fmt: skip
                table = next((t for k in keys if (t := self.catalog.table(k))), None)
                if table is not None:
                    self.tables[item.alias.aliasname if item.alias else item.relname] = table
            elif isinstance(item, ast.JoinExpr):
                self._from((item.larg, item.rarg))
                self.terms += _ands(item.quals) if item.quals is not None else []

    def demands(self) -> Iterator[tuple[str, str, list[Any]]]:
        """Yield table, column and values; nothing of rows that are the caller's own."""
        own = {alias for term in self.terms for alias in self._callers(term)}
        for term in self.terms:
            for alias, column, values in self._visit(term, wanted=True):
                if alias not in own and values:
                    yield self.tables[alias].key, column.name, values

    def _callers(self, term: Any) -> Iterator[str]:
        """Name the tables whose rows a term ties to who is calling."""
        if isinstance(term, ast.BoolExpr):
            return  # a way around it, perhaps
        if "auth.uid()" in self.refs.plain(RawStream()(term)):
            for node in _columns(term):
                if (place := self._column(node)) is not None:
                    yield place[0]

    def _column(self, node: Any) -> tuple[str, Column] | None:
        """Return the table and the column that an expression is about."""
        while not isinstance(node, ast.ColumnRef):
            if isinstance(node, ast.TypeCast):
                node = node.arg
            elif isinstance(node, ast.CoalesceExpr) or _spells(node):
                node = node.args[0]
            else:
                return None
        names = [f.sval for f in node.fields if isinstance(f, ast.String)]
        if not names or len(names) > 2:
            return None
        found = [
            (alias, table.column(names[-1]))
            for alias, table in self.tables.items()
            if table.has(names[-1]) and names[0] in (alias, names[-1])
        ]
        return found[0] if found and (len(names) == 2 or len(found) == 1) else None

    def _visit(self, term: Any, *, wanted: bool) -> Iterator[tuple[str, Column, list[Any]]]:
        if isinstance(term, ast.BoolExpr):
            turned = term.boolop == enums.BoolExprType.NOT_EXPR
            for part in term.args:
                yield from self._visit(part, wanted=wanted != turned)
        elif isinstance(term, ast.NullTest | ast.BooleanTest):
            if (place := self._column(term.arg)) is not None:
                yield (*place, _tested(term, wanted=wanted))
        elif isinstance(term, ast.ColumnRef | ast.CoalesceExpr):
            if (place := self._column(term)) is not None and place[1].category == "B":
                yield (*place, [wanted])
        elif isinstance(term, ast.A_Expr):
            yield from self._compared(term, wanted=wanted)

    def _compared(self, term: Any, *, wanted: bool) -> Iterator[tuple[str, Column, list[Any]]]:
        operator = term.name[-1].sval
        sides = [
            (term.lexpr, term.rexpr, operator),
            (term.rexpr, term.lexpr, _TURNED.get(operator)),
        ]
        for side, other, said in sides:
            place = None if isinstance(side, tuple) else self._column(side)
            if place is not None and said is not None:
                values = _values(term, said, place[1], other, wanted=wanted)
                if not values and self._asks_for_more(place[1], said, other, wanted=wanted):
                    values = [_PLENTY]
                yield (*place, values)
                return

    def _asks_for_more(self, column: Column, operator: str, other: Any, *, wanted: bool) -> bool:
        """Whether a number must be as large as an argument, or as what was worked out before."""
        more = (operator in (">", ">=")) if wanted else (operator in ("<", "<="))
        free = isinstance(other, ast.ColumnRef | ast.ParamRef) and self._column(other) is None
        return column.category == "N" and more and free


def _spells(node: Any) -> bool:
    """Whether a call says the same as its argument, spelled otherwise."""
    return isinstance(node, ast.FuncCall) and bool(node.args) and node.funcname[-1].sval in _SPELL


_SPELL = frozenset({"lower", "upper", "btrim", "ltrim", "rtrim"})
_TURNED = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _ands(node: Any) -> list[Any]:
    if isinstance(node, ast.BoolExpr) and node.boolop == enums.BoolExprType.AND_EXPR:
        return [term for part in node.args for term in _ands(part)]
    return [node]


def _columns(node: Any) -> Iterator[Any]:
    if isinstance(node, tuple | list):
        for item in node:
            yield from _columns(item)
    elif isinstance(node, ast.ColumnRef):
        yield node
    elif isinstance(node, ast.Node):
        for name in node:
            yield from _columns(getattr(node, name))


def _tested(term: Any, *, wanted: bool) -> list[Any]:
    if isinstance(term, ast.NullTest):
        null = term.nulltesttype == enums.NullTestType.IS_NULL
        return [None] if null == wanted else [SOMETHING]
    kind = enums.BoolTestType
    yes = term.booltesttype in (kind.IS_TRUE, kind.IS_NOT_FALSE)
    return [yes == wanted]


def _values(term: Any, operator: str, column: Column, other: Any, *, wanted: bool) -> list[Any]:
    constants = _constants(other)
    if term.kind in _EQUAL and operator == "=" and wanted:
        return [_typed(column, c) for c in constants]
    if term.kind == _KINDS.AEXPR_DISTINCT and not wanted:
        return [_typed(column, c) for c in constants]
    if operator in ("<", "<=", ">", ">="):
        lower = (operator[0] == "<") == wanted
        if column.category == "D":
            return [_moment(past=lower)] if _is_time(other) else []
        numbers = [float(c) for c in constants if str(c).lstrip("-").replace(".", "", 1).isdigit()]
        return [int(n) - 1 if lower else int(n) + 1 for n in numbers]
    if not constants:
        return []
    # A pattern, or anything but what is named.
    found = suggestions(column, constants)
    equal = operator in ("=", "<>", "!=")
    return [v for v in found if str(v) not in constants] if equal else found


def _constants(node: Any) -> list[str]:
    """Return the constants of the other side: one, those of a list, those of an array."""
    if isinstance(node, tuple | list):
        return [c for item in node for c in _constants(item)]
    if isinstance(node, ast.TypeCast):
        found = _constants(node.arg)
        if node.typeName.arrayBounds and len(found) == 1:
            return elements(found[0])
        return found
    if isinstance(node, ast.A_ArrayExpr):
        return _constants(node.elements or ())
    if isinstance(node, ast.A_Const) and not node.isnull:
        value = node.val
        held = next((getattr(value, n) for n in value if getattr(value, n) is not None), None)
        return [str(held).lower() if isinstance(held, bool) else str(held)]
    return []


def _typed(column: Column, constant: str) -> Any:
    return constant == "true" if column.category == "B" else constant


def _is_time(node: Any) -> bool:
    text = RawStream()(node).lower() if isinstance(node, ast.Node) else ""
    return "current_" in text or any(f"{name}()" in text for name in _NOW)


def _moment(*, past: bool) -> str:
    away = dt.timedelta(days=2 if past else -2)
    return (dt.datetime.now(dt.UTC) - away).isoformat()
