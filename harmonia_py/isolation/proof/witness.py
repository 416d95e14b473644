"""A world that breaks a policy, as plain values: what is needed to build it and try it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import z3

from harmonia_py.isolation.proof.formulas import all_of
from harmonia_py.isolation.proof.terms import Row, Term, World

__all__ = ["Cell", "Witness", "describe", "witness"]

#: None is NULL, a bool is itself, a text names a value: equal texts are equal values.
Cell = str | bool | None


@dataclass(frozen=True, slots=True)
class Witness:
    """The tuples and the session of one world. ``rows[0]`` is the row in question.

    ``tenant`` names the value at the end of the row's path, ``literals`` says which names stand
    for a text of the policies, ``claims`` maps dotted paths (``setting:name`` for settings) to a
    value or, for arrays, a list. ``future`` lists (row, column) that lie after the clock.
    """

    uid: Cell
    tenant: Cell
    claims: dict[str, Cell | list[Cell]]
    rows: tuple[tuple[str, dict[str, Cell]], ...]
    literals: dict[str, str] = field(default_factory=dict)
    future: frozenset[tuple[int, str]] = frozenset()


def witness(solver: Any, world: World, subject: Row, tenant: Term | None) -> Witness:
    """Read a world off a satisfiable solver, with as few accidental equalities as possible."""
    _spread(solver, world, tenant)
    solver.check()
    model = solver.model()

    def cell(term: Term) -> Cell:
        if z3.is_true(model.eval(term.null, model_completion=True)):
            return None
        value = model.eval(term.value, model_completion=True)
        return bool(z3.is_true(value)) if term.is_bool else str(value)

    rows = [subject] + [r for rs in world.rows.values() for r in rs if r is not subject]
    clock = world.claims.get("clock")
    future = set()
    if clock is not None:
        for number, row in enumerate(rows):
            for name, term in row.columns.items():
                if row.table.column(name).category != "D" or term.is_bool:
                    continue
                later = world.apply("<", [clock, term], boolean=True)
                if z3.is_true(model.eval(later.value, model_completion=True)):
                    future.add((number, name))
    claims: dict[str, Cell | list[Cell]] = {
        path: cell(term) for path, term in world.claims.items() if path != "clock"
    }
    for path, terms in world.claim_elements.items():
        claims[path] = [cell(term) for term in terms]
    return Witness(
        uid=cell(world.uid),
        tenant=cell(tenant) if tenant is not None else None,
        claims=claims,
        rows=tuple(
            (row.table.key, {name: cell(term) for name, term in row.columns.items()})
            for row in rows
        ),
        literals={
            str(model.eval(value, model_completion=True)): text
            for text, value in world.literals.items()
        },
        future=frozenset(future),
    )


def _spread(solver: Any, world: World, tenant: Term | None) -> None:
    """Keep absent what may be absent, and apart what may be apart."""
    references = [
        term
        for rows in world.rows.values()
        for row in rows
        for name, term in row.columns.items()
        if any(name in fk.columns for fk in row.table.foreign_keys)
    ]
    for term in (*world.claims.values(), *references):
        if term is not tenant and solver.check(term.null) == z3.sat:
            solver.add(term.null)
    apart = [world.uid, *world.claims.values()] + ([tenant] if tenant is not None else [])
    apart += [t for rows in world.rows.values() for row in rows for t in row.columns.values()]
    known = list(world.literals.values())
    for term in apart[:80]:
        if term.is_bool:
            continue
        different = all_of(*(term.value != other for other in known)) if known else None
        if different is not None and solver.check(different) == z3.sat:
            solver.add(different)
        known.append(term.value)


def describe(found: Witness) -> str:
    """Write a world as a short list of equal things."""
    groups: dict[str, list[str]] = {}
    for symbol, text in found.literals.items():
        groups.setdefault(symbol, []).append(f"'{text}'")
    if isinstance(found.uid, str):
        groups.setdefault(found.uid, []).append("auth.uid()")
    for path, claim in found.claims.items():
        for value in claim if isinstance(claim, list) else [claim]:
            if isinstance(value, str):
                groups.setdefault(value, []).append(f"claim {path}")
    for number, (table, columns) in enumerate(found.rows):
        for name, value in columns.items():
            if isinstance(value, str):
                label = f"{table.partition('.')[2]}[{number}].{name}"
                groups.setdefault(value, []).append(label)
    parts = [" = ".join(group) for group in groups.values() if len(group) > 1]
    return "; ".join(parts[:6])
