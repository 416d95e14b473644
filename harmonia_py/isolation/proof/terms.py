"""SQL values as z3 terms, in SQL's three-valued logic, and the world they live in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import z3

from harmonia_py.isolation.catalog import Catalog, ForeignKey, Table
from harmonia_py.isolation.proof.casts import alike, is_yes, plain
from harmonia_py.isolation.proof.formulas import NO, YES, all_of, any_of, applied, negated
from harmonia_py.isolation.proof.likeness import (
    NUMERIC,
    Value,
    alike_of,
    comparable,
    face,
    is_exact,
    likeness,
)

__all__ = [
    "ANY_LITERAL",
    "PARTS",
    "Alternative",
    "Array",
    "Fields",
    "Row",
    "Term",
    "World",
    "common",
    "holds",
    "truth",
]

#: A literal that begins so stands for any text at all (see templates in the prover).
ANY_LITERAL = "\ue000"
#: What looks at what values are equal to.
_BY_EQUALITY = frozenset({"<", "< text"})
_IS_YES = z3.Function("is yes", Value, z3.BoolSort())
#: Casts that leave a whole number what it is; an amount is no level, and no word that publishes.
_NUMERIC = ("::int2", "::int4", "::int8", "::smallint", "::integer", "::bigint")
#: What only takes a value apart or spells it in another way.
PARTS = frozenset({"->", "->>", "#>", "#>>", "lower", "upper", "btrim", "::text", "::citext"})


@dataclass(frozen=True, slots=True)
class Term:
    """A value and whether it is NULL. ``value`` is a z3 Bool for booleans, else a Value.

    ``path`` names a JSON document of the session (``jwt`` and what is inside it). ``fields`` are
    what is known inside a composite value. ``kind`` is the type of a column.
    """

    value: Any
    null: Any
    path: str | None = None
    fields: Fields | None = None
    kind: str | None = None

    @property
    def is_bool(self) -> bool:
        """Whether this is a boolean."""
        return bool(z3.is_bool(self.value))


class Fields(dict[str, "Term | Array"]):
    """What is known inside a composite value; ``rest`` is what all its other fields are."""

    def __init__(
        self, known: Mapping[str, Term | Array] | None = None, rest: Term | None = None
    ) -> None:
        """Take the fields that are known, and what the others are, if that is known."""
        super().__init__(known or {})
        self.rest = rest

    def of(self, name: str) -> Term | Array | None:
        """Return what a field holds, None where that is not known."""
        return self.get(name, self.rest)


@dataclass(frozen=True, slots=True)
class Alternative:
    """One row a query may return: the condition under which it does, and its columns."""

    when: Any
    columns: tuple[tuple[str, Term], ...]


@dataclass(frozen=True, slots=True)
class Array:
    """The rows of a query used as a set; each use asks for elements of its own.

    A set that is ``listed`` holds all of them; of any other, they stand for what it may hold.
    """

    elements: Callable[[], list[Alternative]]
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a call hands over: by position, then by name."""

    positional: tuple[Term | Array, ...] = ()
    named: dict[str, Term | Array] = field(default_factory=dict)

    @property
    def terms(self) -> list[Term]:
        """Return the single values among them."""
        return [a for a in (*self.positional, *self.named.values()) if isinstance(a, Term)]

    @property
    def hold_arrays(self) -> bool:
        """Whether there are sets among them."""
        return any(isinstance(a, Array) for a in (*self.positional, *self.named.values()))


@dataclass(slots=True, eq=False)
class Row:
    """One tuple of a table; columns come into being when they are named."""

    world: World
    table: Table
    name: str
    columns: dict[str, Term] = field(default_factory=dict)

    def column(self, name: str) -> Term:
        """Return a column's value; KeyError when the table has no such column."""
        known = self.columns.get(name)
        if known is None:
            column = self.table.column(name)
            label = f"{self.name}.{name}"
            boolean = column.base == "boolean" or column.type == "boolean"
            # What inherits from the table may have left it out.
            sure = column.not_null and not column.old_nulls and not self.table.inherited
            known = self.world.fresh(label, boolean=boolean, never_null=sure)
            if not boolean and (column.collation or not (column.labels or is_exact(column.base))):
                by = f"collate {column.collation}" if column.collation else column.base
                known = replace(known, value=alike_of(by, known.value))
            known = replace(known, kind=column.base)
            self.columns[name] = known
        return known


def common(terms: Iterable[Term]) -> str | None:
    """Return the type that all of some values have, None where it is not known."""
    kinds = {plain(term.kind) for term in terms if not z3.is_true(term.null)}
    return kinds.pop() if len(kinds) == 1 else None


def truth(term: Term) -> Any:
    """Return the z3 formula for ``term is true``."""
    if not term.is_bool:
        return YES
    return all_of(term.value, negated(term.null))


