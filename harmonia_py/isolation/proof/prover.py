"""Ask, for each table and command, whether somebody without a membership can pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import z3

from harmonia_py.isolation.catalog import Catalog, ForeignKey, Policy, Table
from harmonia_py.isolation.model import Membership, TenancyModel
from harmonia_py.isolation.proof.belonging import Belonging
from harmonia_py.isolation.proof.expressions import Translator, expression
from harmonia_py.isolation.proof.formulas import NO, YES, all_of, any_of, negated
from harmonia_py.isolation.proof.functions import Functions
from harmonia_py.isolation.proof.intent import Intent
from harmonia_py.isolation.proof.likeness import comparable
from harmonia_py.isolation.proof.queries import Queries
from harmonia_py.isolation.proof.scope import Scope
from harmonia_py.isolation.proof.terms import ANY_LITERAL, Row, World, holds, truth
from harmonia_py.isolation.proof.witness import Witness, describe, witness

__all__ = ["Proof", "prove", "prove_table", "questions", "unanswered"]

_PRIVILEGE = {"select": "SELECT", "insert": "INSERT", "update": "UPDATE", "delete": "DELETE"}
_TIMEOUT = 2_000  # milliseconds a question may take
_LINKS = 2  # foreign keys from what a policy reads to who belongs


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
    if role in table.exempt:
        return Proof(
            table.key, command, role, "refuted", "no policy binds the role", "every row passes"
        )
    if not table.rls:
        return Proof(
            table.key, command, role, "refuted", "row level security is off", "every row passes"
        )
    for clause in _CLAUSES[command]:
        texts = tuple(
            sorted((p.permissive, _text(p, clause)) for p in table.policies_for(command, role))
        )
        # Reading may be wider than writing (public rows, colleagues), and a seat that is only
        # being written lets nobody in yet; otherwise the same clauses are the same question.
        listed = {m.table for m in (*model.memberships, *model.grants)}
        seat = clause == "check" and table.key in listed
        question = (role, command == "select", seat, clause == "check", texts)
        if question not in known:
            template = _template(catalog, model, table, question)
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
    catalog: Catalog, model: TenancyModel, table: Table, question: tuple[object, ...]
) -> tuple[object, ...] | None:
    """Return what makes two tables the same question up to the texts their policies quote.

    What holds for any quoted text holds for each, so one proof serves all tables of a shape.
    Texts that name a claim or a setting mean something and are never generalized.
    """
    role, reads, seat, _, texts = question  # alone, what is new is like what was there
    seen: dict[str, int] = {}
    shape = tuple((permissive, _general(text, seen)) for permissive, text in texts)  # type: ignore[attr-defined]
    joined = " ".join(text for _, text in shape)
    said = model.of(table.key)
    if any(mark in joined for mark in ("->", "#>", "current_setting", table.name)):
        return None
    named = tuple(
        (c.name, c.not_null, c.base, c.old_nulls, c.collation)
        for c in table.columns
        if c.name in joined
    )
    steps = _steps(catalog, table, said.path)
    particular = (table.inherited, said.kind, said.users, said.public_when)
    return role, reads, seat, shape, steps, particular, named


def _steps(catalog: Catalog, table: Table, path: Sequence[str]) -> tuple[object, ...]:
    """Return a path and where it leads: columns of one name may point at different tables."""
    found: list[object] = []
    current: Table | None = table
    for name in path:
        fk = current.step(name) if current is not None else None
        found.append((name, fk and (fk.columns, fk.target, fk.ref_columns)))
        current = catalog.tables.get(fk.target) if fk else None
    return tuple(found)


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
        if match[0].startswith("'{"):
            return match[0]  # an array or a path, which is taken apart
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
    """Search for a world. ``alone`` leaves out what is particular to the table.

    Those are its foreign keys, and that rows which helpers read may be the one in question.
    """
    world = World(catalog)
    prover = _Prover(world, model)
    row = world.row(table)
    if clause == "check":
        world.new = row
    if alone:
        world.rows[table.key].remove(row)
    passes = prover.policies(row, command, clause, Scope(role))
    if role == "anon":
        world.facts.append(world.uid.null)
    if not alone:
        prover.parents(row)
    prover.seats(row)
    new = clause == "check"
    legitimate = prover.belonging.legitimate(row, role, command, new=new)
    steps = prover.belonging.steps(row, model.of(table.key))
    tenant = steps[-1] if steps else None
    if "role" in world.claims:
        # PostgREST takes the database role from this claim: it says nothing else.
        claim, known = world.claims["role"], world.literal(role)
        world.facts.append(all_of(claim.value == known.value, negated(claim.null)))
    solver = z3.Solver()
    solver.set("timeout", _TIMEOUT)
    labels = world.label_facts()  # before the literals are told apart: it adds some
    solver.add(*world.facts, *labels, *world.literal_facts(), passes, negated(legitimate))
    verdict = solver.check()
    if verdict != z3.unsat:
        # Facts only exclude worlds, so the costly ones wait until they are needed.
        solver.add(*world.key_facts(), *world.reference_facts())
        verdict = solver.check()
    if verdict == z3.unsat and (world.tampered or _is_written(world, row)):
        reason = "what is asked sets settings or writes: who is calling may be another then"
        return Proof(table.key, command, role, "unknown", reason)
    if verdict == z3.unsat:
        return Proof(table.key, command, role, "proven")
    if verdict == z3.unknown:
        return Proof(table.key, command, role, "unknown", "the solver gave up in time")
    # Such a world is easier to make, and to tell, where texts are written as they are read.
    solver.push()
    solver.add(*world.spelled)
    if solver.check() != z3.sat:
        solver.pop()
        solver.check()
    solver.push()
    solver.add(negated(prover.intent.meant(row, tenant, command, new=new)))
    solver.add(*(negated(step.null) for step in steps))  # what leads to nobody is no tenant's
    convincing = solver.check() == z3.sat
    if not convincing:
        solver.pop()
        solver.check()
    found = witness(solver, world, row, tenant)
    tried = found if convincing else None
    if world.opaque:
        # Perhaps it holds what cannot be: only trying it tells.
        reason = "not understood: " + "; ".join(world.opaque)
        return Proof(table.key, command, role, "unknown", reason, "", clause, tried)
    what = "the new row" if clause == "check" else "the row"
    return Proof(
        table.key,
        command,
        role,
        "refuted",
        f"{what} may belong to a tenant the caller is not in",
        describe(found),
        clause,
        tried,
    )


def _is_written(world: World, but: Row) -> bool:
    """Whether what is asked may write what it reads: a row that lets in may come of the asking."""
    read = {row.table.name for rows in world.rows.values() for row in rows if row is not but}
    return not read.isdisjoint(world.written)


class _Prover:
    """The policies of the world's tables, and what is held against them."""

    def __init__(self, world: World, model: TenancyModel) -> None:
        self.world = world
        functions = Functions(world)
        self.translator = Translator(world, self._rows, functions.call)
        self.queries = Queries(world, self.translator, self._visible, functions.returned)
        functions.translator, functions.queries = self.translator, self.queries
        self.belonging = Belonging(world, model, self.translator)
        self.intent = Intent(self.belonging)

    def _rows(self, select: Any, scope: Scope) -> Any:
        return self.queries.rows(select, scope)

    # What a row must satisfy -----------------------------------------------------------------

    def policies(self, row: Row, command: str, clause: str, scope: Scope) -> Any:
        """Return the formula under which ``row`` passes the policies of a command."""
        applied = row.table.policies_for(command, scope.role)
        inner = replace(scope.inner(((row.table.name, row),)), deparsed=True)
        permissive = [self._clause(p, clause, inner) for p in applied if p.permissive]
        restrictive = [self._clause(p, clause, inner) for p in applied if not p.permissive]
        if not permissive:
            return NO
        return all_of(any_of(*permissive), *restrictive)

    def _clause(self, policy: Policy, clause: str, scope: Scope) -> Any:
        text = policy.using if clause == "using" else policy.check or policy.using
        if text is None:
            return YES
        return truth(self.translator.boolean(expression(text), scope))

    def _visible(self, row: Row, scope: Scope) -> Any:
        """Return what a sub-query without definer rights is shown by the policies it meets."""
        key = f"policies of {row.table.key}"
        if scope.definer or not row.table.rls or scope.role in row.table.exempt:
            return YES
        if key in scope.visiting or scope.depth > 4:
            return YES
        visiting = scope.visiting | {key}
        inner = replace(scope.deeper(), sources=(), variables={}, queries={}, visiting=visiting)
        return self.policies(row, "select", "using", inner)

    # Facts of foreign keys -------------------------------------------------------------------

    def parents(self, row: Row) -> None:
        """Let the row's foreign keys point at rows that exist, and follow the tenant path."""
        for fk in row.table.foreign_keys:
            target = self.world.catalog.tables.get(fk.target)
            # A row of nowhere leads nowhere, and one that was let in late may lead elsewhere.
            if target is not None and target.key != row.table.key and holds(row.table, fk):
                self._parent(row, fk, target)

    def seats(self, but: Row) -> None:
        """Let what was read be of members where a foreign key says so: of rights kept ready.

        What such a row says of the member, the key has to carry as well: it says nothing of the
        columns that it leaves out.
        """
        listed = {
            m.table for m in (*self.belonging.model.memberships, *self.belonging.model.grants)
        }
        todo = [
            (row, _LINKS) for rows in self.world.rows.values() for row in rows if row is not but
        ]
        while todo:
            row, links = todo.pop()
            for fk in row.table.foreign_keys:
                target = self.world.catalog.tables.get(fk.target)
                if target is None or not holds(row.table, fk) or links == 0:
                    continue
                if self._leads(target, listed, links - 1):
                    todo.append((self._parent(row, fk, target), links - 1))

    def _leads(self, table: Table, listed: set[str], links: int) -> bool:
        """Whether a table says who belongs, or its foreign keys lead to one that does."""
        if table.key in listed:
            return True
        targets = [self.world.catalog.tables.get(fk.target) for fk in table.foreign_keys]
        return links > 0 and any(t and self._leads(t, listed, links - 1) for t in targets)

    def _parent(self, row: Row, fk: ForeignKey, target: Table) -> Row:
        parent = self.world.row(target)
        keys = [row.column(c) for c in fk.columns]
        refs = [parent.column(name) for name in fk.ref_columns]
        if not all(comparable(k.value, ref.value) for k, ref in zip(keys, refs, strict=True)):
            return parent
        given = all_of(*(negated(k.null) for k in keys))
        same = [
            all_of(ref.value == key.value, negated(ref.null))
            for ref, key in zip(refs, keys, strict=True)
        ]
        self.world.facts.append(z3.Implies(given, all_of(*same)))
        return parent
