"""What a name means inside an expression: columns, parameters, variables, and the caller."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from harmonia_py.isolation.proof.terms import Alternative, Array, Row, Term

__all__ = ["NAMELESS", "Record", "Scope", "Source", "as_source", "columns_of", "starred"]

#: How the name of a column begins whose name is not known.
NAMELESS = "\0"

Source = Row | dict[str, Term | Array]


class Record(dict[str, "Term | Array"]):
    """What a record of PL/pgSQL holds: only its name leads to a field."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Names in reach. ``definer`` says whether tables are read past their policies.

    ``path`` is the search path that a function sets itself, None for the caller's. A text that is
    ``deparsed`` (a policy, a view) names everything with its schema, but for what is PostgreSQL's.
    """

    role: str
    definer: bool = False
    sources: tuple[tuple[str, Source], ...] = ()
    variables: dict[str, Term | Array] = field(default_factory=dict)
    queries: dict[str, object] = field(default_factory=dict)
    depth: int = 0
    visiting: frozenset[str] = frozenset()
    path: tuple[str, ...] | None = None
    deparsed: bool = False

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
            # A function's name tells its parameters from columns; any other is a source's.
            return self.variables.get(names[-1]) if self._is_around(names[-2]) else None
        for _, source in self.sources:
            if isinstance(source, Record):
                continue
            found = _column(source, names[0])
            if found is not None:
                return found
            if isinstance(source, dict) and (not source or any(map(_nameless, source))):
                return None  # perhaps it is one of these
        for alias, source in self.sources:
            if alias == names[0] and not isinstance(source, Record):
                return _whole(source)
        return self.variables.get(names[0])

    def _is_around(self, name: str) -> bool:
        """Whether this is inside the body of a function of that name."""
        called = (key.partition("(")[0] for key in self.visiting)
        return any(key.rpartition(".")[2] == name for key in called)


def _whole(source: Source) -> Term | Array | None:
    """Return what a source's own name means: its only value, else a row of which nothing is known.

    A column of that name would have been found before, wherever it is.
    """
    return next(iter(source.values())) if isinstance(source, dict) and len(source) == 1 else None


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


def starred(sources: tuple[tuple[str, Source], ...], wanted: str | None) -> list[tuple[str, Term]]:
    """Return the columns that ``*`` stands for, of all sources or one; none where not known."""
    columns: list[tuple[str, Term]] = []
    for alias, source in sources:
        if wanted in (None, alias):
            found = columns_of(source)
            # Of a source without a name, which are columns that a join has made one of two.
            if not alias or not found or (isinstance(source, dict) and len(found) < len(source)):
                return []
            columns += found
    return columns


def as_source(alternative: Alternative, names: tuple[str, ...] = ()) -> dict[str, Term | Array]:
    """Return a derived table's row under its column aliases."""
    renamed = list(names) + [n for n, _ in alternative.columns[len(names) :]]
    for place, name in enumerate(renamed):
        if name in renamed[place + 1 :]:
            renamed[place] = f"\1{place}"  # nobody can name it, and it still has its place
    return {name: term for name, (_, term) in zip(renamed, alternative.columns, strict=True)}
