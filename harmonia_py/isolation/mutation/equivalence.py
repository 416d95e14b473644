"""Why nobody can tell some mutants from the original: reasons found in the catalog."""

from __future__ import annotations

import re
from typing import Any

import pglast
from pglast import ast
from pglast.visitors import Visitor

from harmonia_py.isolation.catalog import ForeignKey, Function, Policy, Table
from harmonia_py.isolation.lab import Lab

__all__ = ["held_by_using", "held_elsewhere", "keyed", "reads_only_shared"]


def keyed(lab: Lab, table: Table, policy: Policy, clause: str) -> str | None:
    """Say why one clause alone protects a row whose key is its owner."""
    model = lab.model.of(table.key)
    if policy.command != "update" or not (policy.using and policy.check):
        return None
    if len(table.primary_key) == 1 and table.primary_key == model.path[-1:] == model.path:
        if clause == "using":
            return "the other clause still holds the key, and a key cannot be given twice"
        if model.kind == "root":
            return "a tenant's key can only be changed to one that is nobody's"
    return None


def held_by_using(
    lab: Lab, table: Table, policy: Policy, dropped: list[str], using: list[str]
) -> str | None:
    """Say why WITH CHECK terms of an update need not be said: USING says them, and they stay true.

    So it is when no client can change a column that they read, and when no other policy lets the
    row in.
    """
    if policy.command != "update" or not policy.permissive or not set(dropped) <= set(using):
        return None
    for role in lab.catalog.roles:
        others = [p for p in table.policies_for("update", role) if p.permissive]
        if table.can(role, "UPDATE") and others not in ([], [policy]):
            return None
    words = {w for term in dropped for w in re.findall(r"\w+", term)}
    read = [c for c in table.columns if c.name in words]
    if any((r, "UPDATE") in c.privileges for c in read for r in lab.catalog.roles):
        return None
    names = ", ".join(c.name for c in read) or "no column"
    return f"USING asks the same of what no client can change ({names})"


def held_elsewhere(lab: Lab, table: Table, key: ForeignKey, tenant: str) -> str | None:
    """Say which other foreign key still ties the same column to the tenant."""
    column = key.columns[1]
    for other in table.foreign_keys:
        if other.name == key.name or not {tenant, column} <= set(other.columns):
            continue
        if not all(table.column(c).not_null for c in other.columns):
            continue
        between = lab.catalog.tables.get(other.target)
        refs = dict(zip(other.columns, other.ref_columns, strict=True))
        for link in between.foreign_keys if between else ():
            ends = dict(zip(link.columns, link.ref_columns, strict=True))
            same = link.target == key.target and ends.get(refs[column]) == key.ref_columns[1]
            if same and ends.get(refs[tenant]) == key.ref_columns[0]:
                return f"{other.name} ties the column to the tenant as well"
    return None


def reads_only_shared(lab: Lab, function: Function) -> bool:
    """Whether a function itself reads no table whose rows are somebody's."""
    kinds = {lab.model.of(key).kind for key in _read(lab, function)}
    return kinds <= {"public"}


def _read(lab: Lab, function: Function) -> set[str]:
    """Return the tables that a query in SQL names."""
    try:
        parsed = pglast.parse_sql(function.source)
    except pglast.parser.ParseError:
        return set(lab.refs.direct(function.source)[0])
    found: set[str] = set()

    class Names(Visitor):
        def visit_RangeVar(self, _: Any, node: ast.RangeVar) -> None:
            schemas = [node.schemaname] if node.schemaname else list(lab.catalog.schemas)
            found.update(k for s in schemas if (k := f"{s}.{node.relname}") in lab.catalog.tables)

    Names()(parsed)
    return found
