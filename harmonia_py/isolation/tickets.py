"""Tables whose rows let somebody into a whole tenant for a while: staff on a grant, API keys.

A ticket needs no seat. It names its holder: a person, or itself, where a claim of the token
carries the ticket's own key. It ends by a mark, a time or a word, and may say what it is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.infer import seat_of, user_columns
from harmonia_py.isolation.model import Membership, TenancyModel
from harmonia_py.isolation.references import References

__all__ = ["Purpose", "Ticket", "tickets"]

_CLAIM = re.compile(r"->>\s*'(\w+)'")
_STANDARD = frozenset(
    "sub role email aal is_anonymous session_id amr exp iat iss aud phone user_metadata"
    " app_metadata".split()
)
_STARTS = re.compile(r"(start|begin|valid_?from|not_?before|effective)", re.I)


@dataclass(frozen=True, slots=True)
class Purpose:
    """Where a ticket says what it is for: a column of its own, or of a table that hangs on it.

    ``source`` is the table (and column) that lists what there is.
    """

    table: str
    column: str
    source: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Ticket:
    """One kind of ticket; ``said`` when the model names it, so that it must open something."""

    seat: Membership
    purpose: Purpose | None = None
    said: bool = False

    @property
    def table(self) -> str:
        """The table of the tickets."""
        return self.seat.table

    @property
    def marks(self) -> tuple[str, ...]:
        """The columns that end a ticket once they are set."""
        return tuple(c for c in (self.seat.deleted, *self.seat.ended) if c)


def tickets(catalog: Catalog, model: TenancyModel, refs: References) -> list[Ticket]:
    """List what may be a ticket: what the model says, and what looks like one.

    Whether one opens anything is for a probe to find out.
    """
    guesses = list(_guesses(catalog, model, refs))
    found = [
        _completed(g, next((x for x in guesses if (x.table, x.user) == (g.table, g.user)), g))
        for g in model.grants
    ]
    said = {g.table for g in model.grants}
    found += [g for g in guesses if g.table not in said]
    return [
        Ticket(seat, _purpose(catalog, model, catalog.tables[seat.table]), seat.table in said)
        for seat in found
        if seat.table in catalog.tables
    ]


def _completed(said: Membership, guess: Membership) -> Membership:
    return replace(
        said,
        starts=said.starts or guess.starts,
        maker=said.maker or guess.maker,
        claim=said.claim or guess.claim,
    )


def _guesses(catalog: Catalog, model: TenancyModel, refs: References) -> Iterator[Membership]:
    root = model.tenant_table
    if root is None:
        return
    people = user_columns(catalog, refs)
    seats = {m.table for m in model.memberships}
    policies = "\n".join(refs.policy_text(t) for t in catalog.tables.values())
    text = refs.closure_text(policies)
    names = dict.fromkeys(n for n in _CLAIM.findall(text) if n not in _STANDARD)
    for table in catalog.tables.values():
        if not table.is_base or table.key in seats or not refs.authority.get(table.key):
            continue
        tied = [fk for fk in table.foreign_keys if fk.target == root and len(fk.columns) == 1]
        seat = seat_of(catalog, refs, table.key, root, people.get(table.key, ())) if tied else None
        if seat is None or seat.expires is None:
            continue
        starts = next((c.name for c in table.columns if _is_start(table, c.name)), None)
        seat = replace(seat, starts=starts)
        makers = [c for c in people.get(table.key, ()) if _vouches(model, text, c)]
        for column in people.get(table.key, ()):
            if table.column(column).not_null:
                yield replace(seat, user=column)
        key = _key(table, seat.tenant)
        for name in names if key else ():
            yield replace(seat, user=key or "", claim=name, maker=next(iter(makers), None))


def _is_start(table: Table, name: str) -> bool:
    return table.column(name).category == "D" and _STARTS.search(name) is not None


def _vouches(model: TenancyModel, text: str, column: str) -> bool:
    """Whether code asks that the person in ``column`` still has a seat."""
    return any(
        re.search(
            rf"\b{re.escape(m.user)}\s*=\s*\w+\.{re.escape(column)}\b"
            rf"|\w+\.{re.escape(column)}\s*=\s*(?:\w+\.)?{re.escape(m.user)}\b",
            text,
        )
        for m in model.memberships
    )


def _key(table: Table, tenant: str) -> str | None:
    """Return the column that alone tells a row: what a token can carry."""
    for unique in table.uniques:
        rest = [c for c in unique.columns if c != tenant]
        if not unique.predicate and not unique.exclusion and len(rest) == 1:
            if table.column(rest[0]).category in "US" and len(unique.columns) == 1:
                return rest[0]
    return None


def _purpose(catalog: Catalog, model: TenancyModel, table: Table) -> Purpose | None:
    """Find the list that a ticket, or a row that hangs on it, takes its purposes from."""
    for fk in table.foreign_keys:
        if _lists(model, fk.target) and len(fk.columns) == 1:
            return Purpose(table.key, fk.columns[0], (fk.target, fk.ref_columns[0]))
    for child in catalog.tables.values():
        if not child.is_base or not any(f.target == table.key for f in child.foreign_keys):
            continue
        for fk in child.foreign_keys:
            if _lists(model, fk.target) and len(fk.columns) == 1:
                return Purpose(child.key, fk.columns[0], (fk.target, fk.ref_columns[0]))
    return None


def _lists(model: TenancyModel, target: str) -> bool:
    return model.of(target).kind in ("public", "internal")
