"""Which columns hold a user's id, by what policies and keys say of them."""

from __future__ import annotations

import re

from harmonia_py.isolation.catalog import Catalog, Column, Table
from harmonia_py.isolation.references import References

__all__ = ["UID", "USES_UID", "callers_of", "only_uid", "user_columns"]

UID = r"(?:\(\s*SELECT\s+)?(?:auth\.)?uid\(\)(?:\s+AS\s+\w+\s*\))?"
_CALLED = re.compile(r"(auth_?)?user_?(id|uuid)|owner(_?user)?_?id", re.I)
USES_UID = re.compile(
    rf"(?:\b(?:(\w+)\.)?(\w+)\s*(?:::\w+)?\)?\s*=\s*\(?{UID})"
    rf"|(?:{UID}\)?(?:::\w+)?\s*=\s*\(?(?:(\w+)\.)?(\w+))",
    re.I,
)


def user_columns(catalog: Catalog, refs: References) -> dict[str, tuple[str, ...]]:
    """Return, per table, the columns that hold a user's id."""
    found: dict[str, set[str]] = {"auth.users": {"id"}}
    for table in catalog.tables.values():
        own = {
            name
            for name in callers_of(refs, table)
            if table.has(name) and table.column(name).category in "US"
        }
        own |= {
            c.name
            for c in table.columns
            if c.default and c.category in "US" and "auth.uid()" in refs.plain(c.default)
        }
        own |= {c.name for c in table.columns if _is_called_user(table, c)}
        if own:
            found[table.key] = own
    changed = True
    while changed:
        changed = False
        for table in catalog.tables.values():
            for fk in table.foreign_keys:
                for column, ref in zip(fk.columns, fk.ref_columns, strict=True):
                    if ref in found.get(fk.target, ()) and column not in found.get(table.key, ()):
                        # A reference to a row that merely mentions a user is not a user.
                        target = catalog.table(fk.target)
                        keyed = target is not None and (
                            ref in target.primary_key or len(fk.columns) > 1
                        )
                        if fk.target == "auth.users" or keyed:
                            found.setdefault(table.key, set()).add(column)
                            changed = True
    return {
        t.key: tuple(c.name for c in t.columns if c.name in found[t.key])
        for t in catalog.tables.values()
        if t.key in found
    }


def _is_called_user(table: Table, column: Column) -> bool:
    """Whether a column is called the user's id, and no key says otherwise.

    Many projects leave the reference to the accounts out: without any policy that compares the
    column, nothing else would say that these rows are somebody's.
    """
    referring = any(column.name in fk.columns for fk in table.foreign_keys)
    return column.base == "uuid" and not referring and bool(_CALLED.fullmatch(column.name))


def callers_of(refs: References, table: Table) -> set[str]:
    """Return the columns of ``table`` that its policies compare with the caller's id.

    A column of another table inside a sub-query is qualified with that table's name.
    """
    text = refs.plain(refs.policy_text(table))
    return {b or d for a, b, c, d in USES_UID.findall(text) if (a or c) in ("", "auth", table.name)}


def only_uid(text: str, column: str) -> bool:
    """Whether a text compares a column with the caller's id."""
    return any(column in (b, d) for _, b, _, d in USES_UID.findall(text))
