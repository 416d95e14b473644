"""What a name means inside an expression: columns, parameters, variables, and the caller."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from harmonia_py.isolation.proof.terms import Alternative, Array, Row, Term

__all__ = ["NAMELESS", "Scope", "Source"]

#: How the name of a column begins whose name is not known.
NAMELESS = "\0"

Source = Row | dict[str, Term | Array]


@dataclass(frozen=True, slots=True)
class Scope:
    """Names in reach. ``definer`` says whether tables are read past their policies.

    ``path`` is the search path that a function sets itself, None for the caller's.
    """

    role: str
    definer: bool = False
    sources: tuple[tuple[str, Source], ...] = ()
    variables: dict[str, Term | Array] = field(default_factory=dict)
    queries: dict[str, object] = field(default_factory=dict)
    depth: int = 0
    visiting: frozenset[str] = frozenset()
    path: tuple[str, ...] | None = None

    def inner(self, sources: tuple[tuple[str, Source], ...]) -> Scope:
        """Return the scope of a query inside this one: its own names come first."""
        return replace(self, sources=sources + self.sources)

    def deeper(self, **changes: object) -> Scope:
        """Return the scope of a function body: none of the caller's names."""
        return replace(self, depth=self.depth + 1, **changes)  # type: ignore[arg-type]

    def find(self, names: list[str]) -> Term | Array | None:
        """Resolve a possibly qualified column, parameter or variable."""
        if len(names) >= 2:
            for alias, source in self.sources:
                if alias == names[-2]:
                    return _column(source, names[-1])
            whole = self.variables.get(names[-2])
            if isinstance(whole, Term) and whole.fields is not None:
                return whole.fields.of(names[-1])
            if names[-2] in self.queries or names[-1] not in self.variables:
                return None
            return self.variables[names[-1]]
        for _, source in self.sources:
            found = _column(source, names[0])
            if found is not None:
                return found
            if isinstance(source, dict) and (not source or any(map(_nameless, source))):
                return None  # perhaps it is one of these
        return self.variables.get(names[0])


def _column(source: Source, name: str) -> Term | Array | None:
    if isinstance(source, Row):
        return source.column(name) if source.table.has(name) else None
    return source.get(name)


def _nameless(name: str) -> bool:
    return name.startswith(NAMELESS)


def columns_of(source: Source) -> tuple[tuple[str, Term], ...]:
    """Return every column of a FROM item, for ``*``."""
    if isinstance(source, Row):
        return tuple((c.name, source.column(c.name)) for c in source.table.columns)
    return tuple((n, t) for n, t in source.items() if isinstance(t, Term))


def as_source(alternative: Alternative, names: tuple[str, ...] = ()) -> dict[str, Term | Array]:
    """Return a derived table's row under its column aliases."""
    renamed = list(names) + [n for n, _ in alternative.columns[len(names) :]]
    return {name: term for name, (_, term) in zip(renamed, alternative.columns, strict=True)}
