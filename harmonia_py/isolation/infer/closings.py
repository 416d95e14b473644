"""What says that a tenant is closed: a mark in its row, or in the one row that goes with it."""

from __future__ import annotations

from dataclasses import dataclass

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.infer.seats import OVER, is_on, states_of
from harmonia_py.isolation.references import References

__all__ = ["Mark", "marks_beside", "marks_of", "tenant_status"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A column, the values that close, and the column that names the tenant."""

    table: str
    column: str
    closed: tuple[str, ...]
    tenant: str


def marks_of(table: Table, refs: References, tenant: str) -> list[Mark]:
    """List the marks in a table's rows: words of a state first, then those policies ask for.

    What a state that no constraint lists may be, the code that reads this table alone tells.
    """
    told = _code(table, refs)
    consulted = refs.consulted(table)
    found: list[tuple[tuple[bool, bool], Mark]] = []
    for column in table.columns:
        closed = states_of(refs.catalog, table, column, _of_it_alone(table, column.name, refs))
        words = bool(closed)
        if closed:
            pass
        elif column.category == "D" and not column.not_null and OVER.search(column.name):
            closed = ("now",)
        elif column.category == "B" and OVER.search(column.name):
            closed = ("true",)
        elif column.category == "B" and is_on(table, column, refs.everything):
            closed = ("false",)
        if closed and column.name != tenant:
            asked = column.name in consulted or column.name in told
            found.append(((not asked, not words), Mark(table.key, column.name, closed, tenant)))
    return [mark for _, mark in sorted(found, key=lambda entry: entry[0])]


def _code(table: Table, refs: References) -> frozenset[str]:
    """Return the words of the functions that read a table and that policies call."""
    sources = [refs.catalog.functions[key].source for key in refs.helpers]
    return frozenset().union(
        *(refs.words(text) for text in sources if table.key in refs.direct(text)[0])
    )


def _of_it_alone(table: Table, column: str, refs: References) -> str:
    """Return the code in which a column's name can mean no other table's."""
    texts = [refs.policy_text(t) for t in refs.catalog.tables.values()]
    texts += [f.source for f in refs.catalog.functions.values()]
    return "\n".join(
        text
        for text in texts
        if table.key in (tables := refs.direct(text)[0])
        and not any(refs.catalog.tables[t].has(column) for t in tables if t != table.key)
    )


def marks_beside(refs: References, root: str) -> list[Mark]:
    """List what other tables' policies ask of the one row that goes with a tenant: what it paid."""
    found = []
    for table in refs.catalog.tables.values():
        for fk in table.foreign_keys:
            if fk.target != root or len(fk.columns) != 1 or not table.is_base:
                continue
            if any(u.columns == fk.columns and not u.predicate for u in table.uniques):
                asked = refs.consulted(table)
                marks = marks_of(table, refs, fk.columns[0])
                found += [mark for mark in marks if mark.column in asked]
    return found


def tenant_status(table: Table, refs: References) -> tuple[str | None, tuple[str, ...]]:
    """Find the column that says whether a tenant is open, and the values that close it."""
    for mark in marks_of(table, refs, ""):
        return mark.column, mark.closed
    return None, ()