class World:
    """Everything one question is asked about: facts, tuples, the session, and what was opaque."""

    def __init__(self, catalog: Catalog) -> None:
        """Begin with an empty world over a catalog."""
        self.catalog = catalog
        self.facts: list[Any] = []
        self.rows: dict[str, list[Row]] = {}
        self.opaque: dict[str, None] = {}
        self.claims: dict[str, Term] = {}
        self.claim_elements: dict[str, list[Term]] = {}
        self.claim_keys: dict[str, list[tuple[Term, Term]]] = {}
        self.literals: dict[str, Any] = {}
        self._texts: dict[int, str] = {}  # by z3's number of the constant, which is kept above
        self.numbers: set[int] = set()
        self.quoted: set[str] = set()
        self.applied: list[tuple[str, list[Term], Term]] = []
        self.casts: list[tuple[Term, Term]] = []
        self.spelled: list[Any] = []  # what holds where each text is written as it is read
        self.written: set[str] = set()  # names in what may write while it is asked
        self.tampered = False  # whether what is asked sets settings itself
        self.said: list[Any] = []
        self.moments: list[Term] = []  # what was asked of the clock, beside its transaction's
        self.new: Row | None = None  # a row that is only being written, which no query sees
        self._functions: dict[tuple[str, int, bool], Any] = {}
        self._count = 0
        self.uid = replace(self.fresh("auth.uid()"), kind="uuid")

    def fresh(
        self, label: str, *, boolean: bool = False, never_null: bool = False, exact: bool = True
    ) -> Term:
        """Return a value nothing is known of; of an ``exact`` one, what is equal is the same."""
        self._count += 1
        name = f"{label}#{self._count}"
        value = z3.Bool(name) if boolean else z3.Const(name, Value)
        if not boolean and not exact:
            value = alike_of(name, value)
        return Term(value, NO if never_null else z3.Bool(f"null {name}"))

    def one_of(self, label: str, terms: Iterable[Term], *, boolean: bool = False) -> Term:
        """Return a value of which :meth:`is_one` will say that it is one of some."""
        terms = list(terms)
        exact = not any(likeness(term.value) for term in terms)
        fresh = self.fresh(label, boolean=boolean, exact=exact)
        return replace(fresh, kind=common(terms))

    @staticmethod
    def is_one(term: Term, other: Term) -> Any:
        """Return: a value is another, and not only equal to it."""
        same = all_of(term.value == other.value, term.null == other.null)
        return all_of(same, face(term.value) == face(other.value))

    def flag(self, label: str) -> Any:
        """Return a fresh z3 Bool."""
        self._count += 1
        return z3.Bool(f"{label}#{self._count}")

    def unknown(self, reason: str, *, boolean: bool = False) -> Term:
        """Return an unconstrained value and remember why."""
        self.opaque[reason] = None
        return self.fresh(reason, boolean=boolean, exact=False)

    def literal(self, text: str) -> Term:
        """Return the constant of a literal; different texts are different values."""
        if text.startswith(ANY_LITERAL):
            return Term(z3.Const(text, Value), NO)
        if text not in self.literals:
            self.literals[text] = constant = z3.Const(f"'{text}'", Value)
            self._texts[constant.get_id()] = text
        return Term(self.literals[text], NO)

    def text_of(self, term: Term) -> str:
        """Return the text of a literal, an empty one of what is none."""
        return self._texts.get(term.value.get_id(), "")

    def number(self, value: int) -> Term:
        """Return the constant of a whole number, of which the order is known too."""
        self.numbers.add(value)
        return self.literal(str(value))

    def boolean(self, value: Any) -> Term:
        """Return a boolean that is never NULL."""
        return Term(z3.BoolVal(value) if isinstance(value, bool) else value, NO)

    def moment(self, name: str) -> Term:
        """Return what the clock says: that of the transaction, or one of a name of its own."""
        if name in ("now", "transaction_timestamp"):
            return self.claim("clock")
        if name == "clock_timestamp":
            found = self.fresh(name, never_null=True)  # another each time
        else:
            found = replace(self.apply(name, [self.claim("clock")]), null=NO)
        self.moments.append(found)
        return found

    @property
    def today(self) -> Term:
        """Return the day of the clock, which is over later than each moment of it."""
        return self.apply("::date", [self.claim("clock")])

    @property
    def null(self) -> Term:
        """Return NULL."""
        return Term(self.literal("").value, YES)

    def claim(self, path: str) -> Term:
        """Return a value inside the token, the same one for the same path."""
        if path == "sub":
            return self.uid
        if path not in self.claims:
            fresh = self.fresh(f"jwt {path}")
            self.claims[path] = Term(fresh.value, fresh.null, path=f"jwt.{path}")
        return self.claims[path]

    def token(self, kind: str) -> Term:
        """Return all of the token, as a document or as the text of one."""
        value = z3.Const(f"jwt as {kind}", Value)
        if not is_exact(kind):
            return Term(alike_of(kind, value), NO, path="jwt", kind=kind)
        self.facts.append(value != self.literal("").value)
        return Term(value, NO, path="jwt", kind=kind)

    def looked_up(self, path: str, key: Term) -> Term:
        """Return what an object inside the token holds under a key: null where it has no such."""
        found = self.apply(f"jwt {path} ->", [key])
        value = Term(found.value, any_of(found.null, key.null))
        self.claim_keys.setdefault(path, []).append((self.as_value(key), value))
        return value

    def apply(
        self, name: str, arguments: Iterable[Term], *, boolean: bool = False, exact: bool = True
    ) -> Term:
        """Return an uninterpreted function of values: the same inputs give the same results.

        Of an ``exact`` result, what is equal is the same.
        """
        terms = [self.as_value(a) for a in arguments]
        key = (name, len(terms), boolean)
        if key not in self._functions:
            result = z3.BoolSort() if boolean else Value
            sorts = [Value] * len(terms) + [z3.BoolSort()] * len(terms)
            self._functions[key] = (
                z3.Function(f"{name}/{len(terms)}", *sorts, result),
                z3.Function(f"null {name}/{len(terms)}", *sorts, z3.BoolSort()),
            )
        value, null = self._functions[key]
        equal = name in _BY_EQUALITY
        inputs = [t.value if equal else face(t.value) for t in terms] + [t.null for t in terms]
        if not inputs:
            return self.fresh(name, boolean=boolean)
        given = applied(value, inputs)
        result = Term(given if exact or boolean else alike_of(name, given), applied(null, inputs))
        self.applied.append((name, terms, result))
        return result

    def cast(self, term: Term, name: str) -> Term:
        """Return what a cast makes of a value: of the same the same."""
        result = self.apply(f"::{name}", [term], exact=is_exact(name))
        same = face(result.value) == face(self.as_value(term).value)
        self.spelled.append(any_of(term.null, same))
        sure = name == "uuid" and term.kind in (None, "text", "varchar", "character varying")
        null = term.null if sure else any_of(result.null, term.null)
        found = Term(result.value, null, kind=name)
        self.casts.append((term, found))
        return found

    def read_back(self, term: Term) -> None:
        """Say that a value is the same again once its text is cast to what it was."""
        same = self.apply(f"::{plain(term.kind)}", [term]).value == term.value
        self.facts.append(any_of(term.null, same))

    def casts_of(self, term: Term) -> list[Term]:
        """Return what a value was cast to."""
        return [found for value, found in self.casts if face(value.value).eq(term.value)]

    def as_value(self, term: Term) -> Term:
        """Return a boolean as a Value, so that it can be compared and passed on."""
        if not term.is_bool:
            return term
        yes, no = self.literal("true").value, self.literal("false").value
        return Term(z3.If(term.value, yes, no), term.null)

    def as_bool(self, term: Term) -> Term:
        """Return a Value as a boolean: it is true when it is one of the texts that say so."""
        if term.is_bool:
            return term
        self.literal("true")
        value = face(term.value)
        self.said.append(value)
        return Term(_IS_YES(value), term.null)

    def says_yes(self, term: Term) -> Any:
        """Return the formula under which a text that is read as a boolean is true."""
        value = face(term.value)
        return _IS_YES(value) if any(value.eq(said) for said in self.said) else NO

    def row(self, table: Table) -> Row:
        """Return a new tuple of a table."""
        rows = self.rows.setdefault(table.key, [])
        row = Row(self, table, f"{table.name}[{len(rows) + 1}]")
        rows.append(row)
        return row

    def _seen(self) -> list[list[Row]]:
        """Return the rows that one look finds: what is new may have the key of what it replaces."""
        return [[row for row in rows if row is not self.new] for rows in self.rows.values()]

    def key_facts(self) -> list[Any]:
        """Return: tuples of a table that agree on a key are the same tuple."""
        facts: list[Any] = []
        for rows in self._seen():
            for n, first in enumerate(rows):
                for second in rows[n + 1 :]:
                    facts += _same(first, second)
        return facts

    def reference_facts(self) -> list[Any]:
        """Return: who names a row by one of its keys and by more of its columns names them rightly.

        A foreign key of several columns leads to one row that holds them all. Where some of them
        are a key already, that row is the one which has this key.
        """
        facts: list[Any] = []
        for rows in self.rows.values():
            for row in rows:
                for fk in row.table.foreign_keys:
                    if len(fk.columns) > 1 and holds(row.table, fk):
                        for parent in self.rows.get(fk.target, ()):
                            if parent is not self.new:
                                facts += _led(row, fk, parent)
        return facts

    def label_facts(self) -> list[Any]:
        """Return: a column of an enumerated type holds one of its labels, or nothing.

        Only where policies name one of them; the others are then other values.
        """
        facts = []
        for rows in list(self.rows.values()):
            for row in rows:
                for name, term in list(row.columns.items()):
                    labels = row.table.column(name).labels
                    if labels and not term.is_bool and set(labels) & set(self.literals):
                        one = [term.value == self.literal(label).value for label in labels]
                        facts.append(any_of(term.null, *one))
        return facts

    def literal_facts(self) -> list[Any]:
        """Return: literals are different values where no type takes them for equal."""
        groups: dict[object, list[Any]] = {}
        for text, value in self.literals.items():
            if (shared := alike(text)) is not None:
                groups.setdefault(shared, []).append(value)
        distinct = [z3.Distinct(*(g[0] for g in groups.values()))] if len(groups) > 1 else []
        for group in groups.values():
            others = [g[0] for g in groups.values() if g is not group]
            distinct += [value != other for value in group[1:] for other in others]
        return [*distinct, *_number_likeness(groups), *self._said_facts(), *self._number_facts()]

    def _said_facts(self) -> list[Any]:
        """Return: which of the texts that are known are true as booleans."""
        if not self.said:
            return []
        known = list(self.literals.items())
        yes = [value for text, value in known if is_yes(text)]
        for said in self.said:
            self.spelled.append(_IS_YES(said) == any_of(*(said == one for one in yes)))
        return [_IS_YES(value) == is_yes(text) for text, value in known]

    def _number_facts(self) -> list[Any]:
        """Return: whole numbers have an order, and stay what they are as another type of number.

        A text of digits has another order: one that is written as a text as well says nothing.
        """
        numbers = [n for n in sorted(self.numbers) if str(n) not in self.quoted]
        asked = set(self._functions)
        facts: list[Any] = []
        for first in numbers:
            one = self.literal(str(first))
            for name in _NUMERIC:
                if (name, 1, False) in asked:
                    cast = self.apply(name, [one])
                    facts += [cast.value == one.value, negated(cast.null)]
            if ("<", 2, True) in asked:
                for second in numbers:
                    less = self.apply("<", [one, self.literal(str(second))], boolean=True)
                    facts.append(less.value if first < second else negated(less.value))
        return facts


