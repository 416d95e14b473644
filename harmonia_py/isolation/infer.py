"""Propose a tenancy model from the catalog: a start for a person to correct.

The evidence, strongest first: which tables the policies read to decide (the authority
tables), foreign keys, comparisons with ``auth.uid()`` and with claims, then the share of
tables that lead to a candidate. Words are only used to read *values* such as ``suspended``.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from difflib import SequenceMatcher

from harmonia_py.isolation.catalog import Catalog, Column, Table
from harmonia_py.isolation.model import Membership, TableModel, TenancyModel
from harmonia_py.isolation.publicity import declared
from harmonia_py.isolation.references import References, literals

__all__ = ["ends_of", "infer", "merge", "seat_of", "tells_state", "user_columns"]

_ACTIVE = frozenset("active accepted enabled approved confirmed joined current live open".split())
_INACTIVE = frozenset(
    "suspended invited pending removed inactive disabled revoked banned blocked expired left "
    "deactivated declined archived deleted rejected cancelled canceled closed purged locked "
    "frozen terminated former requested".split()
)
_GONE = re.compile(r"(delet|remov|revok|left|archiv|disabl|suspend|deactiv|ended|banned)", re.I)
_OVER = re.compile(rf"{_GONE.pattern}|closed", re.I)
_ENDS = re.compile(r"(expir|valid_until|valid_to|ends_at|end_date|until)", re.I)
_UID = r"(?:\(\s*SELECT\s+)?(?:auth\.)?uid\(\)(?:\s+AS\s+\w+\s*\))?"
_USES_UID = re.compile(
    rf"(?:\b(?:(\w+)\.)?(\w+)\s*(?:::\w+)?\)?\s*=\s*\(?{_UID})"
    rf"|(?:{_UID}\)?(?:::\w+)?\s*=\s*\(?(?:(\w+)\.)?(\w+))",
    re.I,
)
_CLAIM = re.compile(
    r"jwt\(\)(?:\s+AS\s+\w+)?\s*\)*((?:\s*(?:->>?|#>>?)\s*'[^']*'(?:::\w+(?:\[\])?)?\)*)+)", re.I
)
_SETTING = re.compile(r"current_setting\(\s*'([\w.]+)'", re.I)


def user_columns(catalog: Catalog, refs: References) -> dict[str, tuple[str, ...]]:
    """Return, per table, the columns that hold a user's id."""
    found: dict[str, set[str]] = {"auth.users": {"id"}}
    for table in catalog.tables.values():
        own = {
            name
            for name in _callers(refs, table)
            if table.has(name) and table.column(name).category in "US"
        }
        own |= {
            c.name
            for c in table.columns
            if c.default and c.category in "US" and "auth.uid()" in refs.plain(c.default)
        }
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


def _callers(refs: References, table: Table) -> set[str]:
    """Return the columns of ``table`` that its policies compare with the caller's id.

    A column of another table inside a sub-query is qualified with that table's name.
    """
    text = refs.plain(refs.policy_text(table))
    return {
        b or d for a, b, c, d in _USES_UID.findall(text) if (a or c) in ("", "auth", table.name)
    }


