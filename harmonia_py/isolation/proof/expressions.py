"""Translate SQL expressions (pglast trees) into terms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import z3
from pglast import ast as pg_ast
from pglast import enums, parse_sql

from harmonia_py.isolation.proof.aggregates import is_aggregate
from harmonia_py.isolation.proof.casting import Casting
from harmonia_py.isolation.proof.casts import INTEGERS, plain
from harmonia_py.isolation.proof.formulas import NO, YES, all_of, any_of, negated
from harmonia_py.isolation.proof.likeness import PLAIN, alike_of, face, is_collated, likeness
from harmonia_py.isolation.proof.scope import Scope
from harmonia_py.isolation.proof.sets import is_own
from harmonia_py.isolation.proof.terms import (
    PARTS,
    Alternative,
    Arguments,
    Array,
    Term,
    World,
    common,
    truth,
)
from harmonia_py.isolation.references import elements

# The nodes are built at run time: their static types say less than nothing.
ast: Any = pg_ast

__all__ = ["Translator", "expression"]

#: Types of what names no key of a JSON document, but a place in an array.
_PLACES = INTEGERS | {"smallint", "integer", "bigint"}
_CLOCK = {"now", "clock_timestamp", "statement_timestamp", "transaction_timestamp"}
_JSON = {"->", "->>", "#>", "#>>"}
#: What gives another value each time.
_VOLATILE = {"nextval", "setval", "random", "random_normal"}
_TEXTS = {"text", "varchar", "character varying", "bpchar", "character"}
#: Operators of which the result depends on how many bits there are.
_SHIFTS = {"<<", ">>"}
#: Types of which one and nothing are nothing.
_JOINED = {"text", "varchar", "bpchar", "name", "uuid", "jsonb", "bytea"} | INTEGERS
_MOMENTS = {
    enums.SQLValueFunctionOp.SVFOP_CURRENT_TIMESTAMP_N,
    enums.SQLValueFunctionOp.SVFOP_LOCALTIMESTAMP,
    enums.SQLValueFunctionOp.SVFOP_LOCALTIMESTAMP_N,
}
_CLAIM_SETTINGS = {"request.jwt.claims"}
#: Documents, and texts of such, in which nothing is found.
_EMPTY = {"{}", "[]", "null"}
#: Whether two sets have something in common, or all of one.
_SETS = {"&&", "@>", "<@"}


@functools.lru_cache(maxsize=4096)
def expression(text: str) -> Any:
    """Parse one expression."""
    statement: Any = parse_sql(f"select ({text})")[0].stmt
    return statement.targetList[0].val


class Translator(Casting):
    """Turn expression trees into terms; queries and functions are the two other halves."""

    def __init__(
        self,
        world: World,
        rows: Callable[[Any, Scope], list[Alternative]],
        call: Callable[[str, str, Arguments, Scope], Term | Array | None],
    ) -> None:
        """Take the world and how to evaluate a query and a function call."""
        self.world, self.rows, self.call = world, rows, call
        # The nodes are kept, so that no other can get the number of one of them.
        self._given: dict[int, tuple[Any, Term | Array]] = {}

    def give(self, node: Any, term: Term | Array) -> None:
        """Say what a call gives that is a matter of the whole query: an aggregate."""
        self._given[id(node)] = (node, term)

    def given(self, node: Any) -> Term | Array | None:
        """Return what was said of a call."""
        found = self._given.get(id(node))
        return found[1] if found else None

    def term(self, node: Any, scope: Scope) -> Term:
        """Translate to a single value."""
        return self._single(self.any(node, scope))

    def _single(self, result: Term | Array) -> Term:
        if isinstance(result, Array):
            return self.world.unknown("an array used as a value")
        return result

    def boolean(self, node: Any, scope: Scope) -> Term:
        """Translate to a boolean."""
        return self.world.as_bool(self.term(node, scope))

    def any(self, node: Any, scope: Scope) -> Term | Array:
        """Translate to a value or a set of values."""
        method = getattr(self, f"_{type(node).__name__}", None)
        if method is None:
            return self.world.unknown(f"expression {type(node).__name__}")
        result: Term | Array = method(node, scope)
        return result

    # Names and constants ---------------------------------------------------------------------

    def _ColumnRef(self, node: Any, scope: Scope) -> Term | Array:
        names = [f.sval for f in node.fields if isinstance(f, ast.String)]
        found = scope.find(names)
        return found if found is not None else self.world.unknown(f"name {'.'.join(names)}")

    def _ParamRef(self, node: Any, scope: Scope) -> Term | Array:
        return scope.variables.get(f"${node.number}") or self.world.unknown("parameter")

    def _A_Const(self, node: Any, scope: Scope) -> Term:
        if node.isnull:
            return self.world.null
        value = node.val
        if isinstance(value, ast.Boolean):
            return self.world.boolean(bool(value.boolval))
        if hasattr(value, "ival"):
            return replace(self.world.number(int(value.ival)), kind="int4")
        for name in ("sval", "fval", "bsval"):
            if hasattr(value, name):
                self.world.quoted.add(str(getattr(value, name)))
                said = self.world.literal(str(getattr(value, name)))
                if name == "bsval":
                    return Term(alike_of("bit", said.value), NO, kind="bit")
                if name != "fval":
                    return said
                return Term(alike_of("numeric", said.value), NO, kind="numeric")
        return self.world.unknown("constant")

    def _A_Indirection(self, node: Any, scope: Scope) -> Term | Array:
        whole, names = (
            self.any(node.arg, scope),
            [getattr(i, "sval", None) for i in node.indirection],
        )
        fields = whole.fields if isinstance(whole, Term) and len(names) == 1 else None
        found = fields.of(names[0] or "") if fields is not None else None
        return found if found is not None else self.world.unknown("part of a value")

    def _SQLValueFunction(self, node: Any, scope: Scope) -> Term:
        kinds = enums.SQLValueFunctionOp
        if node.op in (kinds.SVFOP_CURRENT_USER, kinds.SVFOP_USER, kinds.SVFOP_CURRENT_ROLE):
            # A definer function sees its owner; nothing is assumed about who that is.
            return (
                self.world.fresh("current_user")
                if scope.definer
                else self.world.literal(scope.role)
            )
        clock = self.world.claim("clock")
        if node.op == kinds.SVFOP_CURRENT_TIMESTAMP:
            return clock
        if node.op in _MOMENTS:
            return self.world.moment(f"{node.op.name}({node.typmod})")
        if node.op == kinds.SVFOP_CURRENT_DATE:
            return self.world.today
        if node.op in (kinds.SVFOP_SESSION_USER, kinds.SVFOP_CURRENT_CATALOG,
                       kinds.SVFOP_CURRENT_SCHEMA):  # fmt: skip
            return self.world.claim(f"setting:{node.op.name}")  # who connects is no API role
        return self.world.apply(f"::time {node.op.name}({node.typmod})", [clock])

    # Logic -----------------------------------------------------------------------------------

    def _BoolExpr(self, node: Any, scope: Scope) -> Term:
        terms = [self.boolean(a, scope) for a in node.args]
        if node.boolop == enums.BoolExprType.NOT_EXPR:
            return Term(negated(terms[0].value), terms[0].null)
        yes = [truth(t) for t in terms]
        no = [all_of(negated(t.value), negated(t.null)) for t in terms]
        nulls = [t.null for t in terms]
        if node.boolop == enums.BoolExprType.AND_EXPR:
            return Term(all_of(*yes), all_of(any_of(*nulls), negated(any_of(*no))))
        return Term(any_of(*yes), all_of(any_of(*nulls), negated(any_of(*yes))))

    def _NullTest(self, node: Any, scope: Scope) -> Term:
        inner = self.any(node.arg, scope)
        if isinstance(inner, Array):
            return self.world.unknown("null test of an array", boolean=True)
        isnull = node.nulltesttype == enums.NullTestType.IS_NULL
        if isinstance(node.arg, ast.RowExpr):
            # A row is null when all of it is, and is not when none of it is.
            nulls = [self.term(a, scope).null for a in node.arg.args or ()]
            return self.world.boolean(all_of(*((n if isnull else negated(n)) for n in nulls)))
        if inner.fields is not None or inner.kind in self.world.catalog.composites:
            return self.world.unknown("null test of a row", boolean=True)
        return self.world.boolean(inner.null if isnull else negated(inner.null))

    def _BooleanTest(self, node: Any, scope: Scope) -> Term:
        inner = self.boolean(node.arg, scope)
        kind = enums.BoolTestType
        yes, no = truth(inner), all_of(negated(inner.value), negated(inner.null))
        table = {
            kind.IS_TRUE: yes,
            kind.IS_NOT_TRUE: negated(yes),
            kind.IS_FALSE: no,
            kind.IS_NOT_FALSE: negated(no),
            kind.IS_UNKNOWN: inner.null,
            kind.IS_NOT_UNKNOWN: negated(inner.null),
        }
        return self.world.boolean(table[node.booltesttype])

    def _CoalesceExpr(self, node: Any, scope: Scope) -> Term | Array:
        parts = [self.any(a, scope) for a in node.args]
        if any(isinstance(p, Array) for p in parts):
            # Which of them it is is left open: what is in any of them may be in the whole.
            texts = [getattr(getattr(a, "val", None), "sval", None) for a in node.args]
            filled = [p for p, text in zip(parts, texts, strict=True) if text != "{}"]
            return Array(lambda: [e for part in filled for e in self._elements(part)])
        terms = [p for p in parts if isinstance(p, Term)]
        result = functools.reduce(lambda b, a: self._choose(negated(a.null), a, b), reversed(terms))
        # A document that is one of several is none of them, unless the others are empty.
        said = [self.world.text_of(replace(t, value=face(t.value))) for t in terms[1:]]
        empty = all(t.null is YES or s in _EMPTY for t, s in zip(terms[1:], said, strict=True))
        return replace(result, path=terms[0].path if empty else None)

    def _CaseExpr(self, node: Any, scope: Scope) -> Term:
        result = self.term(node.defresult, scope) if node.defresult else self.world.null
        if node.arg is not None and self._may_be_own("=", scope, hidden=True):
            return self.world.unknown("the operator = of the project's own")
        for when in reversed(node.args):
            test: Any = when.expr
            if node.arg is not None:
                holds = self.equal(self.term(node.arg, scope), self.term(test, scope))
            else:
                holds = self.boolean(test, scope)
            result = self._choose(truth(holds), self.term(when.result, scope), result)
        return result

    def _choose(self, when: Any, first: Any, second: Any) -> Term:
        if first.is_bool != second.is_bool:
            first, second = self.world.as_bool(first), self.world.as_bool(second)
        first, second = self.as_one([first, second])
        value = z3.If(when, first.value, second.value)
        null = z3.If(when, first.null, second.null)
        return Term(value, null, kind=common([first, second]))

    # Operators -------------------------------------------------------------------------------

    def _A_Expr(self, node: Any, scope: Scope) -> Term | Array:
        kind, name = node.kind, node.name[-1].sval
        kinds = enums.A_Expr_Kind
        hidden = kind in (kinds.AEXPR_DISTINCT, kinds.AEXPR_NOT_DISTINCT, kinds.AEXPR_NULLIF)
        if is_own(node) or self._may_be_own("=" if hidden else name, scope, hidden=hidden):
            return self.world.unknown(f"the operator {name} of the project's own", boolean=True)
        if kind in (kinds.AEXPR_OP_ANY, kinds.AEXPR_OP_ALL):
            return self._quantified(node, name, kind == kinds.AEXPR_OP_ANY, scope)
        if kind == kinds.AEXPR_IN:
            tests = [self._equality(node.lexpr, v, scope) for v in node.rexpr]
            found = self._any(tests)
            return found if name == "=" else Term(negated(found.value), found.null)
        if kind in (kinds.AEXPR_DISTINCT, kinds.AEXPR_NOT_DISTINCT):
            same = all_of(
                *(
                    any_of(all_of(a.null, b.null), truth(self.equal(a, b)))
                    for a, b in self._pairs(node.lexpr, node.rexpr, scope)
                )
            )
            wanted = same if kind == kinds.AEXPR_NOT_DISTINCT else negated(same)
            return self.world.boolean(wanted)
        if kind in (kinds.AEXPR_BETWEEN, kinds.AEXPR_NOT_BETWEEN):
            value = self.term(node.lexpr, scope)
            low, high = (self.term(b, scope) for b in node.rexpr)
            inside = self._all([self._compare(">=", value, low), self._compare("<=", value, high)])
            if kind == kinds.AEXPR_BETWEEN:
                return inside
            return Term(negated(inside.value), inside.null)
        if kind == kinds.AEXPR_NULLIF:
            return self._nullif(node, scope)
        if kind == kinds.AEXPR_OP:
            return self._operator(node, name, scope)
        return self._strict(f"{kind.name} {name}", self._sides(node, scope), boolean=True)

    def _nullif(self, node: Any, scope: Scope) -> Term | Array:
        whole = self.any(node.lexpr, scope)
        if isinstance(whole, Array):
            return whole  # all of it or nothing: there is never more in it
        equal = truth(self.equal(whole, self.term(node.rexpr, scope)))
        return replace(whole, null=any_of(whole.null, equal))

    def _strict(self, name: str, sides: list[Term], *, boolean: bool) -> Term:
        exact = name in PLAIN and not any(likeness(side.value) for side in sides)
        told = [s.kind or "" for s in sides if is_collated(s.kind) or name in _SHIFTS]
        called = " ".join([name, *told])
        applied = self.world.apply(called, sides, boolean=boolean, exact=exact)
        if name == "||" and not all(self._is_text(side) for side in sides):
            return applied  # a list goes on with nothing in it
        return Term(applied.value, any_of(applied.null, *(s.null for s in sides)))

    def _is_text(self, side: Term) -> bool:
        return plain(side.kind) in _JOINED or bool(self.world.text_of(side))

    def _sides(self, node: Any, scope: Scope) -> list[Term]:
        return [self.term(s, scope) for s in (node.lexpr, node.rexpr) if s is not None]

    def _pairs(self, one: Any, other: Any, scope: Scope) -> list[tuple[Term, Term]]:
        """Return what is compared with what: of two rows written out, field by field."""
        if isinstance(one, ast.RowExpr) and isinstance(other, ast.RowExpr):
            fields = zip(one.args or (), other.args or (), strict=True)
            return [(self.term(a, scope), self.term(b, scope)) for a, b in fields]
        return [(self.term(one, scope), self.term(other, scope))]

    def _equality(self, one: Any, other: Any, scope: Scope) -> Term:
        return self._all([self.equal(*pair) for pair in self._pairs(one, other, scope)])

    def _operator(self, node: Any, name: str, scope: Scope) -> Term:
        if name in ("=", "<>", "!=") and isinstance(node.lexpr, ast.RowExpr):
            equal = self._equality(node.lexpr, node.rexpr, scope)
            return equal if name == "=" else Term(negated(equal.value), equal.null)
        keys = _keys(node.rexpr) if name in _JSON and node.lexpr is not None else []
        if keys and isinstance(document := self.any(node.lexpr, scope), Term) and document.path:
            base = document.path.removeprefix("jwt").removeprefix(".")
            told = self.world.claim(".".join(filter(None, [base, *keys])))
            if name in ("->>", "#>>"):
                return replace(told, kind=told.kind or "text")
            # A null inside the document is a value of its own, and a text has its quotes there.
            missing = all_of(told.null, z3.Bool(f"without {told.path}"))
            return replace(told, value=alike_of("jsonb", told.value), null=missing, kind="jsonb")
        given = [self.any(s, scope) for s in (node.lexpr, node.rexpr) if s is not None]
        if name in _SETS and len(given) == 2 and any(isinstance(s, Array) for s in given):
            return self._sets(name, *given)
        sides = [self._single(s) for s in given]
        if len(sides) == 2 and name in _JSON and sides[0].path:
            if name in ("->", "->>") and sides[0].path != "jwt":
                return self._under(*sides)
            return self.world.unknown("a computed JSON key")
        if len(sides) == 2 and name == "?" and sides[0].path:
            # A key that holds null is there as well: no token is made so.
            missing = any_of(*(side.null for side in sides))
            return Term(negated(self._under(*sides).null), missing)
        if len(sides) == 2 and name == "=":
            return self.equal(*sides)
        if len(sides) == 2 and name in ("<>", "!="):
            equal = self.equal(*sides)
            return Term(negated(equal.value), equal.null)
        if len(sides) == 2 and name in ("<", ">", "<=", ">="):
            found = self._compare(name, *sides)
            rows = isinstance(node.lexpr, ast.RowExpr) or isinstance(node.rexpr, ast.RowExpr)
            # Of rows, it is null where a field decides that is.
            return replace(found, null=self.world.flag("a field is null")) if rows else found
        boolean = name in ("~", "~*", "!~", "!~*", "~~", "!~~", "~~*", "@>", "<@", "&&", "?", "?|",
                           "?&", "@@", "^@")  # fmt: skip
        return self._strict(name, sides, boolean=boolean)

    def _under(self, document: Term, key: Term) -> Term:
        if key.kind in _PLACES:
            return self.world.unknown("a place in a JSON array")
        path = (document.path or "").removeprefix("jwt").removeprefix(".")
        return self.world.looked_up(path, key)

    def _compare(self, operator: str, a: Term, b: Term) -> Term:
        if operator in (">", "<="):
            a, b = b, a
        # Digits have another order as a text than as a number.
        texts = {a.kind, b.kind} & _TEXTS or {a.kind, b.kind} == {None}
        # So has a collation, and each type of the project's own.
        orders = [k for k in (a.kind, b.kind) if k and (is_collated(k) or "." in k)]
        name = f"< {orders[0]}" if orders else "< text" if texts else "<"
        less = self.world.apply(name, [a, b], boolean=True)
        null = any_of(a.null, b.null)
        if operator in ("<", ">"):
            return Term(less.value, null)
        return Term(negated(less.value), null)  # a >= b is not a < b

    def _any(self, tests: list[Term]) -> Term:
        yes = any_of(*(truth(t) for t in tests))
        return Term(yes, all_of(negated(yes), any_of(*(t.null for t in tests))))

    def _all(self, tests: list[Term]) -> Term:
        yes = all_of(*(truth(t) for t in tests))
        no = any_of(*(all_of(negated(t.value), negated(t.null)) for t in tests))
        return Term(yes, all_of(negated(no), any_of(*(t.null for t in tests))))

    # Functions -------------------------------------------------------------------------------

    def _FuncCall(self, node: Any, scope: Scope) -> Term | Array:
        given = self.given(node)
        if given is not None:
            return given
        if node.over is not None:
            return self.world.fresh("window", exact=False)  # of other rows as well
        names = [f.sval for f in node.funcname]
        schema, name = (names[-2] if len(names) > 1 else ""), names[-1]
        special = self._special(schema, name, node, scope)
        if special is not None:
            return special
        arguments = self.arguments(node, scope)
        result = self.call(schema, name, arguments, scope)
        if result is not None:
            return result
        terms = arguments.terms
        if is_aggregate(node, self.world.catalog.aggregates) and name != "array_agg":
            return self.world.fresh(name, exact=False)  # of a group, of which one row is known
        if name == "array_agg" and terms:
            return Array(lambda: [Alternative(YES, (("", terms[0]),))])
        if arguments.hold_arrays or name in _VOLATILE | self.world.catalog.volatile:
            return self.world.fresh(
                name, exact=False
            )  # two arrays with the same values beside them may differ
        told = [term.kind or "" for term in terms if name not in PARTS or is_collated(term.kind)]
        around = "" if schema in ("", "pg_catalog", "extensions") else schema
        kinds = " ".join(filter(None, [*told, *arguments.named, around]))
        exact = name in PLAIN and not any(likeness(term.value) for term in terms)
        return self.world.apply(f"{name} {kinds}".rstrip(), terms, exact=exact)

    def arguments(self, call: Any, scope: Scope) -> Arguments:
        """Translate the arguments of a call, by position and by name."""
        positional: list[Term | Array] = []
        named: dict[str, Term | Array] = {}
        for argument in call.args or ():
            if isinstance(argument, ast.NamedArgExpr):
                named[argument.name] = self.any(argument.arg, scope)
            else:
                positional.append(self.any(argument, scope))
        return Arguments(tuple(positional), named)

    def _special(self, schema: str, name: str, node: Any, scope: Scope) -> Term | None:
        if schema == "auth" or (schema == "" and name in ("uid", "jwt") and not self._own(name)):
            if name == "uid":
                return self.world.uid
            if name == "jwt":
                return self.world.token("jsonb")
            if name in ("role", "email"):
                return self.world.literal(scope.role) if name == "role" else self.world.claim(name)
        if schema in ("", "pg_catalog"):
            if name == "current_setting":
                return self._setting(node, scope)
            if name == "set_config":
                self.world.tampered = True
                return self.world.unknown("a setting")
            if name in _CLOCK:
                return self.world.moment(name)
        return None

    def _own(self, name: str) -> bool:
        """Whether the project has a function of that name itself."""
        functions = self.world.catalog.functions.values()
        return any(f.name == name and f.schema != "auth" for f in functions)

    def _setting(self, node: Any, scope: Scope) -> Term:
        # What a parameter holds is the name of a setting as well.
        text = self.world.text_of(self.term(node.args[0], scope)).lower()
        if text in _CLAIM_SETTINGS:
            return self.world.token("text")
        if text.startswith("request.jwt.claim."):
            # PostgREST sets these no more, unless it is told to.
            told = self.world.claim(text.removeprefix("request.jwt.claim."))
            return replace(told, null=any_of(told.null, z3.Bool("legacy settings are unset")))
        if not text:
            return self.world.unknown("a setting")
        return replace(self.world.claim(f"setting:{text}"), kind="text")


def _keys(node: Any) -> list[str]:
    """Return the path that a constant behind a JSON operator writes out, none for another."""
    while isinstance(node, ast.TypeCast):
        node = node.arg
    if isinstance(node, ast.A_ArrayExpr):
        found = [_keys(element) for element in node.elements or ()]
        return [one for (one,) in found] if all(len(one) == 1 for one in found) else []
    text = getattr(getattr(node, "val", None), "sval", None)
    if not isinstance(node, ast.A_Const) or text is None:
        return []
    return elements(text) if text.startswith("{") else [text]