def _number_likeness(groups: Mapping[object, list[Any]]) -> list[Any]:
    """Return: as a numeric, a number is one and the same however it is written."""
    numbers = [
        [alike_of(NUMERIC, value) for value in group]
        for shared, group in groups.items()
        if isinstance(shared, Decimal)
    ]
    same = [value == group[0] for group in numbers for value in group[1:]]
    return [*same, z3.Distinct(*(g[0] for g in numbers))] if len(numbers) > 1 else same


def holds(table: Table, fk: ForeignKey) -> bool:
    """Whether every row that a query may show meets a foreign key of its table."""
    return fk.validated and not fk.deferrable and not table.inherited


def _led(row: Row, fk: ForeignKey, parent: Row) -> list[Any]:
    pairs = dict(zip(fk.ref_columns, fk.columns, strict=True))
    if parent.table.inherited:
        return []
    keys = [
        u.columns
        for u in parent.table.uniques
        if u.is_key and not u.deferrable and set(u.columns) < set(fk.ref_columns)
    ]
    if not keys:
        return []
    given = [negated(row.column(c).null) for c in fk.columns]
    if not all(comparable(row.column(c).value, parent.column(r).value) for r, c in pairs.items()):
        return []
    equal = {
        ref: all_of(
            row.column(c).value == parent.column(ref).value, negated(parent.column(ref).null)
        )
        for ref, c in pairs.items()
    }
    return [
        z3.Implies(all_of(*given, *(equal[c] for c in key)), all_of(*equal.values()))
        for key in keys
    ]


def _same(first: Row, second: Row) -> list[Any]:
    facts = []
    for unique in first.table.uniques:
        if not unique.is_key or unique.deferrable or first.table.inherited:
            continue
        if any(first.table.column(c).collation for c in unique.columns):
            continue  # an index may have another, by which they are not equal
        keys = [(first.column(c), second.column(c)) for c in unique.columns]
        agree = all_of(
            *(all_of(a.value == b.value, negated(a.null), negated(b.null)) for a, b in keys)
        )
        named = set(first.columns) | set(second.columns)
        equal = [World.is_one(first.column(c), second.column(c)) for c in sorted(named)]
        facts.append(z3.Implies(agree, all_of(*equal)))
    return facts
