"""What a parameter, a result, a variable or a field holds of a value that it is given."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import replace

import z3

from harmonia_py.isolation.catalog import Composite
from harmonia_py.isolation.proof.casts import canonical, cuts, plain
from harmonia_py.isolation.proof.likeness import CITEXT, alike_of, is_exact
from harmonia_py.isolation.proof.sets import Sets
from harmonia_py.isolation.proof.terms import Array, Fields, Term

__all__ = ["Holding"]

_MOMENTS = frozenset({"timestamp", "timestamptz"})
_TEXTS = frozenset({"text", "varchar"})
#: Types of which a value becomes one where it is handed over.
_TAKEN = _MOMENTS | frozenset(
    "uuid text varchar int2 int4 int8 numeric float8 jsonb json citext".split()
)
#: What stands for a type that is told elsewhere.
_PSEUDO = frozenset({"", "record", "void", "trigger", "event_trigger", "internal", "cstring"})
_BOUND = re.compile(r"\([^)]*\)")


class Holding(Sets):
    """The part of the translation that says what a holder of a type makes of a value."""

    @abstractmethod
    def _cast(self, value: Term, name: str) -> Term:
        """Return what a cast makes of a value."""

    def taken(self, value: Term | Array, kind: str) -> Term | Array:
        """Return what a holder of a type has of a value, or of each that is in a set."""
        if isinstance(value, Term):
            return self.held(value, kind)
        kind = self.world.catalog.domains.get(kind, kind)
        if not kind.endswith("[]"):
            return value
        inside = kind.removesuffix("[]")
        return Array(
            lambda: [
                replace(e, columns=tuple((name, self.held(t, inside)) for name, t in e.columns))
                for e in value.elements()
            ],
            listed=value.listed,
        )

    def held(self, value: Term, kind: str) -> Term:
        """Return what a holder of a type has of a value: it may be less, or another.

        What is assigned is cast as well, and a text to whatever it is written for.
        """
        domain = self.world.catalog.domains.get(kind)
        if domain is not None:
            return self.held(value, domain) if domain else self._made(value, kind)
        if "(" in kind:
            return self._made(value, kind)
        if cuts(value.kind, kind):
            cut = self.world.apply(f"::{kind}", [value], exact=is_exact(kind))
            return replace(cut, kind=kind)
        to = CITEXT if kind.endswith(f".{CITEXT}") else plain(kind) or ""
        if to == "bool":
            return self.world.as_bool(value)
        if value.is_bool:
            return replace(self.world.as_value(value), kind=to) if to in _TEXTS else value
        if plain(value.kind) == to:
            return value
        if to not in _TAKEN or (to in _MOMENTS and value.kind is None):
            return self._other(value, to)
        if z3.is_true(value.null):
            return replace(value, kind=to)
        if text := self.world.text_of(value):
            said = self.world.literal(canonical(text, to)).value
            return replace(value, value=said if is_exact(to) else alike_of(to, said), kind=to)
        return replace(self._cast(value, to), path=value.path, fields=value.fields)

    def _made(self, value: Term, kind: str) -> Term:
        """Return what a type with a length, or a collation of its own, makes of a value."""
        base = _BOUND.sub("", kind)
        made = self.world.apply(f"::{kind}", [value], exact=is_exact(base))
        return Term(made.value, value.null, kind=base)

    def _other(self, value: Term, kind: str) -> Term:
        """Return what a type holds that is none of the common ones."""
        attributes = self.world.catalog.attributes(kind)
        if attributes is not None:
            return self._whole(value, kind, attributes)
        if kind in self.world.catalog.enums:
            return replace(value, kind=kind)  # a text is an enumerated value as it is
        # What any type may be is told where it is called.
        as_it_is = kind in _PSEUDO | _MOMENTS or kind.startswith("any")
        if as_it_is or z3.is_true(value.null) or (kind.endswith("[]") and value.kind is None):
            return value
        return self._made(value, kind)

    def _whole(self, value: Term, kind: str, attributes: Composite) -> Term:
        """Return a row as one of a composite type: field for field, by their places."""
        if not value.fields or value.kind == kind:
            return value
        before = self.world.catalog.attributes(value.kind or "")
        if before is None or len(before) != len(attributes):
            return replace(value, fields=None)
        known = Fields()
        for (old, _), (new, to) in zip(before, attributes, strict=True):
            if (found := value.fields.of(old)) is not None:
                known[new] = self.taken(found, to)
        return replace(value, fields=known, kind=kind)
