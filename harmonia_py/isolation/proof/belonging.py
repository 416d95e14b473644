"""Who belongs to a row's tenant: the formulas of membership, of the token, and of the caller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import z3

from harmonia_py.isolation.infer.claims import compared_with_columns
from harmonia_py.isolation.infer.variables import setters
from harmonia_py.isolation.model import Membership, TableModel, TenancyModel
from harmonia_py.isolation.proof.expressions import Translator, expression
from harmonia_py.isolation.proof.formulas import NO, YES, all_of, any_of, negated
from harmonia_py.isolation.proof.likeness import comparable
from harmonia_py.isolation.proof.scope import Scope
from harmonia_py.isolation.proof.terms import Row, Term, World, truth
from harmonia_py.isolation.references import References
from harmonia_py.isolation.standing import Standing

__all__ = ["Belonging"]

#: Claims that Supabase Auth itself fills in; ``clock`` is no claim but the time.
STANDARD = frozenset(
    "sub role email phone aal amr is_anonymous session_id exp iat iss aud clock".split()
)
_ADDRESSES = ("email", "phone")
_USER_WRITABLE = ("user_metadata", "raw_user_meta_data")


class Belonging:
    """What the tenancy model says of the rows and the caller of one world."""

    def __init__(self, world: World, model: TenancyModel, translator: Translator) -> None:
        """Take the world, whose membership rows are those that the policies look for."""
        self.world, self.model, self.translator = world, model, translator
        self._words: frozenset[str] | None = None

    def legitimate(self, row: Row, role: str, command: str, *, new: bool = False) -> Any:
        """Return the formula under which the caller may reach ``row``.

        A ``new`` row lets nobody in before it is there: else whoever writes a seat for himself
        would belong by that very seat.
        """
        table = self.model.of(row.table.key)
        allowed = []
        if command == "select" and table.public_when:
            scope = Scope(role, sources=(("t", row), (row.table.name, row)))
            allowed.append(truth(self.translator.boolean(expression(table.public_when), scope)))
        if role == "anon":
            return any_of(*allowed) if allowed else NO
        for target in self.ends(row, table):
            if table.kind == "user":
                allowed += self.is_caller(target)
                if command == "select":
                    allowed += self._shares_tenant(target)
            else:
                allowed += self.belongs(target, but=row if new else None)
        if table.kind == "user":
            for name in table.users:
                allowed += self.is_caller(row.column(name))
        return any_of(*allowed) if allowed else NO

    @cached_property
    def standing(self) -> Standing:
        """What the project's policies take for special rights."""
        catalog = self.world.catalog
        return Standing(catalog, self.model, References(catalog))

    @cached_property
    def token_names_tenants(self) -> bool:
        """Whether no table lists who belongs, or a column is compared with a claim as well."""
        everything = self.standing.refs.everything
        return not self.model.memberships or compared_with_columns(everything)

    def ends(self, row: Row, table: TableModel) -> Iterator[Term]:
        """Follow the model's path from a row to the column that names its tenant or user."""
        if steps := self.steps(row, table):
            yield steps[-1]

    def steps(self, row: Row, table: TableModel) -> list[Term]:
        """Return the columns on the path to the tenant or user; none where the path breaks off."""
        current: Row | None = row
        found: list[Term] = []
        for number, name in enumerate(table.path):
            if current is None:
                return []
            found.append(current.column(name))
            if number < len(table.path) - 1:
                current = self._parent(current, name)
        return found

    def _parent(self, row: Row, column: str) -> Row | None:
        fk = row.table.step(column)
        target = self.world.catalog.tables.get(fk.target) if fk else None
        if fk is None or target is None:
            return None
        parent = self.world.row(target)
        keys = [row.column(name) for name in fk.columns]
        given = [negated(key.null) for key in keys]
        for key, name in zip(keys, fk.ref_columns, strict=True):
            ref = parent.column(name)
            if not comparable(ref.value, key.value):
                continue
            same = all_of(ref.value == key.value, negated(ref.null))
            self.world.facts.append(z3.Implies(all_of(*given), same))
        return parent

    @staticmethod
    def is_custom(path: str) -> bool:
        """Whether a claim is one that only the project's server puts into the token."""
        root = path.split(".")[0]
        return not path.startswith("setting:") and root not in (*STANDARD, *_USER_WRITABLE)

    def is_caller(self, user: Term) -> list[Any]:
        """Return the formulas under which a column names the caller."""
        return [*self.is_caller_by_id(user), *self.is_addressed(user)]

    def is_caller_by_id(self, user: Term) -> list[Any]:
        """Return the formulas under which a column holds the caller's id, or a claim like it."""
        return [_is(user, self.world.uid)] + [
            _is(user, said)
            for path, term in self.world.claims.items()
            if path != "clock"
            and path.split(".")[0] not in (*_ADDRESSES, *_USER_WRITABLE)
            and (not path.startswith("setting:") or self.made(path) == "user")
            for said in (term, *self.world.casts_of(term))
        ]

    def made(self, path: str) -> str | None:
        """Return what a setting holds that a function of the project makes before a request.

        What any session may set proves nothing.
        """
        name = path.removeprefix("setting:")
        what = None if self.world.tampered else self.model.settings.get(name)
        return what if what and setters(self.world.catalog, name) else None

    def is_addressed(self, user: Term) -> list[Any]:
        """Return the formulas under which a column holds an address of the caller's."""
        claims = self.world.claims
        return [_is(user, claims[path]) for path in _ADDRESSES if path in claims]

    def belongs(self, tenant: Term, but: Row | None = None) -> list[Any]:
        """Return the formulas under which the caller belongs to the tenant that a term names."""
        allowed = []
        for membership in (*self.model.memberships, *self.model.grants):
            for row in self.world.rows.get(membership.table, ()):
                if row is but:
                    continue
                theirs = row.column(membership.tenant)
                same = all_of(
                    theirs.value == tenant.value, negated(theirs.null), negated(tenant.null)
                )
                mine = any_of(*self.is_caller(row.column(membership.user)))
                allowed.append(all_of(same, mine, self._active(row, membership)))
        for path, term in self._tenant_claims():
            same = all_of(term.value == tenant.value, negated(term.null), negated(tenant.null))
            allowed.append(same)
            del path
        for key, value in self._tenant_keys():
            same = all_of(key.value == tenant.value, negated(key.null), negated(tenant.null))
            allowed.append(all_of(same, negated(value.null)))
        return allowed

    def _tenant_keys(self) -> Iterator[tuple[Term, Term]]:
        """Return what was looked up in objects that the server keys by the caller's tenants."""
        trusted = {
            path.partition(".*")[0]
            for path, what in self.model.claims.items()
            if ".*" in path or what == "tenants"
        }
        for path, pairs in self.world.claim_keys.items():
            if path in trusted and path.split(".")[0] not in _USER_WRITABLE:
                yield from pairs

    def _tenant_claims(self) -> Iterator[tuple[str, Term]]:
        # Where no table says who belongs, the token does; what users write themselves never does.
        trusted = {p for p, what in self.model.claims.items() if what in ("tenant", "tenants")}
        for path, term in [
            *self.world.claims.items(),
            *((p, t) for p, terms in self.world.claim_elements.items() for t in terms),
        ]:
            if path.split(".")[0] in _USER_WRITABLE:
                continue
            if path.startswith("setting:") and self.made(path) != "tenant":
                continue
            if (
                path in trusted
                or f"{path}.*" in self.model.claims
                or (not self.model.memberships and path != "clock")
            ):
                for said in (term, *self.world.casts_of(term)):
                    yield path, said

    def _shares_tenant(self, user: Term) -> list[Any]:
        """People see people they share a tenant with, whatever lets them into it."""
        if not self.model.memberships:
            return []
        first = self.model.memberships[0]
        allowed = []
        for theirs in self.world.rows.get(first.table, ()):
            them, tenant = theirs.column(first.user), theirs.column(first.tenant)
            allowed += [
                all_of(them.value == user.value, negated(them.null), mine)
                for mine in self.belongs(tenant)
            ]
        return allowed

    def _asked(self, membership: Membership) -> Membership:
        """Leave out the states that nothing in the project reads: that is a finding of its own."""
        refs = self.standing.refs
        if self._words is None:
            self._words = refs.words(refs.everything)
        unread = {
            name: None
            for name in ("status", "deleted", "expires")
            if (column := getattr(membership, name)) and column not in self._words
        }
        return replace(membership, **unread)  # type: ignore[arg-type]

    def _active(self, row: Row, membership: Membership) -> Any:
        conditions = []
        membership = self._asked(membership)
        if membership.status and membership.active is not None:
            status = row.column(membership.status)
            if status.is_bool:
                wanted = membership.active.lower() == "true"
                conditions.append(all_of(status.value == wanted, negated(status.null)))
            else:
                active = self.world.literal(membership.active)
                conditions.append(all_of(status.value == active.value, negated(status.null)))
        if membership.deleted:
            deleted = row.column(membership.deleted)
            conditions.append(negated(deleted.value) if deleted.is_bool else deleted.null)
        conditions += [row.column(name).null for name in membership.ended]
        if membership.expires:
            expires, ahead = row.column(membership.expires), list[Any]()
            whole_days = expires.kind == "date"
            days = [self.world.today] if whole_days else []
            for now in (self.world.claim("clock"), *self.world.moments, *days):
                later = self.world.apply("<", [now, expires], boolean=True)
                not_yet = negated(self.world.apply("<", [expires, now], boolean=True).value)
                ahead += [later.value, not_yet]
            conditions.append(any_of(expires.null, *ahead))
        return all_of(*conditions) if conditions else YES


def _is(term: Term, known: Term) -> Any:
    return all_of(term.value == known.value, negated(term.null), negated(known.null))
