"""Casts and collations: what a value is as another type, and when two are equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import z3
from pglast import ast as pg_ast
from pglast.stream import RawStream

from harmonia_py.isolation.catalog import Composite
from harmonia_py.isolation.proof.casts import (
    INTEGERS,
    canonical,
    is_day,
    keeps,
    plain,
    spoken,
)
from harmonia_py.isolation.proof.formulas import YES, any_of
from harmonia_py.isolation.proof.holding import Holding
from harmonia_py.isolation.proof.likeness import (
    BUILT_IN,
    CITEXT,
    alike_of,
    comparable,
    face,
    is_exact,
    likeness,
)
from harmonia_py.isolation.proof.scope import Scope
from harmonia_py.isolation.proof.terms import Alternative, Array, Fields, Term
from harmonia_py.isolation.references import elements

# The nodes are built at run time: their static types say less than nothing.
ast: Any = pg_ast

__all__ = ["Casting"]

_JSON = {"->", "->>", "#>", "#>>"}
#: Types that what they are compared with may become first, and other values with it.
_ROUNDED = frozenset({"date", "timestamp", "timestamptz", "float4", "float8"})
#: Types of which a text is read as what it was written from.
_READ_BACK = INTEGERS | {"uuid"}


class Casting(Holding):
    """The part of the translation that takes a value for one of another type."""

    def _TypeCast(self, node: Any, scope: Scope) -> Term | Array:
        text, catalog = getattr(getattr(node.arg, "val", None), "sval", None), self.world.catalog
        if node.typeName.arrayBounds and text is not None and text.startswith("{"):
            return self.listed(text)
        if isinstance(node.arg, ast.RowExpr):
            kind = self._known([n.sval for n in node.typeName.names], scope, catalog.composites)
            attributes = catalog.composites.get(kind, ())
            if attributes and len(attributes) == len(node.arg.args or ()):
                return self._composed(kind, attributes, node.arg, scope)
        inner = self.any(node.arg, scope)
        domain = self._known([n.sval for n in node.typeName.names], scope, catalog.domains)
        if domain and not node.typeName.arrayBounds:
            return self.taken(inner, domain)
        name = node.typeName.names[-1].sval
        if text is not None and not node.typeName.arrayBounds:
            inner = self.world.literal(canonical(text, name))
        if isinstance(inner, Array):
            return self._cast_each(inner, node.typeName, name)
        if node.typeName.typmods:
            return self.world.apply(_bounded(node.typeName, name), [inner], exact=is_exact(name))
        if isinstance(node.arg, ast.A_Const):
            said_as = str(getattr(node.arg.val, "sval", ""))
            said = spoken(said_as)
            if name == "bool" and said is not None:
                return self.world.boolean(said)
            whole = name in INTEGERS and inner.kind != "numeric" and not inner.is_bool
            moment = name in ("date", "timestamptz") and is_day(said_as)
            if whole or moment or name in ("name", "uuid"):
                return replace(inner, kind=name)
            if not is_exact(name) and not inner.is_bool and name in BUILT_IN:
                return Term(alike_of(name, inner.value), inner.null, kind=name)
        if isinstance(node.arg, ast.A_Expr) and name in INTEGERS and node.arg.name:
            if node.arg.name[-1].sval not in _JSON:
                return self.world.apply(f"::{name}", [inner])  # which may round
        if node.typeName.arrayBounds:
            return self._cast_list(inner, name)
        return self._cast(inner, name)

    def _cast_list(self, value: Term, name: str) -> Term:
        """Cast an array of which nothing is known; those of a token have no other use."""
        if value.path or value.kind in (f"{name}[]", f"_{name}"):
            return value
        return self.world.cast(value, f"{name}[]")

    def listed(self, text: str) -> Array:
        """Return the set that an array written out as a text holds."""
        if "{" in text[1:]:
            # Of more dimensions; ANY looks at all that is in them.
            return Array(lambda: [Alternative(YES, (("", self.world.unknown("an array")),))])
        found = [self.world.literal(e) for e in elements(text)]
        return Array(lambda: [Alternative(YES, (("", e),)) for e in found], listed=True)

    def _cast_each(self, inner: Array, to: Any, name: str) -> Array:
        def cast(term: Term) -> Term:
            if to.typmods:
                return self.world.apply(_bounded(to, name), [term], exact=is_exact(name))
            return self._cast(term, name)

        return Array(
            lambda: [
                Alternative(e.when, tuple((n, cast(t)) for n, t in e.columns[:1]))
                for e in inner.elements()
            ],
            listed=inner.listed,
        )

    def _cast(self, value: Term, name: str) -> Term:
        for source, target in self.world.catalog.casts:
            if plain(target) == plain(name) and value.kind in (None, source, plain(source)):
                return self.world.unknown(f"a cast to {target} of the project's own")
        if name in ("bool", "boolean"):
            return self.world.as_bool(value)
        if value.is_bool and name in INTEGERS:
            one, zero = self.world.number(1).value, self.world.number(0).value
            return Term(z3.If(value.value, one, zero), value.null)
        if value.is_bool:
            value = self.world.as_value(value)
        like = likeness(value.value)
        if like is not None and like == name:
            return replace(value, kind=name)
        if name == CITEXT:
            text = value if keeps(value.kind, "text") else self.world.cast(value, "text")
            return Term(alike_of(name, text.value), value.null, kind=name)
        if like == CITEXT and name in ("text", "varchar"):
            return Term(face(value.value), value.null, kind=name)
        apart = like is not None and not like.startswith("collate ")
        if apart or not keeps(value.kind, name):
            found = self.world.cast(value, name)
            return replace(found, path=value.path) if name in ("json", "jsonb") else found
        if plain(value.kind) in _READ_BACK:
            self.world.read_back(value)
        return replace(value, kind=name)

    def _known(self, names: list[str], scope: Scope, known: Mapping[str, Any]) -> str:
        """Return the key of what a type's name means among some, an empty one of none."""
        if len(names) > 1:
            key = ".".join(names)
            return key if key in known else ""
        path = scope.path if scope.path is not None else ("public", *self.world.catalog.schemas)
        return next((key for s in path if (key := f"{s}.{names[0]}") in known), "")

    def _composed(self, kind: str, attributes: Composite, node: Any, scope: Scope) -> Term:
        """Return a row as a value of a composite type: each field becomes what its attribute is."""
        fields = {
            name: self.held(self.term(argument, scope), to)
            for argument, (name, to) in zip(node.args, attributes, strict=True)
        }
        row = self._row(list(fields.values()))
        return replace(row, fields=Fields(fields), kind=kind)

    def _CollateClause(self, node: Any, scope: Scope) -> Term | Array:
        name = node.collname[-1].sval
        term = self.term(node.arg, scope)
        # Each has an order of its own, and may take for equal what is not the same.
        exact = name in ("C", "POSIX", "default", "ucs_basic")
        value = face(term.value) if exact else alike_of(f"collate {name}", term.value)
        return replace(term, value=value, kind=f"text collate {name}")

    def equal(self, a: Term, b: Term) -> Term:
        """Return whether two values are equal, as the type or the collation of either says."""
        if a.is_bool != b.is_bool:
            a, b = self.world.as_bool(a), self.world.as_bool(b)  # flag = 'yes'
        null = any_of(a.null, b.null)
        kinds = {plain(a.kind), plain(b.kind)}
        if None not in kinds and len(kinds) > 1 and kinds & _ROUNDED:
            return self.world.apply("= of another type", [a, b], boolean=True)
        if not a.is_bool and not comparable(a.value, b.value):
            return Term(self._alike(a, b), null)
        return Term(a.value == b.value, null)

    def _alike(self, a: Term, b: Term) -> Any:
        """Return whether values are equal of which one has another likeness than the other."""
        mine, theirs = likeness(a.value), likeness(b.value)
        for name, other in ((mine, b), (theirs, a)):
            if name is not None and (mine is None or theirs is None):
                if name != CITEXT:
                    return alike_of(name, a.value) == alike_of(name, b.value)
                if plain(other.kind) in ("text", "varchar"):
                    return face(a.value) == face(b.value)  # citext becomes a text
                if self.world.text_of(other):
                    return alike_of(name, a.value) == alike_of(name, b.value)
        return self.world.apply("= of another type", [a, b], boolean=True).value


def _bounded(kind: Any, name: str) -> str:
    """Return what a cast to a type with a length is called: two lengths are two casts."""
    return f"::{name}({', '.join(RawStream()(bound) for bound in kind.typmods)})"
