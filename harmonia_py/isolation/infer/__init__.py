"""Propose a tenancy model from the catalog: a start for a person to correct.

The evidence, strongest first: which tables the policies read to decide (the authority
tables), foreign keys, comparisons with ``auth.uid()`` and with claims, then the share of
tables that lead to a candidate. Words are only used to read *values* such as ``suspended``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.infer.callers import callers_of, user_columns
from harmonia_py.isolation.infer.claims import (
    claimed_column,
    claims_in,
    token_decides,
    token_roles,
)
from harmonia_py.isolation.infer.closings import tenant_status
from harmonia_py.isolation.infer.paths import paths_to_tenants, paths_to_users, tenant_column_names
from harmonia_py.isolation.infer.places import place
from harmonia_py.isolation.infer.seats import ends_of, seat_of, tells_state
from harmonia_py.isolation.infer.tenants import above, choose
from harmonia_py.isolation.infer.variables import settings_in
from harmonia_py.isolation.model import Membership, TableModel, TenancyModel
from harmonia_py.isolation.publicity import declared
from harmonia_py.isolation.references import References

__all__ = ["ends_of", "infer", "merge", "seat_of", "tells_state", "user_columns"]


def infer(catalog: Catalog) -> TenancyModel:
    """Propose the model; tables it cannot place have kind unknown and a reason."""
    refs = References(catalog)
    users = user_columns(catalog, refs)
    claims = claims_in(refs.everything)
    best = choose(catalog, refs, users)
    if best is not None and token_decides(catalog, refs, claims, *best):
        best = None
    policies = "\n".join(refs.policy_text(t) for t in catalog.tables.values())
    settings = settings_in(refs, policies)
    if best is not None:
        claims = claims_in(refs.closure_text(policies))
    if best is None:
        column, table, _ = claimed_column(catalog, refs)
        tenant_table, tenant_key, tenant_columns = table, "id", ({column} if column else set())
        if table and (t := catalog.table(table)):
            tenant_key = t.primary_key[0] if t.primary_key else "id"
        memberships: tuple[Membership, ...] = ()
    else:
        group, membership_table = best
        tenant_table = above(catalog, group, users) or group
        root = catalog.tables[tenant_table]
        tenant_key = root.primary_key[0]
        tenant_columns = set()
        memberships = (seat_of(catalog, refs, membership_table, group, users[membership_table]),)
    tenant_columns |= tenant_column_names(catalog, tenant_table)
    tenant_type = "uuid"
    if tenant_table and (t := catalog.table(tenant_table)) and t.has(tenant_key):
        tenant_type = t.column(tenant_key).type
    elif tenant_columns:
        tenant_type = next(
            (t.column(c).type for t in catalog.tables.values() for c in tenant_columns if t.has(c)),
            "uuid",
        )
    paths = paths_to_tenants(catalog, refs, tenant_table, tenant_columns, tenant_type)
    user_paths = paths_to_users(catalog, refs, users)
    tables = {
        t.key: place(catalog, refs, t, tenant_table, memberships, paths, users, user_paths)
        for t in catalog.tables.values()
        if t.is_base and t.parent is None
    }
    for key, entry in tables.items():
        if entry.kind in ("tenant", "root", "user"):
            shown = declared(catalog, refs, catalog.tables[key])
            tables[key] = replace(entry, public_when=shown)
    _with_public_parents(catalog, refs, tables, users, user_paths, tenant_table)
    _doubted(catalog, tables)
    status: str | None = None
    closed: tuple[str, ...] = ()
    if tenant_table and (t := catalog.tables.get(tenant_table)):
        status, closed = tenant_status(t, refs)
    return TenancyModel(
        tenant_table=tenant_table,
        tenant_key=tenant_key,
        tenant_type=tenant_type,
        memberships=memberships,
        tables=tables,
        claims=claims,
        settings=settings,
        tenant_status=status,
        tenant_closed=closed,
        token_roles=() if memberships else token_roles(refs, claims),
        schemas=catalog.schemas,
    )


def _shows(catalog: Catalog, refs: References, key: str) -> bool:
    """Whether some rows of a table are meant for everybody, visitors included."""
    table = catalog.tables.get(key)
    return table is not None and bool(refs.published(table, "anon"))


def _with_public_parents(
    catalog: Catalog,
    refs: References,
    tables: dict[str, TableModel],
    users: dict[str, tuple[str, ...]],
    user_paths: dict[str, tuple[tuple[str, ...], bool]],
    root: str | None,
) -> None:
    """Correct what public rows lead to: whose a bookmark is, and whether tenants are known.

    A row that leads to its tenant through rows anybody may see is its user's alone, when its
    policies ask for nobody else. Tenants whose rows are public are listed without harm.
    """
    for key, entry in list(tables.items()):
        if entry.kind == "tenant" and len(entry.path) > 1:
            table = catalog.tables[key]
            step = table.step(entry.path[0])
            shown = step is not None and _shows(catalog, refs, step.target)
            texts = [f"{p.using or p.check}" for p in table.policies if p.permissive]
            mine = callers_of(refs, table) & set(users.get(key, ()))
            if shown and mine and key in user_paths and not any(refs.reach(t)[0] for t in texts):
                tables[key] = TableModel(key, "user", user_paths[key][0], tuple(sorted(mine)))
    direct = [t for t in tables.values() if t.kind == "tenant" and len(t.path) == 1]
    if root in tables and any(_shows(catalog, refs, t.table) for t in direct):
        everybody = all(refs.blanket(catalog.tables[root], "select", r) for r in catalog.roles)
        if everybody and "anon" in catalog.roles:
            tables[root] = replace(tables[root], public_when="true")


def _doubted(catalog: Catalog, tables: dict[str, TableModel]) -> None:
    """Take no table for shared that has an id of something unknown in common with another one.

    Where nothing at all says whose rows are whose, that id may be the tenant's, which no key, no
    policy and no table tells.
    """
    if any(entry.kind in ("tenant", "root", "user") for entry in tables.values()):
        return
    shared = [catalog.tables[key] for key, entry in tables.items() if entry.kind == "public"]
    leads_nowhere = Counter(name for table in shared for name in _loose_ids(table))
    for table in shared:
        named = next((n for n in _loose_ids(table) if leads_nowhere[n] > 1), None)
        if named is not None:
            reason = f"{named} may say whose its rows are, and no key, policy or table tells"
            tables[table.key] = replace(tables[table.key], kind="unknown", reason=reason)


def _loose_ids(table: Table) -> list[str]:
    """Return the columns that hold a random id and refer to nothing."""
    bound = {c for fk in table.foreign_keys for c in fk.columns} | set(table.primary_key)
    return [c.name for c in table.columns if c.base == "uuid" and c.name not in bound]


def merge(inferred: TenancyModel, said: TenancyModel) -> TenancyModel:
    """Overlay what a person wrote on what was inferred; the person wins, key by key."""
    return replace(
        inferred,
        tenant_table=said.tenant_table or inferred.tenant_table,
        tenant_key=said.tenant_key if said.tenant_table else inferred.tenant_key,
        tenant_type=said.tenant_type if said.tenant_table else inferred.tenant_type,
        tenant_status=said.tenant_status or inferred.tenant_status,
        tenant_closed=said.tenant_closed or inferred.tenant_closed,
        memberships=said.memberships or inferred.memberships,
        grants=said.grants or inferred.grants,
        tables=inferred.tables
        | {k: _completed(t, inferred.tables.get(k)) for k, t in said.tables.items()},
        permission_tables=said.permission_tables or inferred.permission_tables,
        claims=said.claims or inferred.claims,
        settings=inferred.settings | said.settings,
        storage=inferred.storage | said.storage,
        teams=said.teams or inferred.teams,
        public_functions=said.public_functions or inferred.public_functions,
        functions=said.functions or inferred.functions,
        token_roles=said.token_roles or inferred.token_roles,
        inferred=False,
    )


def _completed(said: TableModel, inferred: TableModel | None) -> TableModel:
    """Keep what a person left out of a table's entry as it was inferred."""
    if inferred is None or said.kind != inferred.kind:
        return said
    return replace(
        said,
        path=said.path or inferred.path,
        users=said.users or inferred.users,
        own_rows=said.own_rows or inferred.own_rows,
        public_when=said.public_when or inferred.public_when,
    )
