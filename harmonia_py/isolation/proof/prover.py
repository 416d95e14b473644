"""Ask, for each table and command, whether somebody without a membership can pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import z3

from harmonia_py.isolation.catalog import Catalog, Policy, Table
from harmonia_py.isolation.model import Membership, TableModel, TenancyModel
from harmonia_py.isolation.proof.expressions import Translator, expression
from harmonia_py.isolation.proof.functions import Functions
from harmonia_py.isolation.proof.queries import Queries
from harmonia_py.isolation.proof.scope import Scope
from harmonia_py.isolation.proof.terms import ANY_LITERAL, NO, YES, Row, Term, World, truth
from harmonia_py.isolation.proof.witness import Witness, describe, witness
from harmonia_py.isolation.references import References
from harmonia_py.isolation.standing import Standing

__all__ = ["Proof", "prove", "prove_table", "questions", "unanswered"]

_PRIVILEGE = {"select": "SELECT", "insert": "INSERT", "update": "UPDATE", "delete": "DELETE"}
_TIMEOUT = 2_000  # milliseconds a question may take
_USER_WRITABLE = ("user_metadata", "raw_user_meta_data")


@dataclass(frozen=True, slots=True)
class Proof:
    """The answer for one table, command and role.

    ``status``: proven (no world breaks it), refuted (``counterexample`` describes one that the
    solver fully understands), or unknown with the reason. ``witness`` is such a world in which
    nothing that a project may have meant (a row that names the caller beside the row in
    question, a flag of the row) explains the access; it waits to be tried.
    """

    table: str
    command: str
    role: str
    status: str
    reason: str = ""
    counterexample: str = ""
    clause: str = ""
    witness: Witness | None = None

    def as_dict(self) -> dict[str, str]:
        """Return plain JSON-able data, without the world."""
        return {
            "table": self.table,
            "command": self.command,
            "role": self.role,
            "status": self.status,
            "reason": self.reason,
            "counterexample": self.counterexample,
        }


def prove(catalog: Catalog, model: TenancyModel) -> list[Proof]:
    """Return one proof for each reachable tenant, root or user table, command and API role."""
    templates: dict[tuple[object, ...], bool] = {}
    return [
        proof
        for key in questions(catalog, model)
        for proof in prove_table(catalog, model, catalog.tables[key], templates)
    ]


def questions(catalog: Catalog, model: TenancyModel) -> list[str]:
    """Return the tables that proofs are about."""
    return [
        table.key
        for table in catalog.tables.values()
        if table.is_base and model.of(table.key).kind in ("tenant", "root", "user")
    ]


def unanswered(catalog: Catalog, key: str, reason: str) -> list[Proof]:
    """Return what stands in the report for a table whose questions got no answer."""
    return [
        Proof(key, command, role, "unknown", reason)
        for role in catalog.roles
        for command in _PRIVILEGE
    ]


def prove_table(
    catalog: Catalog,
    model: TenancyModel,
    table: Table,
    templates: dict[tuple[object, ...], bool] | None = None,
) -> list[Proof]:
    """Return the proofs of one table; ``templates`` carries what other tables have proven."""
    known: dict[tuple[object, ...], Proof] = {}
    templates = {} if templates is None else templates
    return [
        _answer(catalog, model, table, command, role, known, templates)
        for role in catalog.roles
        for command in _PRIVILEGE
    ]


def _is_indirect(catalog: Catalog, model: TenancyModel, membership: Membership) -> bool:
    """Whether a membership names a group of the tenant instead of the tenant."""
    table = catalog.tables.get(membership.table)
    step = table.step(membership.tenant) if table and table.has(membership.tenant) else None
    return step is not None and model.tenant_table not in (None, step.target)


def _answer(
    catalog: Catalog,
    model: TenancyModel,
    table: Table,
    command: str,
    role: str,
    known: dict[tuple[object, ...], Proof],
    templates: dict[tuple[object, ...], bool],
) -> Proof:
    if not table.can(role, _PRIVILEGE[command]):
        return Proof(table.key, command, role, "proven", "the role holds no privilege")
    if any(_is_indirect(catalog, model, m) for m in model.memberships):
        reason = "people belong to groups of tenants, which proofs do not follow"
        return Proof(table.key, command, role, "unknown", reason)
    if not table.rls:
        return Proof(
            table.key, command, role, "refuted", "row level security is off", "every row passes"
        )
    for clause in _CLAUSES[command]:
        texts = tuple(
            sorted((p.permissive, _text(p, clause)) for p in table.policies_for(command, role))
        )
        # Reading may be wider than writing (public rows, colleagues); otherwise the same
        # clauses are the same question.
        question = (role, command == "select", texts)
        if question not in known:
            template = _template(model, table, question)
            if template is not None and template not in templates:
                general = _generalized(table)
                first = _ask(catalog, model, general, command, role, clause, alone=True)
                templates[template] = first.status == "proven"
            if template is not None and templates[template]:
                known[question] = Proof(table.key, command, role, "proven")
            else:
                known[question] = _ask(catalog, model, table, command, role, clause)
        if known[question].status != "proven":
            return replace(known[question], command=command, clause=clause)
    return Proof(table.key, command, role, "proven", "no row of another tenant passes")


def _template(
    model: TenancyModel, table: Table, question: tuple[object, ...]
) -> tuple[object, ...] | None:
    """Return what makes two tables the same question up to the texts their policies quote.

    What holds for any quoted text holds for each, so one proof serves all tables of a shape.
    Texts that name a claim or a setting mean something and are never generalized.
    """
    role, reads, texts = question
    seen: dict[str, int] = {}
    shape = tuple((permissive, _general(text, seen)) for permissive, text in texts)  # type: ignore[attr-defined]
    joined = " ".join(text for _, text in shape)
    said = model.of(table.key)
    if any(mark in joined for mark in ("->", "#>", "current_setting", table.name)):
        return None
    named = tuple((c.name, c.not_null, c.base) for c in table.columns if c.name in joined)
    return role, reads, shape, said.kind, said.path, said.users, said.public_when, named


def _generalized(table: Table) -> Table:
    seen: dict[str, int] = {}
    return replace(
        table,
        policies=tuple(
            replace(
                p,
                using=p.using and _general(p.using, seen),
                check=p.check and _general(p.check, seen),
            )
            for p in table.policies
        ),
    )


def _general(text: str, seen: dict[str, int]) -> str:
    """Replace quoted texts by numbers; ``seen`` keeps different ones different."""

    def stand_in(match: re.Match[str]) -> str:
        if match[0].lower() in ("'t'", "'f'", "'true'", "'false'"):
            return match[0]
        return f"'{ANY_LITERAL}{seen.setdefault(match[0], len(seen))}'"

    return re.sub(r"'(?:[^']|'')*'", stand_in, text)


_CLAUSES = {
    "select": ("using",),
    "insert": ("check",),
    "update": ("using", "check"),
    "delete": ("using",),
}


def _text(policy: Policy, clause: str) -> str:
    text = policy.using if clause == "using" else policy.check or policy.using
    return text or ""


def _ask(
    catalog: Catalog,
    model: TenancyModel,
    table: Table,
    command: str,
    role: str,
    clause: str,
    *,
    alone: bool = False,
) -> Proof:
    """Search for a world. ``alone`` leaves out what is particular to the table's references."""
    world = World(catalog)
    prover = _Prover(world, model)
    row = world.row(table)
    passes = prover.policies(row, command, clause, Scope(role))
    if role == "anon":
        world.facts.append(world.uid.null)
    if not alone:
        prover.parents(row)
    legitimate = prover.legitimate(row, role, command)
    steps = prover.steps(row, model.of(table.key))
    tenant = steps[-1] if steps else None
    if "role" in world.claims:
        # PostgREST takes the database role from this claim: it says nothing else.
        claim, known = world.claims["role"], world.literal(role)
        world.facts.append(z3.And(claim.value == known.value, z3.Not(claim.null)))
    solver = z3.Solver()
    solver.set("timeout", _TIMEOUT)
    labels = world.label_facts()  # before the literals are told apart: it adds some
    solver.add(*world.facts, *labels, *world.literal_facts(), passes, z3.Not(legitimate))
    verdict = solver.check()
    if verdict != z3.unsat:
        # Facts only exclude worlds, so the costly ones wait until they are needed.
        solver.add(*world.key_facts(), *world.reference_facts())
        verdict = solver.check()
    if verdict == z3.unsat:
        return Proof(table.key, command, role, "proven")
    if verdict == z3.unknown:
        return Proof(table.key, command, role, "unknown", "the solver gave up in time")
    if world.opaque:
        return Proof(
            table.key, command, role, "unknown", "not understood: " + "; ".join(world.opaque)
        )
    solver.push()
    solver.add(z3.Not(prover.meant(row, tenant, command)))
    solver.add(*(z3.Not(step.null) for step in steps))  # what leads to nobody is no tenant's
    convincing = solver.check() == z3.sat
    if not convincing:
        solver.pop()
        solver.check()
    found = witness(solver, world, row, tenant)
    what = "the new row" if clause == "check" else "the row"
    return Proof(
        table.key,
        command,
        role,
        "refuted",
        f"{what} may belong to a tenant the caller is not in",
        describe(found),
        clause,
        found if convincing else None,
    )


