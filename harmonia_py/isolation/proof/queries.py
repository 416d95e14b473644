"""Queries as the rows they may return: one fresh tuple for each table they read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import z3
from pglast import ast as pg_ast
from pglast import enums, parse_sql

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.proof.aggregates import (
    PICKS,
    aggregates,
    groups_nothing,
    is_builtin,
    may_be_empty,
)
from harmonia_py.isolation.proof.expressions import Translator
from harmonia_py.isolation.proof.formulas import NO, YES, all_of, any_of, negated
from harmonia_py.isolation.proof.scope import NAMELESS, Scope, as_source, columns_of, starred
from harmonia_py.isolation.proof.terms import (
    Alternative,
    Arguments,
    Array,
    Row,
    Term,
    World,
    common,
    truth,
)

# The nodes are built at run time: their static types say less than nothing.
ast: Any = pg_ast

__all__ = ["Queries"]

_DEPTH = 8
_COMBINATIONS = 64
_Sources = tuple[tuple[str, Any], ...]  # by name
_From = tuple[Any, _Sources]  # condition, sources
_Combined = tuple[tuple[Any, ...], _Sources]  # conditions, sources
_Place = tuple[Scope, _Sources, Any]  # names, sources, condition

#: Functions of documents that return a set of values, and what they call those.
_OF_DOCUMENTS = {
    "jsonb_array_elements_text": "value",
    "jsonb_array_elements": "value",
    "json_array_elements_text": "value",
    "json_array_elements": "value",
    "jsonb_object_keys": "",
    "json_object_keys": "",
}
#: Others whose values are called as the alias says.
_SCALAR = frozenset(
    "generate_series generate_subscripts regexp_split_to_table string_to_table"
    " jsonb_path_query".split()
)
_CALLED = {"CoalesceExpr": "coalesce", "A_ArrayExpr": "array", "RowExpr": "row"}


class Queries:
    """Evaluate SELECT trees. ``visible`` adds the policies that the caller's reads obey."""

    def __init__(
        self,
        world: World,
        translator: Translator,
        visible: Callable[[Row, Scope], Any],
        returned: Callable[[str, str, Arguments, Scope], list[Alternative] | None],
    ) -> None:
        """Take the world, the expression half, and how functions return rows."""
        self.world, self.translator = world, translator
        self.visible, self.returned = visible, returned

    def rows(self, select: Any, scope: Scope) -> list[Alternative]:
        """Return the rows a query may return, each under its condition."""
        if scope.depth > _DEPTH or not isinstance(select, ast.SelectStmt):
            return [self._opaque("a query that writes, or is nested too deeply")]
        ctes = select.withClause.ctes if select.withClause is not None else ()
        if any(not isinstance(cte.ctequery, ast.SelectStmt) for cte in ctes):
            return [self._opaque("a query that writes")]
        found = self._found(select, self._with(select, scope))
        if may_be_empty(select):
            return [replace(row, when=all_of(row.when, self.world.flag("left"))) for row in found]
        return found

    def _found(self, select: Any, scope: Scope) -> list[Alternative]:
        if select.op != enums.SetOperation.SETOP_NONE:
            left = self.rows(select.larg, scope)
            both = self._as_one(left + _called_alike(self.rows(select.rarg, scope), left))
            # INTERSECT and EXCEPT return only rows of the left side.
            return both if select.op == enums.SetOperation.SETOP_UNION else both[: len(left)]
        if select.valuesLists:
            return self._as_one([self._value(values, scope) for values in select.valuesLists])
        return list(self._plain(select, scope))

    def _value(self, values: Sequence[Any], scope: Scope) -> Alternative:
        terms = [self.translator.term(value, scope) for value in values]
        return Alternative(YES, tuple((f"column{n}", t) for n, t in enumerate(terms, start=1)))

    def _as_one(self, rows: list[Alternative]) -> list[Alternative]:
        """Return rows of several sources with one type for each column."""
        if len({len(row.columns) for row in rows}) != 1:
            return rows
        columns = [
            self.translator.as_one([term for _, term in column])
            for column in zip(*(row.columns for row in rows), strict=True)
        ]
        return [
            replace(
                row,
                columns=tuple(
                    (name, column[place])
                    for (name, _), column in zip(row.columns, columns, strict=True)
                ),
            )
            for place, row in enumerate(rows)
        ]

    def text(self, query: str, scope: Scope) -> list[Alternative]:
        """Return the rows of a query given as text."""
        return self.rows(_parsed(query), scope)

    def _opaque(self, reason: str) -> Alternative:
        return Alternative(YES, ((NAMELESS, self.world.unknown(reason)),))

    def _with(self, select: Any, scope: Scope) -> Scope:
        if select.withClause is None:
            return scope
        queries = dict(scope.queries)
        for cte in select.withClause.ctes:
            # It sees what stands before it, and not what stands where it is read.
            seen = replace(scope, queries=dict(queries))
            queries[cte.ctename] = None if select.withClause.recursive else (cte, seen)
        return replace(scope, queries=queries)

    def _plain(self, select: Any, scope: Scope) -> Iterator[Alternative]:
        places = list(self._places(select, scope))
        if select.groupClause is None and (
            (calls := aggregates(select, self.world.catalog.aggregates))
            or select.havingClause is not None
        ):
            for call in calls:
                if isinstance(call, ast.FuncCall):
                    self.translator.give(call, self._aggregate(call, places))
            # One row, whether there is anything to aggregate or not.
            when = self.world.flag("having") if select.havingClause is not None else YES
            yield from self._targets(select, scope, (), when)
            return
        for inner, sources, when in places:
            yield from self._targets(select, inner, sources, when)
        if groups_nothing(select):
            width = len(select.targetList or ())
            what = self.world.unknown("a total over all groups")
            yield Alternative(YES, tuple((f"{NAMELESS}{n}", what) for n in range(width)))

    def _places(self, select: Any, scope: Scope) -> Iterator[_Place]:
        """Yield each combination of rows that FROM may give, and when WHERE lets it pass."""
        items = select.fromClause or ()
        for number, (given, sources) in enumerate(self._combined(items, scope)):
            if number == _COMBINATIONS:
                self.world.unknown("a query over too many combinations")
                # What is left out may be anything, and what WHERE says of it is not known.
                anything: _Sources = tuple((name, {}) for name, _ in sources)
                yield scope.inner(anything), anything, YES
                return
            inner = scope.inner(sources)
            conditions = list(given)
            if select.whereClause is not None:
                conditions.append(truth(self.translator.boolean(select.whereClause, inner)))
            when = all_of(*conditions)
            # What is read from may be empty, even where nothing is asked of its rows.
            yield inner, sources, self.world.flag("a row") if items and when is YES else when

    def _combined(self, items: Sequence[Any], scope: Scope) -> Iterator[_Combined]:
        """Yield the conditions and the named sources of each combination of rows of FROM."""
        # What does not look at its siblings is the same beside each of them.
        alone = {n: list(self._item(i, scope)) for n, i in enumerate(items) if not _lateral(i)}

        def further(number: int, conditions: tuple[Any, ...], sources: _Sources) -> Any:
            if number == len(items):
                yield conditions, sources
                return
            rows = alone.get(number)
            for when, named in self._item(items[number], scope, sources) if rows is None else rows:
                yield from further(number + 1, (*conditions, when), sources + named)

        yield from further(0, (), ())

    def _aggregate(self, call: Any, places: list[_Place]) -> Term | Array:
        """Return what an aggregate may give, over no row as well as over some."""
        name = call.funcname[-1].sval
        if name in self.world.catalog.aggregates or not is_builtin(call):
            return self.world.fresh(name, exact=False)  # which may begin with anything
        taken = [
            (inner, when)
            if call.agg_filter is None
            else (inner, all_of(when, truth(self.translator.boolean(call.agg_filter, inner))))
            for inner, _, when in places
        ]
        some = any_of(*(when for _, when in taken)) if taken else NO
        if name == "array_agg" and call.args:
            return Array(
                lambda: [
                    Alternative(when, (("", self.translator.term(call.args[0], inner)),))
                    for inner, when in taken
                ]
            )
        if name == "count":
            count = replace(self.world.fresh("count", never_null=True), kind="int8")
            none, one = self.world.literal("0"), self.world.literal("1")
            less = [
                self.world.apply("<", pair, boolean=True).value
                for pair in ((none, count), (one, count), (count, one))
            ]
            nothing = count.value == none.value
            self.world.facts += [
                any_of(nothing, some),
                z3.Implies(nothing, all_of(negated(less[0]), negated(less[1]), less[2])),
            ]
            return count
        if name not in PICKS or not call.args:
            result = self.world.fresh(name, exact=False)
            self.world.facts.append(any_of(result.null, some))
            return result
        values = [(self.translator.term(call.args[0], inner), when) for inner, when in taken]
        boolean = bool(values) and all(value.is_bool for value, _ in values)
        result = self.world.one_of(name, (value for value, _ in values), boolean=boolean)
        picked = []
        for value, when in values:
            given = value if boolean else self.world.as_value(value)
            picked.append(all_of(when, self.world.is_one(result, given), negated(given.null)))
        self.world.facts.append(any_of(result.null, *picked))
        return result

    def _targets(
        self, select: Any, scope: Scope, sources: tuple[tuple[str, Any], ...], when: Any
    ) -> Iterator[Alternative]:
        columns: list[tuple[str, Term]] = []
        for target in select.targetList or ():
            if isinstance(target.val, ast.ColumnRef) and isinstance(
                target.val.fields[-1], ast.A_Star
            ):
                wanted = [f.sval for f in target.val.fields[:-1]]
                found = starred(sources, wanted[-1] if wanted else None)
                columns += found or [(NAMELESS, self.world.unknown("columns that * stands for"))]
                continue
            name = target.name or _name(target.val)
            call = target.val
            while isinstance(call, ast.TypeCast):
                call = call.arg
            several = None
            if isinstance(call, ast.FuncCall) and self.translator.given(call) is None:
                several = self._set(call, scope)
            if several is not None and len(select.targetList) == 1:
                for row in several:
                    yield Alternative(
                        all_of(when, row.when), tuple((name, t) for _, t in row.columns[:1])
                    )
                return
            value = self.translator.any(target.val, scope)
            if isinstance(value, Array) and len(select.targetList) == 1:
                # array_agg and the like: the elements stand for the array, which may have none.
                for row in value.elements():
                    only = tuple((name, term) for _, term in row.columns[:1])
                    yield Alternative(all_of(when, row.when), only)
                yield Alternative(when, ((name, self.world.null),))
                return
            if isinstance(value, Array):
                value = self.world.fresh(name or "array", exact=False)  # nothing is known of it
            columns.append((name, value))
        yield Alternative(when, tuple(columns))

    def _set(self, call: Any, scope: Scope) -> list[Alternative] | None:
        names = [f.sval for f in call.funcname]
        arguments = self.translator.arguments(call, scope)
        if is_builtin(call):
            if names[-1] == "unnest" and len(arguments.positional) == 1:
                return self._unnest(arguments.positional[0])
            if names[-1] in _OF_DOCUMENTS:
                document = next(iter(arguments.positional), None)
                if isinstance(document, Term) and document.path:
                    found = self.translator.element(document)
                else:
                    found = self._opaque("elements of a JSON array")
                return [Alternative(found.when, ((_OF_DOCUMENTS[names[-1]], found.columns[0][1]),))]
            if names[-1] in _SCALAR:
                return [Alternative(YES, (("", self.world.unknown(names[-1])),))]
        schema = names[-2] if len(names) > 1 else ""
        return self.returned(schema, names[-1], arguments, scope)

    def _unnest(self, argument: Term | Array) -> list[Alternative]:
        if isinstance(argument, Array):
            return [
                # Of a composite value, each field is a column.
                Alternative(e.when, ((NAMELESS if term.fields else "", term),))
                for e in argument.elements()
                for _, term in e.columns[:1]
            ]
        if argument.path:
            return [self.translator.element(argument)]
        return [self._opaque("elements of an array")]

    # FROM ------------------------------------------------------------------------------------

    def _item(self, item: Any, scope: Scope, siblings: _Sources = ()) -> Iterator[_From]:
        """Yield the rows of an item; only what is lateral, as functions are, sees its siblings."""
        beside = scope.inner(siblings) if _lateral(item) else scope
        if isinstance(item, ast.RangeVar):
            yield from self._relation(item, scope)
        elif isinstance(item, ast.JoinExpr):
            yield from self._join(item, scope, siblings)
        elif isinstance(item, ast.RangeSubselect):
            alias, names = _alias(item)
            for row in self.rows(item.subquery, beside):
                yield row.when, ((alias, as_source(row, names)),)
        elif isinstance(item, ast.RangeFunction):
            yield from self._called(item, beside)
        elif isinstance(item, ast.RangeTableSample):
            yield from self._item(item.relation, scope, siblings)
        else:
            self.world.unknown(f"FROM item {type(item).__name__}")
            yield YES, ((_alias(item)[0], {}),)

    def _called(self, item: Any, scope: Scope) -> Iterator[_From]:
        """Yield the rows of functions in FROM; where their columns are not known, no name is."""
        alias, names = _alias(item)
        call = item.functions[0][0]
        rows = None
        if len(item.functions) == 1 and isinstance(call, ast.FuncCall) and not item.coldeflist:
            rows = self._set(call, scope)
        if rows is None:
            rows = [self._opaque("function in FROM")]
        for row in rows:
            columns = row.columns
            if item.ordinality:
                columns += (("ordinality", self.world.fresh("ordinality", never_null=True)),)
            if any(name.startswith(NAMELESS) for name, _ in columns):
                given: dict[str, Any] = {n: self.world.fresh(n, exact=False) for n in names}
                yield row.when, ((alias, {**given, **as_source(row)}),)
                continue
            if len(row.columns) == 1 and not columns[0][0]:
                columns = ((alias, columns[0][1]), *columns[1:])
            yield row.when, ((alias, as_source(Alternative(row.when, columns), names)),)

    def _join(self, item: Any, scope: Scope, siblings: _Sources) -> Iterator[_From]:
        kinds = enums.JoinType
        if item.alias is not None:
            # It hides what is inside, and may call the columns otherwise.
            self.world.unknown("a join with a name")
            yield YES, ((item.alias.aliasname, {}),)
            return
        lefts = list(self._item(item.larg, scope, siblings))
        for left_when, left in lefts:
            rights = list(self._item(item.rarg, scope, siblings + left))
            for right_when, right in rights:
                both = left + right
                on = [YES]
                if item.quals is not None:
                    on.append(truth(self.translator.boolean(item.quals, scope.inner(both))))
                on += self._using(item, left, right, scope)
                one = self._merged(item, left, right, scope)
                yield all_of(left_when, right_when, *on), one + both
                # Without a partner the other side is NULL. Whether there is one is left open.
                if item.jointype in (kinds.JOIN_LEFT, kinds.JOIN_FULL):
                    none = self._nothing(right)
                    yield left_when, self._merged(item, left, none, scope) + left + none
                if item.jointype in (kinds.JOIN_RIGHT, kinds.JOIN_FULL):
                    none = self._nothing(left)
                    yield right_when, self._merged(item, none, right, scope) + none + right
            if not rights and item.jointype in (kinds.JOIN_LEFT, kinds.JOIN_FULL):
                yield left_when, (*left, ("", {}))
        if not lefts and item.jointype in (kinds.JOIN_RIGHT, kinds.JOIN_FULL):
            yield YES, (("", {}),)

    def _using(self, item: Any, left: _Sources, right: _Sources, scope: Scope) -> list[Any]:
        on = []
        for column in item.usingClause or ():
            a, b = (scope.inner(side).find([column.sval]) for side in (left, right))
            if isinstance(a, Term) and isinstance(b, Term):
                on.append(truth(self.translator.equal(a, b)))
        return on

    def _merged(self, item: Any, left: _Sources, right: _Sources, scope: Scope) -> _Sources:
        """Return the columns that USING makes one of two, before those of either side."""
        if item.isNatural:
            return (("", {}),)  # which those are is not looked up
        found: dict[str, Any] = {}
        for column in item.usingClause or ():
            a, b = (scope.inner(side).find([column.sval]) for side in (left, right))
            if isinstance(a, Term) and isinstance(b, Term) and a.is_bool == b.is_bool:
                a, b = self.translator.as_one([a, b])
                value = z3.If(a.null, b.value, a.value)
                null = all_of(a.null, b.null)
                found[column.sval] = Term(value, null, kind=common([a, b]))
            else:
                found[column.sval] = self.world.unknown("a column of two")
        return (("", found),) if found else ()

    def _nothing(self, sources: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
        null = self.world.null
        return tuple(
            (alias, {n: replace(null, kind=t.kind) for n, t in columns_of(source)})
            for alias, source in sources
        )

    def _relation(self, item: Any, scope: Scope) -> Iterator[_From]:
        alias = item.alias.aliasname if item.alias else item.relname
        names = _alias(item)[1]
        if not item.schemaname and item.relname in scope.queries:
            found: Any = scope.queries[item.relname]
            if found is None:
                yield YES, ((alias, {}),)
                return
            cte, seen = found
            inner = tuple(n.sval for n in cte.aliascolnames or ())
            for row in self.rows(cte.ctequery, seen):
                yield row.when, ((alias, _renamed(as_source(row, inner), names)),)
            return
        table = self._table(item.schemaname, item.relname, scope)
        if table is None:
            self.world.unknown(f"relation {item.relname}")
            yield YES, ((alias, {}),)
        elif table.kind == "matview":
            self.world.unknown("what a view held when it was made anew")
            yield YES, ((alias, {}),)
        elif table.kind == "view" and table.definition:
            inside = replace(
                scope.deeper(),
                sources=(),
                variables={},
                queries={},
                deparsed=True,
                definer=scope.definer or not table.security_invoker,
            )
            inner = tuple(c.name for c in table.columns)
            for row in self.text(table.definition.rstrip().rstrip(";"), inside):
                yield row.when, ((alias, _renamed(as_source(row, inner), names)),)
        else:
            row_ = self.world.row(table)
            source = _renamed(dict(columns_of(row_)), names) if names else row_
            yield self.visible(row_, scope), ((alias, source),)

    def _table(self, schema: str | None, name: str, scope: Scope) -> Table | None:
        if schema:
            return self.world.catalog.table(f"{schema}.{name}")
        if scope.deparsed:
            return None
        known = {**self.world.catalog.platform, **self.world.catalog.tables}
        path = scope.path if scope.path is not None else ("public", *self.world.catalog.schemas)
        return next((known[key] for s in path if (key := f"{s}.{name}") in known), None)


def _lateral(item: Any) -> bool:
    """Whether an item of FROM, or a part of it, sees what stands beside it."""
    if isinstance(item, ast.JoinExpr):
        return _lateral(item.larg) or _lateral(item.rarg)
    return isinstance(item, ast.RangeFunction) or bool(getattr(item, "lateral", False))


def _called_alike(rows: list[Alternative], first: list[Alternative]) -> list[Alternative]:
    """Return rows of a later part of a UNION, which has the names that the first part gives."""
    names = [name for name, _ in first[0].columns] if first else []
    return [
        replace(
            row,
            columns=tuple(
                (names[n] if len(names) == len(row.columns) else f"{NAMELESS}{n}", term)
                for n, (_, term) in enumerate(row.columns)
            ),
        )
        for row in rows
    ]


def _renamed(source: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return a relation's columns, of which an alias names the first anew."""
    return dict(zip([*names, *list(source)[len(names) :]], source.values(), strict=True))


def _alias(item: Any) -> tuple[str, tuple[str, ...]]:
    if getattr(item, "alias", None) is None:
        call = item.functions[0][0] if isinstance(item, ast.RangeFunction) else None
        return (_name(call) if call is not None else ""), ()
    return item.alias.aliasname, tuple(n.sval for n in item.alias.colnames or ())


def _name(node: Any) -> str:
    """Return how PostgreSQL calls a column that nobody has named (``FigureColname``)."""
    if isinstance(node, ast.ColumnRef) and isinstance(node.fields[-1], ast.String):
        return str(node.fields[-1].sval)
    if isinstance(node, ast.FuncCall):
        return str(node.funcname[-1].sval)
    if isinstance(node, ast.TypeCast):
        return _name(node.arg) or str(node.typeName.names[-1].sval)
    if isinstance(node, ast.SubLink) and node.subLinkType == enums.SubLinkType.EXPR_SUBLINK:
        target = next(iter(node.subselect.targetList or ()), None)
        return "" if target is None else target.name or _name(target.val)
    if isinstance(node, ast.CaseExpr):
        return _name(node.defresult) or "case"
    return _CALLED.get(type(node).__name__, "")


@lru_cache(maxsize=1024)
def _parsed(query: str) -> Any:
    # The bodies of helpers are read for every policy that calls them, and only read.
    return parse_sql(query)[0].stmt
