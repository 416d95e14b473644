"""Sets of values: arrays, sub-queries, and whether something is in one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import z3
from pglast import ast as pg_ast
from pglast import enums

from harmonia_py.isolation.proof.aggregates import aggregates
from harmonia_py.isolation.proof.casts import INTEGERS, plain
from harmonia_py.isolation.proof.formulas import NO, YES, all_of, any_of, negated
from harmonia_py.isolation.proof.likeness import likeness
from harmonia_py.isolation.proof.scope import Scope
from harmonia_py.isolation.proof.terms import Alternative, Array, Fields, Term, World, truth

# The nodes are built at run time: their static types say less than nothing.
ast: Any = pg_ast

__all__ = ["Sets", "is_own"]

#: Types that a value keeps itself in, whichever of them it becomes.
_WRITTEN = frozenset({"text", "varchar", "name"})
_NUMBERS = INTEGERS | {"numeric"}


class Sets(ABC):
    """The part of the translation that is about more than one value."""

    world: World
    rows: Callable[[Any, Scope], list[Alternative]]

    @abstractmethod
    def term(self, node: Any, scope: Scope) -> Term:
        """Translate to a single value."""

    @abstractmethod
    def any(self, node: Any, scope: Scope) -> Term | Array:
        """Translate to a value or a set of values."""

    @abstractmethod
    def equal(self, a: Term, b: Term) -> Term:
        """Return whether two values are equal."""

    @abstractmethod
    def _strict(self, name: str, sides: list[Term], *, boolean: bool) -> Term:
        """Return what an operator gives that is null where a side is."""

    def _may_be_own(self, name: str, scope: Scope, *, hidden: bool = False) -> bool:
        """Whether an operator may be of the project, which a text does not tell where it is hidden.

        What PostgreSQL has written out names the schema; else the search path decides.
        """
        if name not in self.world.catalog.operators:
            return False
        return hidden if scope.deparsed else scope.path != ()

    def as_one(self, terms: list[Term]) -> list[Term]:
        """Return values as the one type that they become together, which may change them."""
        kinds = {plain(term.kind) or "" for term in terms} - {""}
        if len(kinds) < 2 or kinds <= _WRITTEN or kinds <= _NUMBERS:
            return terms
        name = f"as one of {' '.join(sorted(kinds))}"
        return [term if term.is_bool else self._become(term, name) for term in terms]

    def _become(self, term: Term, name: str) -> Term:
        return replace(self.world.apply(name, [term], exact=False), null=term.null)

    def _A_ArrayExpr(self, node: Any, scope: Scope) -> Array:
        terms = self.as_one([self.term(e, scope) for e in node.elements or ()])
        return Array(lambda: [Alternative(YES, (("", t),)) for t in terms], listed=True)

    def _RowExpr(self, node: Any, scope: Scope) -> Term:
        return self._row([self.term(a, scope) for a in node.args or ()])

    def _row(self, values: list[Term]) -> Term:
        # Equal fields make equal rows, and equal rows have equal fields.
        fields = [self.world.as_value(value) for value in values]
        exact = not any(likeness(field.value) for field in fields)
        row = Term(self.world.apply("row", fields, exact=exact).value, NO)
        if not exact:
            return row
        for number, field in enumerate(fields, start=1):
            held = self.world.apply(f"field {number}", [row])
            same = any_of(field.null, held.value == field.value)
            self.world.facts.append(all_of(held.null == field.null, same))
        return row

    def _quantified(self, node: Any, name: str, some: bool, scope: Scope) -> Term:  # noqa: FBT001
        left, right = self.term(node.lexpr, scope), self.any(node.rexpr, scope)
        if isinstance(right, Array) and name == "=" and some:
            return self._member(left, right.elements())
        if isinstance(right, Term) and right.path and name == "=" and some:
            return self._member(left, [self.element(right)])
        if isinstance(right, Term) and some:
            return self.world.apply(f"{name} any", [left, right], boolean=True)
        return self.world.unknown(f"{name} {'any' if some else 'all'} over a set", boolean=True)

    def _sets(self, name: str, left: Term | Array, right: Term | Array) -> Term:
        """Return whether one set meets another or holds all of it.

        As for a member, the flag may be false in any world. A set that is stored may hold anything.
        """
        stored = [side for side in (left, right) if isinstance(side, Term)]
        if stored:
            listed = self.world.fresh("a set", never_null=True)
            return self._strict(name, [*stored, listed], boolean=True)
        flag = self.world.flag(name)
        if name == "<@":
            left, right = right, left
        if isinstance(left, Array) and isinstance(right, Array):
            held = [
                any_of(NO, *(self._common(one, other) for one in left.elements()))
                for other in right.elements()
            ]
            if name == "&&":
                self.world.facts.append(z3.Implies(flag, any_of(NO, *held)))
            elif right.listed:
                self.world.facts.append(z3.Implies(flag, all_of(YES, *held)))
        return Term(flag, self.world.flag("a set is null"))

    def _common(self, one: Alternative, other: Alternative) -> Any:
        same = self.equal(one.columns[0][1], other.columns[0][1])
        return all_of(one.when, other.when, truth(same))

    def _elements(self, part: Term | Array) -> list[Alternative]:
        if isinstance(part, Array):
            return part.elements()
        if part.path:
            return [self.element(part)]
        # Anything may be in it, and it is none of the arrays beside it.
        some = self.world.unknown("an array or else something unknown")
        return [Alternative(negated(part.null), (("", some),))]

    def element(self, document: Term) -> Alternative:
        """Return some element of an array inside the token."""
        element = self.world.fresh(f"element of {document.path}")
        self.world.claim_elements.setdefault((document.path or "").removeprefix("jwt."), []).append(
            element
        )
        return Alternative(negated(document.null), (("", element),))

    def _member(self, left: Term, elements: list[Alternative], *, rows: bool = False) -> Term:
        """Return whether a value is in a set, which may be null unless it is of ``rows``."""
        # The flag may be false in any world, so its negation says nothing: that is the safe side.
        flag = self.world.flag("in")
        matches = [
            all_of(e.when, truth(self.equal(left, e.columns[0][1]))) for e in elements if e.columns
        ]
        self.world.facts.append(z3.Implies(flag, any_of(*matches) if matches else NO))
        null = self.world.flag("null in")
        if rows:
            nulls = [all_of(e.when, e.columns[0][1].null) for e in elements if e.columns]
            self.world.facts.append(z3.Implies(null, any_of(left.null, *nulls)))
        return Term(flag, null)

    def _SubLink(self, node: Any, scope: Scope) -> Term | Array:
        kinds = enums.SubLinkType
        if node.subLinkType == kinds.ARRAY_SUBLINK:
            return Array(lambda: self.rows(node.subselect, scope))
        inner = node.subselect
        if node.subLinkType == kinds.EXPR_SUBLINK and self._is_wrapped(inner):
            return self.any(inner.targetList[0].val, scope)  # (select auth.uid())
        named = node.operName[-1].sval if node.operName else "="
        if is_own(node) or (node.testexpr is not None and self._may_be_own(named, scope)):
            return self.world.unknown("an operator of the project's own", boolean=True)
        alternatives = self.rows(node.subselect, scope)
        if node.subLinkType == kinds.EXISTS_SUBLINK:
            flag = self.world.flag("exists")
            when = [a.when for a in alternatives]
            self.world.facts.append(z3.Implies(flag, any_of(*when) if when else NO))
            return self.world.boolean(flag)
        if node.subLinkType == kinds.ANY_SUBLINK:
            operator = node.operName[-1].sval if node.operName else "="
            if operator == "=" and not isinstance(node.testexpr, ast.RowExpr):
                return self._member(self.term(node.testexpr, scope), alternatives, rows=True)
        if node.subLinkType == kinds.EXPR_SUBLINK:
            if self._is_array(node.subselect):
                return self._array_of(node.subselect, scope)
            return self.first(alternatives)
        return self.world.unknown("sub-query form", boolean=True)

    def _is_wrapped(self, select: Any) -> bool:
        """Whether a query is an expression and no more: one row, with nothing but its value."""
        if not isinstance(select, ast.SelectStmt) or len(select.targetList or ()) != 1:
            return False
        more = (select.fromClause, select.whereClause, select.groupClause, select.havingClause,
                select.withClause, select.limitCount, select.limitOffset)  # fmt: skip
        return not any(more) and not aggregates(select, self.world.catalog.aggregates)

    def _is_array(self, select: Any) -> bool:
        target = select.targetList[0].val if select.targetList else None
        return _aggregates(target)

    def _array_of(self, select: Any, scope: Scope) -> Array:
        return Array(lambda: self.rows(select, scope))

    def first(self, alternatives: list[Alternative]) -> Term:
        """Return the value of a scalar query: one of its rows, or NULL."""
        if len(alternatives) == 1 and z3.is_true(alternatives[0].when):
            return alternatives[0].columns[0][1]
        terms = [a.columns[0][1] for a in alternatives if a.columns]
        if not terms:
            return self.world.null
        boolean = bool(terms) and all(t.is_bool for t in terms)
        result = self.world.one_of("scalar", terms, boolean=boolean)
        flags = []
        for alternative, term in zip(alternatives, terms, strict=False):
            flag = self.world.flag("row")
            flags.append(flag)
            value = term if boolean else self.world.as_value(term)
            self.world.facts.append(
                z3.Implies(flag, all_of(alternative.when, self.world.is_one(result, value)))
            )
        self.world.facts.append(any_of(result.null, *flags))
        inside = [t.fields for t in terms if t.fields is not None]
        if len(inside) < len(terms):
            return result
        return replace(result, fields=self._inside(inside, flags))

    def _inside(self, inside: list[Fields], flags: list[Any]) -> Fields:
        """Return what is known inside a value that is one of several, as the flags say."""
        merged: dict[str, Term | Array] = {}
        for name in {name: None for fields in inside for name in fields}:
            found = [fields.of(name) for fields in inside]
            if any(isinstance(f, Array) for f in found):
                sets = [
                    (flag, f) for flag, f in zip(flags, found, strict=True) if isinstance(f, Array)
                ]
                others = [f for f in found if not isinstance(f, Array)]
                if all(f is not None and z3.is_true(f.null) for f in others):
                    merged[name] = Array(lambda sets=sets: _union(sets))  # type: ignore[misc]
            elif all(isinstance(f, Term) for f in found):
                merged[name] = self.first(
                    [
                        Alternative(flag, ((name, f),))
                        for flag, f in zip(flags, found, strict=True)
                        if isinstance(f, Term)
                    ]
                )
        rests = [fields.rest for fields in inside]
        blank = all(rest is not None and z3.is_true(rest.null) for rest in rests)
        return Fields(merged, rests[0] if blank else None)


def is_own(node: Any) -> bool:
    """Whether an operator is named with a schema that is not PostgreSQL's."""
    name: Any = getattr(node, "name", None) or getattr(node, "operName", None) or ()
    return len(name) > 1 and name[0].sval != "pg_catalog"


def _union(sets: list[tuple[Any, Array]]) -> list[Alternative]:
    return [
        Alternative(all_of(flag, e.when), e.columns) for flag, part in sets for e in part.elements()
    ]


def _aggregates(target: Any) -> bool:
    if isinstance(target, ast.CoalesceExpr):
        return any(_aggregates(a) for a in target.args)
    if isinstance(target, ast.TypeCast):
        return _aggregates(target.arg)
    return isinstance(target, ast.FuncCall) and target.funcname[-1].sval == "array_agg"
