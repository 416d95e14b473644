"""Which columns lead from a row to its tenant or to its user."""

from __future__ import annotations

from collections import deque

from harmonia_py.isolation.catalog import Catalog
from harmonia_py.isolation.infer.callers import callers_of
from harmonia_py.isolation.references import References

__all__ = ["paths_to_tenants", "paths_to_users", "tenant_column_names"]

_WRITES = ("insert", "update", "delete")


def tenant_column_names(catalog: Catalog, tenant_table: str | None) -> set[str]:
    """Collect the names under which at least two tables (or the only one) point at the tenants."""
    if tenant_table is None:
        return set()
    names: dict[str, int] = {}
    for table in catalog.tables.values():
        for fk in table.foreign_keys:
            if fk.target == tenant_table and len(fk.columns) == 1:
                names[fk.columns[0]] = names.get(fk.columns[0], 0) + 1
    return {n for n, count in names.items() if count >= 2} or set(names)


def paths_to_tenants(
    catalog: Catalog, refs: References, root: str | None, names: set[str], kind: str | None
) -> dict[str, tuple[tuple[str, ...], bool]]:
    """Per table: the columns that lead to the tenant, and whether every step is NOT NULL."""
    out: dict[str, tuple[tuple[str, ...], bool]] = {}
    if root:
        out[root] = ((), True)
    for table in catalog.tables.values():
        if table.key == root or not table.is_base:
            continue
        direct = [
            fk.columns[fk.ref_columns.index(key)] if key in fk.ref_columns else fk.columns[0]
            for fk in table.foreign_keys
            if fk.target == root and len(fk.columns) == 1
            for key in [fk.ref_columns[0]]
        ]
        direct += [
            c.name
            for c in table.columns
            if c.name in names
            and c.name not in direct
            and c.category in "UNS"
            and (kind is None or c.type == kind)
        ]
        if direct:
            # Of two tenants that a row names, it belongs to the one whose people may make it.
            written = {w for c in _WRITES for w in refs.words(refs.policy_text(table, c))}
            order = sorted(
                direct,
                key=lambda c: (
                    not table.column(c).not_null,
                    c not in names,
                    c not in written,
                    table.column(c).number,
                ),
            )
            out[table.key] = ((order[0],), table.column(order[0]).not_null)
    _spread(catalog, refs, out)
    return out


def _spread(
    catalog: Catalog, refs: References, out: dict[str, tuple[tuple[str, ...], bool]]
) -> None:
    """Follow foreign keys breadth first: required steps before others, named by policies first.

    A row that may point at several owners belongs to the one its policies ask for: a line of an
    order is the order's, however soon its product leads to a tenant.
    """
    asked = {t.key: refs.words(refs.policy_text(t)) for t in catalog.tables.values()}
    for required, named in ((True, True), (True, False), (False, True), (False, False)):
        queue = deque(out)
        while queue:
            target = queue.popleft()
            for table in catalog.tables.values():
                if table.key in out or not table.is_base:
                    continue
                words, place = asked[table.key], [c.name for c in table.columns]
                # What a row is of comes before what else it points at.
                keys = sorted(
                    table.foreign_keys,
                    key=lambda f: (not words & set(f.columns), place.index(f.columns[-1])),
                )
                for fk in keys:
                    if fk.target != target or target == table.key or not out[target][0]:
                        continue
                    # Of a composite key the last column tells the row; the others lead up.
                    column = fk.columns[-1]
                    if table.step(column) is not fk or (named and column not in words):
                        continue
                    strict = all(table.column(c).not_null for c in fk.columns)
                    if required and not (strict and out[target][1]):
                        continue
                    out[table.key] = ((column, *out[target][0]), strict and out[target][1])
                    queue.append(table.key)
                    break


def paths_to_users(
    catalog: Catalog, refs: References, users: dict[str, tuple[str, ...]]
) -> dict[str, tuple[tuple[str, ...], bool]]:
    """Per table: the columns that lead to a user, and whether every step is NOT NULL."""
    out: dict[str, tuple[tuple[str, ...], bool]] = {}
    for key, columns in users.items():
        table = catalog.tables[key]
        if not table.is_base:
            continue
        compared = callers_of(refs, table)
        order = sorted(
            columns,
            key=lambda c: (
                c not in compared,
                not table.column(c).not_null,
                c not in table.primary_key,
                columns.index(c),
            ),
        )
        out[key] = ((order[0],), table.column(order[0]).not_null)
    _spread(catalog, refs, out)
    return out
