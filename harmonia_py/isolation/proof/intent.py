"""Access that the tenancy model does not know but that a person may have meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.proof.belonging import Belonging
from harmonia_py.isolation.proof.formulas import NO, YES, all_of, any_of, negated
from harmonia_py.isolation.proof.terms import PARTS, Row, Term, World, truth
from harmonia_py.isolation.shares import parties

__all__ = ["Intent"]

#: Operators that look for a word in a value.
_CONTAINS = frozenset({"@>", "<@", "&&", "?", "?|", "?&", "= any"})


class Intent:
    """Shares, assignments, flags and special rights in one world."""

    def __init__(self, belonging: Belonging) -> None:
        """Take who belongs, which is told apart from what is only meant."""
        self.belonging = belonging
        self.world: World = belonging.world
        self.model: TenancyModel = belonging.model
        self._known: dict[tuple[str, int, int], tuple[Any, object]] = {}

    def meant(self, row: Row, tenant: Term | None, command: str, *, new: bool = False) -> Any:
        """Return the formula of access that the model does not know but a person may have meant.

        A row elsewhere that names both the caller and this row, or what this row is a part of (a
        share, an assignment, the carer of a client), a column of the row itself that names the
        caller, or a flag that makes the row readable. Who is only written to, at an address, is
        invited: that opens what the letter is about, and not the whole tenant. A ``new`` seat that
        names the caller is no such column: it is what is asked for.
        """
        anchors = [*self._anchors(row), *([(YES, tenant)] if tenant is not None else [])]
        whole = self.model.of(row.table.key).kind == "root"
        parts = anchors if whole else list(self._anchors(row, tenants=False))
        members = {m.table for m in (*self.model.memberships, *self.model.grants)} | {"auth.users"}
        found = []
        for key, rows in self.world.rows.items():
            for other in rows:
                if other is row or key in members:
                    continue
                terms = [t for t in other.columns.values() if not t.is_bool]
                known = any_of(
                    *(c for t in terms for c in self.belonging.is_caller_by_id(t)),
                    *self._by_tenant(other, row),
                )
                invited = any_of(*(c for t in terms for c in self.belonging.is_addressed(t)))
                here = any_of(*self._names(row, other, anchors, members))
                about = any_of(*self._names(row, other, parts, members))
                staff = any_of(*self._staff(other))
                found += [all_of(known, any_of(here, staff)), all_of(invited, any_of(about, staff))]
                found += [all_of(any_of(known, invited), more) for more in self._special(other)]
                if command == "select":
                    # A treaty about a thing opens that; one about nothing opens the tenant.
                    what = about if self._is_about(other) else here
                    found += [all_of(between, what) for between in self._between(other)]
        if whole and command == "insert":
            found.append(YES)  # a tenant that is only being founded is nobody else's
        found += self._told_by_token()
        named = [t for t in row.columns.values() if not t.is_bool and t is not tenant]
        seats = {m.user for m in self.model.memberships if new and m.table == row.table.key}
        signed = [t for t in named if not any(t is row.columns.get(c) for c in seats)]
        found += [c for t in signed for c in self.belonging.is_caller(t)]
        if tenant is not None:
            found += self._founded(tenant)
            found += self._given(row)
        if command == "select":
            found += self._between(row)
            found += self._published(row)
            words = [t for t in row.columns.values() if t is not tenant]
            found += [said for term in words for said in self._says(term)]
            found += self._labelled(row)
        return any_of(*found) if found else NO

    def _founded(self, tenant: Term) -> Iterator[Any]:
        """Yield when the tenant's own row names the caller: its owner needs no seat."""
        for row in self.world.rows.get(self.model.tenant_table or "", ()):
            key = row.column(self.model.tenant_key)
            same = all_of(key.value == tenant.value, negated(key.null))
            for name, term in row.columns.items():
                if not term.is_bool and name != self.model.tenant_key:
                    for mine in self.belonging.is_caller_by_id(term):
                        yield all_of(same, mine)

    def _says(self, term: Term) -> Iterator[Any]:
        """Yield when a term says yes, or one of the words that the policies know."""
        if term.is_bool:
            yield all_of(term.value, negated(term.null))
        else:
            yield all_of(self.world.says_yes(term), negated(term.null))
            for literal in self.world.literals.values():
                yield all_of(term.value == literal, negated(term.null))

    def _by_tenant(self, other: Row, row: Row) -> Iterator[Any]:
        """Yield when ``other`` pairs a thing with a tenant of the caller's: it is shared with all.

        Only what a key says to be such a pair, and of no table that the row itself hangs on.
        """
        if other.table.key in {fk.target for fk in row.table.foreign_keys}:
            return
        for column in self._tenant_of_pair(other):
            yield any_of(*self.belonging.belongs(other.columns[column]))
            yield from self._founded(other.columns[column])

    def _given(self, row: Row) -> Iterator[Any]:
        """Yield when a row pairs a thing of the caller's tenant with a tenant.

        What one tenant gives to another is the giver's to see, to write and to take back.
        """
        if not list(self._tenant_of_pair(row)):
            return
        for fk in row.table.foreign_keys:
            path = self.model.of(fk.target).path
            if fk.target == self.model.tenant_table or len(path) != 1 or len(fk.columns) != 1:
                continue
            for parent in self.world.rows.get(fk.target, ()):
                ref, theirs = parent.columns.get(fk.ref_columns[0]), parent.columns.get(path[0])
                if ref is None or theirs is None or fk.columns[0] not in row.columns:
                    continue
                linked = ref.value == row.columns[fk.columns[0]].value
                for mine in (*self.belonging.belongs(theirs), *self._founded(theirs)):
                    yield all_of(linked, mine)

    def _tenant_of_pair(self, row: Row) -> Iterator[str]:
        """Yield the column that names a tenant beside a thing in a key of two."""
        root = self.model.tenant_table
        to = {fk.columns[0]: fk.target for fk in row.table.foreign_keys if len(fk.columns) == 1}
        for unique in row.table.uniques:
            columns = set(unique.columns)
            if len(columns) == 2 and not unique.exclusion and columns <= to.keys():
                things = [c for c in columns if self.model.of(to[c]).kind == "tenant"]
                for column in columns:
                    if to[column] == root and things and column in row.columns:
                        yield column

    def _between(self, row: Row) -> Iterator[Any]:
        """Yield when a row names two tenants, and the caller is of either: what one lets the other.

        Whether it ends, and reaches no further than it says, is tried with rows.
        """
        for name in parties(row.table, self.model):
            if name in row.columns:
                yield from self.belonging.belongs(row.columns[name])

    def _is_about(self, row: Row) -> bool:
        """Whether a row points at more than people and tenants."""
        people = {"auth.users", self.model.tenant_table, *(m.table for m in self.model.memberships)}
        return any(fk.target not in people for fk in row.table.foreign_keys)

    def _told_by_token(self) -> Iterator[Any]:
        """Yield what the server has put into the token to mark the platform's own staff.

        A yes, or a word, unless the token names tenants too: then it may be the role in one.
        """
        for path, term in self.world.claims.items():
            if not self.belonging.is_custom(path):
                continue
            yield all_of(self.world.says_yes(term), negated(term.null))
            for text, literal in self.world.literals.items():
                if text == "true" or not self.belonging.token_names_tenants:
                    yield all_of(term.value == literal, negated(term.null))

    def _labelled(self, row: Row) -> Iterator[Any]:
        """Yield a flag or a word inside a document, array or text of the row, which opens it."""
        inside = [t.value for t in row.columns.values()]
        for name, terms, result in self.world.applied:
            if not any(t.value.eq(value) for t in terms for value in inside):
                continue
            if result.is_bool:
                if name in _CONTAINS:
                    yield truth(result)
            elif name in PARTS:
                inside.append(result.value)
                yield from self._says(result)

    def _names(
        self, row: Row, other: Row, anchors: list[tuple[Any, Term]], members: set[str]
    ) -> Iterator[Any]:
        """Yield when ``other``, or a row that it points at, names the row or what it is a part of.

        What the row points at itself must be what the caller is named by: a patient is let in to
        its own records, and not to those of all patients of the same clinic.
        """
        catalog = self.world.catalog
        near = {fk.target for fk in row.table.foreign_keys}
        near |= {
            fk.target
            for key in near
            if (table := catalog.tables.get(key))
            for fk in table.foreign_keys
        }
        near.add(self.model.tenant_table or "")  # of which everything is a part
        yield from self._same(other, anchors, keyed=other.table.key in near)
        for fk in other.table.foreign_keys:
            if fk.target in members | near or any(c not in other.columns for c in fk.columns):
                continue
            for parent in self.world.rows.get(fk.target, ()):
                if parent is other or any(c not in parent.columns for c in fk.ref_columns):
                    continue
                linked = all_of(
                    *(
                        other.columns[c].value == parent.columns[ref].value
                        for c, ref in zip(fk.columns, fk.ref_columns, strict=True)
                    )
                )
                yield all_of(linked, self._anchored(parent, anchors))

    def _anchored(self, parent: Row, anchors: list[tuple[Any, Term]]) -> Any:
        """Return when a column of a row is an anchor; asked for each row that points at it."""
        key = parent.name, len(parent.columns), id(anchors)
        if key not in self._known:
            found = any_of(NO, *self._same(parent, anchors, keyed=False))
            self._known[key] = found, anchors  # which is kept, so that its number is its own
        return self._known[key][0]

    def _same(self, other: Row, anchors: list[tuple[Any, Term]], *, keyed: bool) -> Iterator[Any]:
        """Yield when a column of ``other`` (of its key alone, for ``keyed``) is an anchor."""
        path = self.model.of(other.table.key).path
        for name, term in other.columns.items():
            if term.is_bool or (keyed and (name not in other.table.primary_key or name in path)):
                continue
            for led, anchor in anchors:
                yield all_of(led, term.value == anchor.value, negated(term.null))

    def _anchors(
        self, row: Row, depth: int = 2, *, tenants: bool = True
    ) -> Iterator[tuple[Any, Term]]:
        """Yield what names the row or what it is a part of, and the formula that leads there."""
        names = [*row.table.primary_key] if depth == 2 else []
        names += [c for fk in row.table.foreign_keys for c in fk.columns]
        path = self.model.of(row.table.key).path
        if not tenants and len(path) == 1:
            names = [name for name in names if name != path[0]]
        for term in (row.columns[c] for c in dict.fromkeys(names) if c in row.columns):
            if not term.is_bool:
                yield YES, term
        if depth == 0:
            return
        for fk in row.table.foreign_keys:
            for parent in self.world.rows.get(fk.target, ()):
                if parent.table is row.table or any(
                    c not in parent.columns for c in fk.ref_columns
                ):
                    continue
                linked = [
                    row.columns[c].value == parent.columns[ref].value
                    for c, ref in zip(fk.columns, fk.ref_columns, strict=True)
                    if c in row.columns
                ]
                for led, term in self._anchors(parent, depth - 1, tenants=tenants):
                    yield all_of(*linked, led), term

    def _staff(self, row: Row) -> Iterator[Any]:
        """Yield what marks a person as the platform's own staff: a flag no client can write."""
        for name, term in row.columns.items():
            written = {p for _, p in row.table.column(name).privileges} & {"INSERT", "UPDATE"}
            if written or name in row.table.primary_key:
                continue
            yield from self._says(term)

    def _published(self, row: Row) -> Iterator[Any]:
        """Yield a flag or a word of the row that ``row`` belongs to, which opens both."""
        members = {m.table for m in (*self.model.memberships, *self.model.grants)}
        for fk in row.table.foreign_keys:
            if fk.target in members or any(c not in row.columns for c in fk.columns):
                continue
            for parent in self.world.rows.get(fk.target, ()):
                if any(c not in parent.columns for c in fk.ref_columns):
                    continue
                linked = [
                    row.columns[c].value == parent.columns[r].value
                    for c, r in zip(fk.columns, fk.ref_columns, strict=True)
                ]
                for term in parent.columns.values():
                    for said in self._says(term):
                        yield all_of(said, *linked)

    def _special(self, other: Row) -> Iterator[Any]:
        """Yield what makes the person whom ``other`` describes more than an ordinary one.

        Whether people can give it to themselves is a question of its own, tried elsewhere.
        """
        if not self.belonging.standing.describes(other.table):
            return
        if self.belonging.standing.granted(other.table):
            yield YES
        for column in self.belonging.standing.privileged(other.table):
            term = other.columns.get(column.name)
            if term is not None:
                yield from self._says(term)
