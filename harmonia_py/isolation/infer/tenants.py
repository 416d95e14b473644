"""Which table holds the tenants, and which one says who belongs to them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.infer.claims import SETTING, builtin_setting, claims_in
from harmonia_py.isolation.infer.paths import paths_to_tenants, tenant_column_names
from harmonia_py.isolation.references import References

__all__ = ["above", "choose", "pairs_user_with"]


def choose(
    catalog: Catalog, refs: References, users: dict[str, tuple[str, ...]]
) -> tuple[str, str] | None:
    """Find the tenant table and its membership table."""
    best: tuple[tuple[float, ...], str, str] | None = None
    for member in catalog.tables.values():
        if not member.is_base or member.key not in users:
            continue
        for fk in member.foreign_keys:
            root = catalog.tables.get(fk.target)
            if root is None or root.key == member.key or len(fk.columns) != 1:
                continue
            if len(root.primary_key) != 1 or (
                root.key in users and root.primary_key[0] in users[root.key]
            ):
                continue
            if fk.columns[0] in users[member.key]:
                continue
            if any(
                _keeps(refs, key, member.key)
                and key in users
                and any(other.target == root.key for other in catalog.tables[key].foreign_keys)
                for key in refs.feeds
            ):
                continue  # what it says is that table's to say
            authority = _authority(refs, member.key)
            if not pairs_user_with(member, fk.columns[0], users[member.key]) and authority < 2:
                continue
            names = tenant_column_names(catalog, root.key)
            reached = paths_to_tenants(catalog, refs, root.key, names, None)
            leads_up = any(
                f.target in {r for r in catalog.tables if r != root.key and r in reached}
                for f in root.foreign_keys
            )
            paired = pairs_user_with(member, fk.columns[0], users[member.key])
            if not paired and _is_dealing(catalog, refs, member, fk.columns[0], root, users):
                continue
            self_tenant = bool(authority)
            score = (
                float((self_tenant and len(reached) > 1) or authority >= 1),
                float(authority * 2 + len(reached) + (3 if paired else 0) - (2 if leads_up else 0)),
                float(len(reached)),
            )
            if best is None or score > best[0]:
                best = (score, root.key, member.key)
    if best is None or (best[0][0] == 0 and best[0][2] < 2):
        return None
    if not _authority(refs, best[2]) and not _asked_elsewhere(refs, best[2]):
        return None  # people and things are paired for another reason: likes, bookmarks
    return best[1], best[2]


def _authority(refs: References, key: str) -> int:
    """Count the tables whose policies read a table, or what its triggers keep ready of it."""
    kept = [fed for fed in refs.feeds.get(key, ()) if _keeps(refs, key, fed)]
    return max(refs.authority.get(k, 0) for k in (key, *kept))


def _keeps(refs: References, key: str, fed: str) -> bool:
    """Whether triggers of one table put rows into another and take them away again."""
    return refs.feeds.get(key, {}).get(fed, False)


def _is_dealing(
    catalog: Catalog,
    refs: References,
    table: Table,
    tenant: str,
    root: Table,
    users: dict[str, tuple[str, ...]],
) -> bool:
    """Whether rows are dealings of people with what somebody else owns: orders of a shop.

    They have parts of their own, who owns the other side is asked as well, and having one opens
    nothing else of the other side: nobody looks up which shops one has ordered from.
    """
    parts = any(fk.target == table.key for t in catalog.tables.values() for fk in t.foreign_keys)
    if not parts or root.key not in users or not refs.authority.get(root.key):
        return False
    name = re.escape(tenant)
    looked_up = re.compile(
        rf"\b{name}\)?(?:::\w+)?\s*(?:=|in\b)|=\s*\(*(?:\w+\.)?{name}\b"
        rf"|\bselect\s+(?:distinct\s+)?\(*(?:\w+\.)?{name}\b",
        re.I,
    )
    texts = [refs.policy_text(t) for t in catalog.tables.values() if t.key != table.key]
    texts += [catalog.functions[key].source for key in refs.helpers]
    return not any(table.key in refs.direct(t)[0] and looked_up.search(t) for t in texts)


def _asked_elsewhere(refs: References, key: str) -> bool:
    """Whether something but policies decides by a table: a claim, or what asks who is calling."""
    settings = SETTING.findall(refs.everything)
    if claims_in(refs.everything) or not all(map(builtin_setting, settings)):
        return True
    return any(
        key in refs.direct(f.source)[0] and "auth.uid()" in refs.plain(f.source)
        for f in refs.catalog.functions.values()
    )


def above(catalog: Catalog, group: str, users: dict[str, tuple[str, ...]]) -> str | None:
    """Find the tenants above the groups that people belong to, where groups are but a part.

    More tables point straight at the tenants than at the groups.
    """
    pointing: dict[str, set[str]] = {}
    for table in catalog.tables.values():
        for fk in table.foreign_keys:
            if len(fk.columns) == 1 and fk.target != table.key:
                pointing.setdefault(fk.target, set()).add(table.key)
    for fk in catalog.tables[group].foreign_keys:
        root = catalog.tables.get(fk.target)
        if root is None or len(fk.columns) != 1 or len(root.primary_key) != 1:
            continue
        if root.key == group or root.primary_key[0] in users.get(root.key, ()):
            continue
        if not catalog.tables[group].column(fk.columns[0]).not_null:
            continue
        names = tenant_column_names(catalog, root.key)
        holders = {t.key for t in catalog.tables.values() if any(t.has(n) for n in names)}
        if len(holders) > max(2, len(pointing.get(group, ()))):
            return root.key
    return None


def pairs_user_with(table: Table, tenant: str, users: Iterable[str]) -> bool:
    """Whether a key of the table says that a user is there once for each tenant, or once."""
    keyed = [set(u.columns) for u in table.uniques if not u.exclusion]
    return any(
        columns == {tenant, user}
        or columns == {user}
        or (columns > {tenant, user} and len(columns) == 3)
        for columns in keyed
        for user in users
    )