def infer(catalog: Catalog) -> TenancyModel:
    """Propose the model; tables it cannot place have kind unknown and a reason."""
    refs = References(catalog)
    users = user_columns(catalog, refs)
    claims = _claims(refs.everything)
    best = _choose(catalog, refs, users)
    if best is not None and _token_decides(catalog, refs, claims, *best):
        best = None
    settings: dict[str, str] = {}
    if best is None:
        # Only where nothing better decides: a setting is then how the project names the tenant.
        policies = "\n".join(refs.policy_text(t) for t in catalog.tables.values())
        found = _SETTING.findall(refs.closure_text(policies))
        settings = {s: "tenant" for s in found if not _builtin_setting(s)}
    else:
        policies = "\n".join(refs.policy_text(t) for t in catalog.tables.values())
        claims = _claims(refs.closure_text(policies))
    if best is None:
        column, table, _ = _claimed_column(catalog, refs)
        tenant_table, tenant_key, tenant_columns = table, "id", ({column} if column else set())
        if table and (t := catalog.table(table)):
            tenant_key = t.primary_key[0] if t.primary_key else "id"
        memberships: tuple[Membership, ...] = ()
    else:
        group, membership_table = best
        tenant_table = _above(catalog, group, users) or group
        root = catalog.tables[tenant_table]
        tenant_key = root.primary_key[0]
        tenant_columns = set()
        memberships = (seat_of(catalog, refs, membership_table, group, users[membership_table]),)
    tenant_columns |= _tenant_column_names(catalog, tenant_table)
    tenant_type = "uuid"
    if tenant_table and (t := catalog.table(tenant_table)) and t.has(tenant_key):
        tenant_type = t.column(tenant_key).type
    elif tenant_columns:
        tenant_type = next(
            (t.column(c).type for t in catalog.tables.values() for c in tenant_columns if t.has(c)),
            "uuid",
        )
    paths = _paths(catalog, refs, tenant_table, tenant_columns, tenant_type)
    user_paths = _user_paths(catalog, refs, users)
    tables = {
        t.key: _place(catalog, refs, t, tenant_table, memberships, paths, users, user_paths)
        for t in catalog.tables.values()
        if t.is_base and t.parent is None
    }
    for key, entry in tables.items():
        if entry.kind in ("tenant", "root", "user"):
            shown = declared(catalog, refs, catalog.tables[key])
            tables[key] = replace(entry, public_when=shown)
    _with_public_parents(catalog, refs, tables, users, user_paths, tenant_table)
    status: str | None = None
    closed: tuple[str, ...] = ()
    if tenant_table and (t := catalog.tables.get(tenant_table)):
        status, closed = _tenant_status(t)
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
        token_roles=() if memberships else _token_roles(refs, claims),
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
            mine = _callers(refs, table) & set(users.get(key, ()))
            if shown and mine and key in user_paths and not any(refs.reach(t)[0] for t in texts):
                tables[key] = TableModel(key, "user", user_paths[key][0], tuple(sorted(mine)))
    direct = [t for t in tables.values() if t.kind == "tenant" and len(t.path) == 1]
    if root in tables and any(_shows(catalog, refs, t.table) for t in direct):
        everybody = all(refs.blanket(catalog.tables[root], "select", r) for r in catalog.roles)
        if everybody and "anon" in catalog.roles:
            tables[root] = replace(tables[root], public_when="true")


