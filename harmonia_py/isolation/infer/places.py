"""What each table is in the model: a tenant's, a user's, everybody's, nobody's."""

from __future__ import annotations

import re

from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.infer.callers import UID, callers_of
from harmonia_py.isolation.infer.tenants import pairs_user_with
from harmonia_py.isolation.model import Membership, TableModel
from harmonia_py.isolation.references import References

__all__ = ["place"]


def place(
    catalog: Catalog,
    refs: References,
    table: Table,
    root: str | None,
    memberships: tuple[Membership, ...],
    paths: dict[str, tuple[tuple[str, ...], bool]],
    users: dict[str, tuple[str, ...]],
    user_paths: dict[str, tuple[tuple[str, ...], bool]],
) -> TableModel:
    """Say what one table is; what nothing leads to is unknown, with the reason, or shared."""
    own = users.get(table.key, ())
    if table.key == root:
        return TableModel(table.key, "root", (catalog.tables[root].primary_key[0],), own)
    tenant = paths.get(table.key)
    is_member = any(m.table == table.key for m in memberships)
    callers = callers_of(refs, table)
    compared = tuple(c for c in own if c in callers)
    alone = any(
        not u.exclusion and u.columns and set(u.columns) <= set(own) and not u.predicate
        for u in table.uniques
    )
    if tenant and not is_member and table.key in user_paths:
        decides = set(refs.by_table.get(table.key, (frozenset(), frozenset()))[0])
        by_tenant = bool(decides & {m.table for m in memberships})
        if not tenant[1] and (alone or (compared and not by_tenant)):
            return _of_user(table, user_paths[table.key][0], compared or own[:1], own)
    people = _attended(catalog, refs, table, users) if table.rls and not memberships else None
    if people and not (tenant and tenant[1]) and table.key not in user_paths:
        return TableModel(
            table.key,
            "unknown",
            reason=f"its rows are for whom {people} lists; the rows that belong to them are judged",
        )
    if tenant:
        return TableModel(table.key, "tenant", tenant[0], own, own_rows=_own_rows(table, own))
    if table.key in user_paths:
        return _of_user(table, user_paths[table.key][0], compared or own[:1], own)
    data = ("SELECT", "INSERT", "UPDATE", "DELETE")
    if not any(table.can(role, p) for role in catalog.roles for p in data):
        return TableModel(table.key, "internal", reason="no API role holds a privilege")
    if table.rls and not table.policies:
        return TableModel(table.key, "internal", reason="row level security without any policy")
    if table.rls and (named := _compared(refs, table)):
        return TableModel(
            table.key,
            "unknown",
            reason=f"its policies tell rows apart by {named}, and nothing says whose that is",
        )
    return TableModel(
        table.key, "public", reason="no column leads to a tenant or to a user: assumed shared"
    )


def _of_user(
    table: Table, path: tuple[str, ...], named: tuple[str, ...], own: tuple[str, ...]
) -> TableModel:
    """Place a table whose rows are one person's each: nobody makes one in another's name."""
    signed = {c: name for c, name in _own_rows(table, own).items() if c == "insert"}
    return TableModel(table.key, "user", path, named, own_rows=signed)


def _attended(
    catalog: Catalog, refs: References, table: Table, users: dict[str, tuple[str, ...]]
) -> str | None:
    """Name the table that pairs people with rows of ``table``, which its policies read."""
    for key in sorted(refs.by_table[table.key][0]):
        other = catalog.tables[key]
        pointing = [fk.columns[-1] for fk in other.foreign_keys if fk.target == table.key]
        if any(pairs_user_with(other, column, users.get(key, ())) for column in pointing):
            return key
    return None


def _compared(refs: References, table: Table) -> str | None:
    """Name the column by which every SELECT policy tells callers apart, if there is one.

    A flag or a word (``published``, ``status = 'live'``) tells rows apart, not callers.
    """
    policies = [p for p in table.policies_for("select", "authenticated") if p.permissive]
    named = []
    for policy in policies:
        text = policy.using or ""
        found = re.search(
            r"\b(?:\w+\.)?\"?(\w+)\"?\)?(?:::\w+)?\s*(?:=|IN)\s*(?:ANY\s*)?\(*\s*(?:SELECT\s+)?"
            r"(?:[\w\"]+\.)?[\w\"]+\(",
            text,
        )
        if found is None or not table.has(found[1]) or table.column(found[1]).category not in "USN":
            return None
        named.append(found[1])
    return named[0] if named else None


def _own_rows(table: Table, users: tuple[str, ...]) -> dict[str, str]:
    """Find the commands whose every policy insists on a column that names the caller."""
    out: dict[str, str] = {}
    for command in ("insert", "update", "delete"):
        policies = [p for p in table.policies_for(command, "authenticated") if p.permissive]
        texts = [(p.check if command == "insert" and p.check else p.using) or "" for p in policies]
        for column in users:
            # In a sub-query every column is qualified: a seat's user is no column of this table.
            mine = rf'(?:(?<![\w."])|\b{re.escape(table.name)}"?\.)"?{re.escape(column)}"?'
            term = re.compile(rf"{mine} = \(? ?{UID}", re.I)
            if texts and all(term.search(t) and " OR " not in t for t in texts):
                out[command] = column
                break
    signed = out.get("update") or out.get("delete")
    if signed and "insert" not in out and re.search(UID, table.column(signed).default or ""):
        # Who may change a row is its author by default: nobody signs for somebody else.
        texts = [p.check or p.using or "" for p in table.policies_for("insert", "authenticated")]
        if not any(re.search(rf"\b{re.escape(signed)}\b", t) for t in texts):
            out["insert"] = signed
    return out