class _Prover:
    """The policies of the world's tables, and what counts as belonging."""

    def __init__(self, world: World, model: TenancyModel) -> None:
        self.world, self.model = world, model
        self._words: frozenset[str] | None = None
        functions = Functions(world)
        self.translator = Translator(world, self._rows, functions.call)
        self.queries = Queries(world, self.translator, self._visible, functions.returned)
        functions.translator, functions.queries = self.translator, self.queries

    def _rows(self, select: Any, scope: Scope) -> Any:
        return self.queries.rows(select, scope)

    # What a row must satisfy -----------------------------------------------------------------

    def policies(self, row: Row, command: str, clause: str, scope: Scope) -> Any:
        """Return the formula under which ``row`` passes the policies of a command."""
        applied = row.table.policies_for(command, scope.role)
        inner = scope.inner(((row.table.name, row),))
        permissive = [self._clause(p, clause, inner) for p in applied if p.permissive]
        restrictive = [self._clause(p, clause, inner) for p in applied if not p.permissive]
        if not permissive:
            return NO
        return z3.And(z3.Or(*permissive), *restrictive)

    def _clause(self, policy: Policy, clause: str, scope: Scope) -> Any:
        text = policy.using if clause == "using" else policy.check or policy.using
        if text is None:
            return YES
        return truth(self.translator.boolean(expression(text), scope))

    def _visible(self, row: Row, scope: Scope) -> Any:
        """Return what a sub-query without definer rights is shown by the policies it meets."""
        key = f"policies of {row.table.key}"
        if scope.definer or not row.table.rls or key in scope.visiting or scope.depth > 4:
            return YES
        inner = replace(scope.deeper(), sources=(), variables={}, visiting=scope.visiting | {key})
        return self.policies(row, "select", "using", inner)

    # Facts of foreign keys -------------------------------------------------------------------

    def parents(self, row: Row) -> None:
        """Let the row's foreign keys point at rows that exist, and follow the tenant path."""
        for fk in row.table.foreign_keys:
            target = self.world.catalog.tables.get(fk.target)
            if target is None or target.key == row.table.key:
                continue
            parent = self.world.row(target)
            keys = [row.column(c) for c in fk.columns]
            given = z3.And(*(z3.Not(k.null) for k in keys))
            same = [
                z3.And(parent.column(ref).value == key.value, z3.Not(parent.column(ref).null))
                for ref, key in zip(fk.ref_columns, keys, strict=True)
            ]
            self.world.facts.append(z3.Implies(given, z3.And(*same)))

    # Who belongs -----------------------------------------------------------------------------

    def legitimate(self, row: Row, role: str, command: str) -> Any:
        """Return the formula under which the caller may reach ``row``."""
        table = self.model.of(row.table.key)
        allowed = []
        if command == "select" and table.public_when:
            scope = Scope(role, sources=(("t", row), (row.table.name, row)))
            allowed.append(truth(self.translator.boolean(expression(table.public_when), scope)))
        if role == "anon":
            return z3.Or(*allowed) if allowed else NO
        for target in self.ends(row, table):
            if table.kind == "user":
                allowed += self._is_caller(target)
                if command == "select":
                    allowed += self._shares_tenant(target)
            else:
                allowed += self._belongs(target)
        if table.kind == "user":
            for name in table.users:
                allowed += self._is_caller(row.column(name))
        return z3.Or(*allowed) if allowed else NO

    def meant(self, row: Row, tenant: Term | None, command: str) -> Any:
        """Return the formula of access that the model does not know but a person may have meant.

        A row elsewhere that names both the caller and this row, or what this row is a part of (a
        share, an assignment, the carer of a client), a column of the row itself that names the
        caller, or a flag that makes the row readable.
        """
        anchors = [*self._anchors(row), *([(YES, tenant)] if tenant is not None else [])]
        known = (*self.model.memberships, *self.model.grants)
        members = {m.table for m in known} | {"auth.users"}
        found = []
        for key, rows in self.world.rows.items():
            for other in rows:
                if other is row or key in members:
                    continue
                terms = [t for t in other.columns.values() if not t.is_bool]
                caller = z3.Or(*(c for t in terms for c in self._is_caller(t)))
                here = z3.Or(*self._names(row, other, anchors, members))
                found.append(z3.And(caller, z3.Or(here, *self._staff(other))))
                found += [z3.And(caller, special) for special in self._special(other)]
        named = [t for t in row.columns.values() if not t.is_bool and t is not tenant]
        found += [c for t in named for c in self._is_caller(t)]
        if command == "select":
            found += self._published(row)
            found += [z3.And(t.value, z3.Not(t.null)) for t in row.columns.values() if t.is_bool]
            found += [
                z3.And(t.value == literal, z3.Not(t.null))
                for t in named
                for literal in self.world.literals.values()
            ]
        return z3.Or(*found) if found else NO

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
                linked = z3.And(
                    *(
                        other.columns[c].value == parent.columns[ref].value
                        for c, ref in zip(fk.columns, fk.ref_columns, strict=True)
                    )
                )
                for same in self._same(parent, anchors, keyed=False):
                    yield z3.And(linked, same)

    def _same(self, other: Row, anchors: list[tuple[Any, Term]], *, keyed: bool) -> Iterator[Any]:
        """Yield when a column of ``other`` (of its key alone, for ``keyed``) is an anchor."""
        path = self.model.of(other.table.key).path
        for name, term in other.columns.items():
            if term.is_bool or (keyed and (name not in other.table.primary_key or name in path)):
                continue
            for led, anchor in anchors:
                yield z3.And(led, term.value == anchor.value, z3.Not(term.null))

    def _anchors(self, row: Row, depth: int = 2) -> Iterator[tuple[Any, Term]]:
        """Yield what names the row or what it is a part of, and the formula that leads there."""
        names = [*row.table.primary_key] if depth == 2 else []
        names += [c for fk in row.table.foreign_keys for c in fk.columns]
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
                for led, term in self._anchors(parent, depth - 1):
                    yield z3.And(*linked, led), term

    def _staff(self, row: Row) -> Iterator[Any]:
        """Yield what marks a person as the platform's own staff: a flag no client can write."""
        for name, term in row.columns.items():
            written = {p for _, p in row.table.column(name).privileges} & {"INSERT", "UPDATE"}
            if written or name in row.table.primary_key:
                continue
            if term.is_bool:
                yield z3.And(term.value, z3.Not(term.null))
            else:
                for literal in self.world.literals.values():
                    yield z3.And(term.value == literal, z3.Not(term.null))

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
                    opens = (
                        [term.value]
                        if term.is_bool
                        else [term.value == literal for literal in self.world.literals.values()]
                    )
                    for said in opens:
                        yield z3.And(said, z3.Not(term.null), *linked)

    def _special(self, other: Row) -> Iterator[Any]:
        """Yield what makes the person whom ``other`` describes more than an ordinary one.

        Whether people can give it to themselves is a question of its own, tried elsewhere.
        """
        if not self.standing.describes(other.table):
            return
        if self.standing.granted(other.table):
            yield YES
        for column in self.standing.privileged(other.table):
            term = other.columns.get(column.name)
            if term is None:
                continue
            if term.is_bool:
                yield z3.And(term.value, z3.Not(term.null))
            else:
                for literal in self.world.literals.values():
                    yield z3.And(term.value == literal, z3.Not(term.null))

    @cached_property
    def standing(self) -> Standing:
        """What the project's policies take for special rights."""
        catalog = self.world.catalog
        return Standing(catalog, self.model, References(catalog))

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
        given = [z3.Not(key.null) for key in keys]
        for key, name in zip(keys, fk.ref_columns, strict=True):
            ref = parent.column(name)
            same = z3.And(ref.value == key.value, z3.Not(ref.null))
            self.world.facts.append(z3.Implies(z3.And(*given), same))
        return parent

    def _is_caller(self, user: Term) -> list[Any]:
        return [
            z3.And(user.value == known.value, z3.Not(user.null), z3.Not(known.null))
            for known in self._identities()
        ]

    def _identities(self) -> list[Term]:
        return [self.world.uid] + [
            term
            for path, term in self.world.claims.items()
            if path != "clock"
            and path.split(".")[0] not in _USER_WRITABLE
            and not path.startswith("setting:")
        ]

    def _belongs(self, tenant: Term) -> list[Any]:
        allowed = []
        for membership in (*self.model.memberships, *self.model.grants):
            for row in self.world.rows.get(membership.table, ()):
                theirs = row.column(membership.tenant)
                same = z3.And(
                    theirs.value == tenant.value, z3.Not(theirs.null), z3.Not(tenant.null)
                )
                mine = z3.Or(*self._is_caller(row.column(membership.user)))
                allowed.append(z3.And(same, mine, self._active(row, membership)))
        for path, term in self._tenant_claims():
            same = z3.And(term.value == tenant.value, z3.Not(term.null), z3.Not(tenant.null))
            allowed.append(same)
            del path
        return allowed

    def _tenant_claims(self) -> Iterator[tuple[str, Term]]:
        # Where no table says who belongs, the token does; what users write themselves never does.
        trusted = {p for p, what in self.model.claims.items() if what == "tenant"}
        for path, term in [
            *self.world.claims.items(),
            *((p, t) for p, terms in self.world.claim_elements.items() for t in terms),
        ]:
            if path.split(".")[0] in _USER_WRITABLE or path.startswith("setting:request.headers"):
                continue
            if path in trusted or (not self.model.memberships and path != "clock"):
                yield path, term

    def _shares_tenant(self, user: Term) -> list[Any]:
        """People see people they share a tenant with, whatever lets them into it."""
        if not self.model.memberships:
            return []
        first = self.model.memberships[0]
        allowed = []
        for theirs in self.world.rows.get(first.table, ()):
            them, tenant = theirs.column(first.user), theirs.column(first.tenant)
            allowed += [
                z3.And(them.value == user.value, z3.Not(them.null), mine)
                for mine in self._belongs(tenant)
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
                conditions.append(z3.And(status.value == wanted, z3.Not(status.null)))
            else:
                active = self.world.literal(membership.active)
                conditions.append(z3.And(status.value == active.value, z3.Not(status.null)))
        if membership.deleted:
            deleted = row.column(membership.deleted)
            conditions.append(z3.Not(deleted.value) if deleted.is_bool else deleted.null)
        conditions += [row.column(name).null for name in membership.ended]
        if membership.expires:
            expires = row.column(membership.expires)
            clock = self.world.claim("clock")
            later = self.world.apply("<", [clock, expires], boolean=True)
            not_yet = z3.Not(self.world.apply("<", [expires, clock], boolean=True).value)
            conditions.append(z3.Or(expires.null, later.value, not_yet))
        return z3.And(*conditions) if conditions else YES