def ends_of(table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns that mark a row as ended, and those that hold the time of its end."""
    marks, expires = [], []
    for column in table.columns:
        if column.category != "D" or column.generated:
            continue
        if _ENDS.search(column.name):
            expires.append(column.name)
        elif not column.not_null and _GONE.search(column.name):
            marks.append(column.name)
    return tuple(marks), tuple(expires)


def tells_state(values: Iterable[str]) -> bool:
    """Whether words say a state: some of them that it holds, some that it is over."""
    words = {v.lower() for v in values}
    return bool(words & _ACTIVE and words & _INACTIVE) or len(words & _INACTIVE) > 1


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


def _builtin_setting(name: str) -> bool:
    return "." not in name or name.startswith(("request.", "realtime.", "storage.", "pgrst."))


def _claims(text: str) -> dict[str, str]:
    """Claim path (dotted) -> what it seems to hold: tenant, role or empty."""
    out: dict[str, str] = {}
    uses: dict[str, int] = {}
    for match in _CLAIM.finditer(text):
        keys = [k for k in literals(match.group(1)) if k]
        path = ".".join(k.strip("{}").replace(",", ".") for k in keys)
        if path and path.split(".")[0] not in (
            "sub",
            "role",
            "email",
            "aal",
            "is_anonymous",
            "session_id",
            "amr",
            "exp",
            "iat",
            "iss",
            "aud",
            "phone",
        ):
            out[path] = "role" if "role" in path.split(".")[-1].lower() else "tenant"
            uses[path] = uses.get(path, 0) + 1
    return {path: what for path, what in out.items() if not _misspelt(path, uses)}


def _misspelt(path: str, uses: dict[str, int]) -> bool:
    """Whether another claim of nearly the same name is asked for far more often.

    No token holds both; whatever asks for the rare one asks for nothing.
    """
    parent, _, name = path.rpartition(".")
    for other, count in uses.items():
        above, _, common = other.rpartition(".")
        if other == path or above != parent or count < 3 * uses[path]:
            continue
        if SequenceMatcher(None, _bare(name), _bare(common)).ratio() > 0.85:
            return True
    return False


def _bare(name: str) -> str:
    return re.sub(r"[_-]", "", name).lower()


def _token_roles(refs: References, claims: dict[str, str]) -> tuple[str, ...]:
    """Collect the texts that policies compare with a role claim, those they name most first.

    The claim may be behind a helper. One more role, which no policy names, comes last.
    """
    last = {path.split(".")[-1] for path, what in claims.items() if what == "role"}
    if not last:
        return ()
    catalog = refs.catalog
    names = [re.escape(f"'{key}'") for key in last]
    names += [
        rf"\b{re.escape(f.name)}\(\)"
        for f in catalog.functions.values()
        if not f.arguments and any(f"'{key}'" in f.source for key in last)
    ]
    compared = re.compile(
        rf"(?:{'|'.join(names)})(?:\s+AS\s+\w+)?[\s)]*(?:::\w+)?[\s)]*(?:=|<>|IN)\s*(?:ANY\s*)?"
        r"(\(*(?:ARRAY\[)?\s*'[^']*'(?:::\w+)?(?:\s*,\s*'[^']*'(?:::\w+)?)*)",
        re.I,
    )
    votes: dict[str, int] = {}
    for match in compared.finditer(refs.everything):
        for value in literals(match.group(1)):
            votes[value] = votes.get(value, 0) + 1
    roles = sorted(votes, key=lambda value: -votes[value])[:8]
    return (*roles, "member") if roles and "member" not in roles else tuple(roles)


def _token_decides(
    catalog: Catalog, refs: References, claims: dict[str, str], group: str, members: str
) -> bool:
    """Whether a claim names the tenant of more tables than the people of ``group`` reach.

    Those who share a conversation are then no tenant, though a table lists them.
    """
    if "tenant" not in claims.values():
        return False
    column, root, votes = _claimed_column(catalog, refs)
    if column is None or root in (None, group) or catalog.tables[members].has(column):
        return False
    paths = _paths(catalog, refs, group, _tenant_column_names(catalog, group), None)
    reached = {key for key, (_, required) in paths.items() if required}
    above = _paths(catalog, refs, root, {column}, None)
    theirs = {key for key, (_, required) in above.items() if required}
    return members not in theirs and votes > 0 and len(theirs) > len(reached)


def _claimed_column(catalog: Catalog, refs: References) -> tuple[str | None, str | None, int]:
    """Find the column policies compare with a claim or a setting, and the table it points at.

    Also returns how many tables' policies do so.
    """
    votes: dict[str, int] = {}
    for table in catalog.tables.values():
        text = refs.plain(refs.policy_text(table))
        if not (_claims(refs.closure_text(text)) or _SETTING.search(text)):
            continue
        for column in table.columns:
            if column.category not in "UNS" or column.name in table.primary_key:
                continue
            name = re.escape(column.name)
            pattern = rf"\b{name}\)?(?:::\w+)?\)?\s*(?:=|<@|IN)|(?:=|ANY)\s*\(*(?:\w+\.)?{name}\b"
            if re.search(pattern, text) and not _only_uid(text, column.name):
                votes[column.name] = votes.get(column.name, 0) + 1
    if not votes:
        return None, None, 0
    best = max(votes, key=lambda name: votes[name])
    for table in catalog.tables.values():
        for fk in table.foreign_keys:
            if fk.columns == (best,) and not fk.target.startswith("auth."):
                return best, fk.target, votes[best]
    return best, None, votes[best]


def _only_uid(text: str, column: str) -> bool:
    return any(column in (b, d) for _, b, _, d in _USES_UID.findall(text))


def _choose(
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
            authority = refs.authority.get(member.key, 0)
            if not _pairs_user_with(member, fk.columns[0], users[member.key]) and authority < 2:
                continue
            names = _tenant_column_names(catalog, root.key)
            reached = _paths(catalog, refs, root.key, names, None)
            leads_up = any(
                f.target in {r for r in catalog.tables if r != root.key and r in reached}
                for f in root.foreign_keys
            )
            paired = _pairs_user_with(member, fk.columns[0], users[member.key])
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
    if not refs.authority.get(best[2]) and not _asked_elsewhere(refs, best[2]):
        return None  # people and things are paired for another reason: likes, bookmarks
    return best[1], best[2]


def _asked_elsewhere(refs: References, key: str) -> bool:
    """Whether something but policies decides by a table: a claim, or what asks who is calling."""
    settings = _SETTING.findall(refs.everything)
    if _claims(refs.everything) or not all(map(_builtin_setting, settings)):
        return True
    return any(
        key in refs.direct(f.source)[0] and "auth.uid()" in refs.plain(f.source)
        for f in refs.catalog.functions.values()
    )


def _above(catalog: Catalog, group: str, users: dict[str, tuple[str, ...]]) -> str | None:
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
        names = _tenant_column_names(catalog, root.key)
        holders = {t.key for t in catalog.tables.values() if any(t.has(n) for n in names)}
        if len(holders) > max(2, len(pointing.get(group, ()))):
            return root.key
    return None


def _pairs_user_with(table: Table, tenant: str, users: Iterable[str]) -> bool:
    keyed = [set(u.columns) for u in table.uniques if not u.exclusion]
    return any(
        columns == {tenant, user}
        or columns == {user}
        or (columns > {tenant, user} and len(columns) == 3)
        for columns in keyed
        for user in users
    )


def _tenant_column_names(catalog: Catalog, tenant_table: str | None) -> set[str]:
    """Collect the names under which at least two tables (or the only one) point at the tenants."""
    if tenant_table is None:
        return set()
    names: dict[str, int] = {}
    for table in catalog.tables.values():
        for fk in table.foreign_keys:
            if fk.target == tenant_table and len(fk.columns) == 1:
                names[fk.columns[0]] = names.get(fk.columns[0], 0) + 1
    return {n for n, count in names.items() if count >= 2} or set(names)


def _paths(
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
            order = sorted(
                direct,
                key=lambda c: (not table.column(c).not_null, c not in names, direct.index(c)),
            )
            out[table.key] = ((order[0],), table.column(order[0]).not_null)
    _spread(catalog, refs, out)
    return out


def _spread(
    catalog: Catalog, refs: References, out: dict[str, tuple[tuple[str, ...], bool]]
) -> None:
    """Follow foreign keys breadth first: required steps, then those the policies follow, then any.

    A row that may point at several owners belongs to the one its policies ask for.
    """
    asked = {t.key: refs.words(refs.policy_text(t)) for t in catalog.tables.values()}
    for required, named in ((True, False), (False, True), (False, False)):
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


def _user_paths(
    catalog: Catalog, refs: References, users: dict[str, tuple[str, ...]]
) -> dict[str, tuple[tuple[str, ...], bool]]:
    out: dict[str, tuple[tuple[str, ...], bool]] = {}
    for key, columns in users.items():
        table = catalog.tables[key]
        if not table.is_base:
            continue
        compared = _callers(refs, table)
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


def _place(
    catalog: Catalog,
    refs: References,
    table: Table,
    root: str | None,
    memberships: tuple[Membership, ...],
    paths: dict[str, tuple[tuple[str, ...], bool]],
    users: dict[str, tuple[str, ...]],
    user_paths: dict[str, tuple[tuple[str, ...], bool]],
) -> TableModel:
    own = users.get(table.key, ())
    if table.key == root:
        return TableModel(table.key, "root", (catalog.tables[root].primary_key[0],), own)
    tenant = paths.get(table.key)
    is_member = any(m.table == table.key for m in memberships)
    callers = _callers(refs, table)
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
        if any(_pairs_user_with(other, column, users.get(key, ())) for column in pointing):
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
            term = re.compile(rf"\b{re.escape(column)} = \(? ?{_UID}", re.I)
            if texts and all(term.search(t) and " OR " not in t for t in texts):
                out[command] = column
                break
    signed = out.get("update") or out.get("delete")
    if signed and "insert" not in out and re.search(_UID, table.column(signed).default or ""):
        # Who may change a row is its author by default: nobody signs for somebody else.
        texts = [p.check or p.using or "" for p in table.policies_for("insert", "authenticated")]
        if not any(re.search(rf"\b{re.escape(signed)}\b", t) for t in texts):
            out["insert"] = signed
    return out


def seat_of(
    catalog: Catalog, refs: References, key: str, root: str, users: Iterable[str]
) -> Membership:
    """Read from a table's columns how its rows let a user into a tenant, and when they do not."""
    table = catalog.tables[key]
    tenant = next(
        fk.columns[0] for fk in table.foreign_keys if fk.target == root and len(fk.columns) == 1
    )
    keyed = {c for u in table.uniques for c in u.columns}
    order = sorted(users, key=lambda c: (c not in keyed, not table.column(c).not_null))
    user = order[0] if order else ""
    text = refs.everything
    role = status = active = expires = None
    gone: list[str] = []
    roles: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    for column in table.columns:
        if column.name in (user, tenant) or column.generated:
            continue
        values = _values(catalog, table, column, text)
        if tells_state(values):
            if status is None:
                status = column.name
                inactive = tuple(v for v in values if v.lower() in _INACTIVE)
                rest = [v for v in values if v not in inactive]
                active = next((v for v in rest if v.lower() in _ACTIVE), rest[0] if rest else None)
        elif column.category == "B" and not column.name == role:
            lower = column.name.lower()
            if status is None and any(w in lower for w in _ACTIVE):
                status, active, inactive = column.name, "true", ("false",)
            elif status is None and (any(w in lower for w in _INACTIVE) or _GONE.search(lower)):
                status, active, inactive = column.name, "false", ("true",)
        elif column.category == "D" and not column.not_null:
            if _ENDS.search(column.name):
                expires = expires or column.name
            elif _GONE.search(column.name):
                gone.append(column.name)
        elif len(values) > 1 and (
            not roles or ("role" in column.name.lower() and "role" not in (role or "").lower())
        ):
            role, roles = column.name, values
        if column.category == "D" and column.not_null and _ENDS.search(column.name):
            expires = expires or column.name
    return Membership(
        key, user, tenant, role, roles, status, active, inactive,
        deleted=gone[0] if gone else None, expires=expires, ended=tuple(gone[1:]),
    )  # fmt: skip


def _values(catalog: Catalog, table: Table, column: Column, text: str) -> tuple[str, ...]:
    """List the values a column can take, as far as the schema tells."""
    if column.labels:
        return column.labels
    if column.category not in "SN":
        return ()
    out: list[str] = []
    for check in table.checks:
        if check.columns == (column.name,) and (
            "ARRAY[" in check.expression or " = '" in check.expression
        ):
            if "~" not in check.expression:
                out += literals(check.expression)
    for check_text in column.domain_checks:
        if "ARRAY[" in check_text and "~" not in check_text:
            out += literals(check_text)
    if not out:
        for fk in table.foreign_keys:
            if column.name in fk.columns and (target := catalog.table(fk.target)):
                ref = fk.ref_columns[fk.columns.index(column.name)]
                for check in target.checks:
                    if ref in check.columns and "ARRAY[" in check.expression:
                        out += literals(check.expression)
    if (
        not out
        and column.category == "S"
        and not any(column.name in fk.columns for fk in table.foreign_keys)
    ):
        near = re.compile(
            rf"\b{re.escape(column.name)}\b\)?(?:::\w+)?\s*(?:=|<>|!=|in|= any)\s*"
            r"(\(*(?:array\[)?\s*'[^']*'(?:::\w+)?(?:\s*,\s*'[^']*'(?:::\w+)?)*)",
            re.I,
        )
        if column.not_null or column.default:
            for match in near.finditer(text):
                out += literals(match.group(1))
            if out and column.default:
                out += literals(column.default)[:1]
    return tuple(dict.fromkeys(v for v in out if v and not v.startswith("{")))


def _tenant_status(table: Table) -> tuple[str | None, tuple[str, ...]]:
    for column in table.columns:
        values = column.labels or tuple(
            v
            for k in table.checks
            if k.columns == (column.name,) and "ARRAY[" in k.expression
            for v in literals(k.expression)
        )
        words = {v.lower() for v in values}
        if words & _ACTIVE and words & _INACTIVE:
            return column.name, tuple(v for v in values if v.lower() in _INACTIVE)
    for column in table.columns:
        if column.category == "D" and not column.not_null and _OVER.search(column.name):
            return column.name, ("now",)
        if column.category == "B" and _OVER.search(column.name):
            return column.name, ("true",)
        if column.category == "B" and _ACTIVE & set(re.split(r"[^a-z]+", column.name.lower())):
            return column.name, ("false",)
    return None, ()
