"""Seed every table with rows of both tenants whose every value can be traced to its owner."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.actors import Actor, Cast, user_id
from harmonia_py.isolation.catalog import Catalog, Column, ForeignKey, Table
from harmonia_py.isolation.infer import user_columns
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.publicity import opened
from harmonia_py.isolation.references import References, literals
from harmonia_py.isolation.shares import shares
from harmonia_py.isolation.solve import choose
from harmonia_py.isolation.standing import Standing
from harmonia_py.isolation.values import candidates

__all__ = ["Fixtures", "Row", "repeat", "seed"]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(slots=True)
class Row:
    """A row that was (or, for a spare, could be) inserted; ``owner`` is A, B or None."""

    table: str
    owner: str | None
    user: str | None
    values: dict[str, Any]
    variant: bool = False


@dataclass(frozen=True, slots=True)
class Preferred:
    """A value to begin with, where the constraints let it be."""

    value: Any


@dataclass(slots=True)
class Fixtures:
    """What was seeded, what could not be, and whose each traceable value is."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    spares: dict[tuple[str, str | None], Row] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    canaries: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    replica: bool = False
    #: The statements that stored all this, in order, and what each returned.
    done: list[tuple[bytes, list[Any]]] = field(default_factory=list)

    def of(self, table: str, owner: str | None, user: str | None = None) -> list[Row]:
        """Return the rows of one owner (of one user, when given), plain rows first."""
        rows = [
            r
            for r in self.rows.get(table, ())
            if r.owner == owner and (user is None or r.user == user)
        ]
        plain = [r for r in rows if not r.variant]
        return plain if len(plain) == len(rows) else plain + [r for r in rows if r.variant]

    def owner_of(self, text: str) -> dict[str, str]:
        """Return the canaries inside ``text``: value -> owner."""
        out: dict[str, str] = {}
        for word in re.findall(r"[\w@.:/+#-]{5,}", text):
            if (owner := self.canaries.get(word)) is not None:
                out[word] = owner
            else:
                for part in [*_UUID.findall(word), *re.findall(r"hza?b?\d{4,}|\d{7,}", word)]:
                    if (owner := self.canaries.get(part)) is not None:
                        out[part] = owner
        return out


def seed(
    conn: psycopg.Connection[Any], catalog: Catalog, model: TenancyModel, cast: Cast
) -> Fixtures:
    """Insert the fixtures in the open transaction and return what is there.

    Triggers and foreign keys are off meanwhile where the role may do that
    (``session_replication_role``); constraints stay on.
    """
    seeder = _Seeder(conn, catalog, model, cast)
    seeder.run()
    return seeder.fixtures


def repeat(conn: psycopg.Connection[Any], fixtures: Fixtures) -> Fixtures | None:
    """Store the same rows in a copy of the database; None when they do not come out the same."""
    try:
        for statement, returned in fixtures.done:
            cursor = conn.execute(statement)
            if cursor.description is not None and cursor.fetchall() != returned:
                return None
    except psycopg.OperationalError:
        raise
    except psycopg.Error:
        return None
    rows = defaultdict(list, {key: list(kept) for key, kept in fixtures.rows.items()})
    return replace(fixtures, rows=rows)


class _Seeder:
    def __init__(
        self, conn: psycopg.Connection[Any], catalog: Catalog, model: TenancyModel, cast: Cast
    ) -> None:
        self.conn = conn
        self.catalog = catalog
        self.model = model
        self.cast = cast
        self.refs = References(catalog)
        self.standing = Standing(catalog, model, self.refs)
        self.user_columns = user_columns(catalog, self.refs)
        self.fixtures = Fixtures()
        self.twins = _twins(catalog)
        self.shares = shares(catalog, model)
        self.counter = 0

    def run(self) -> None:
        self.fixtures.replica = self._try("set local session_replication_role = replica")
        try:
            self._users()
            for table in self._order():
                with_error = self._table(table)
                if with_error:
                    self.fixtures.errors[table.key] = with_error
        finally:
            if self.fixtures.replica:
                self._do("set local session_replication_role = origin")
        for table in self.catalog.tables.values():
            if table.kind == "matview":
                self._try(sql.SQL("refresh materialized view {}").format(table.sql))
        self._canaries()

    def _do(self, statement: str | sql.Composed) -> list[Any]:
        """Run a statement and note it; return its rows, if it has any."""
        text = sql.SQL(statement) if isinstance(statement, str) else statement
        encoded = text.as_bytes(self.conn)
        cursor = self.conn.execute(encoded)
        rows = cursor.fetchall() if cursor.description is not None else []
        self.fixtures.done.append((encoded, rows))
        return rows

    def _try(self, statement: str | sql.Composed) -> bool:
        try:
            with self.conn.transaction():
                self._do(statement)
        except psycopg.Error:
            return False
        return True

    def _users(self) -> None:
        table = self.catalog.platform.get("auth.users")
        names = [(a.name, a) for a in self.cast.actors if a.user]
        hidden = [f"{label}.staff" for label in "AB"]
        people = [(name, actor) for name, actor in names] + [(h, None) for h in hidden]
        for name, _ in people:
            self.fixtures.users[user_id(name)] = name
        if table is None:
            return
        rows = []
        for name, actor in people:
            token = name.split(".")[0].lower()
            email = f"{name.lower().replace('.', '-').replace(' ', '-')}.hz{token}@example.test"
            if actor and actor.claims.get("email"):
                email = actor.claims["email"]
            full: dict[str, Any] = {
                "id": user_id(name),
                "email": email,
                "aud": "authenticated",
                "role": "authenticated",
                "created_at": "2026-01-01T00:00:00Z",
                "updated_at": "2026-01-01T00:00:00Z",
                "email_confirmed_at": "2026-01-01T00:00:00Z",
                "raw_app_meta_data": {"provider": "email"},
                "raw_user_meta_data": {},
                "instance_id": "00000000-0000-0000-0000-000000000000",
                "is_anonymous": actor is not None and actor.state == "anonymous",
                "is_sso_user": False,
                "is_super_admin": False,
            }
            row = {k: v for k, v in full.items() if table.has(k) and table.column(k).writable}
            rows.append(row)
        done, error = self._insert(table, rows)
        if error and not done:
            self.fixtures.errors["auth.users"] = error
        for values in done:
            self.fixtures.rows["auth.users"].append(
                Row("auth.users", self.owner_of_user(values["id"]), values["id"], values)
            )

    def owner_of_user(self, user: str) -> str | None:
        name = self.fixtures.users.get(user, "")
        head = name.split(".")[0]
        return head if head in ("A", "B") else None

    def _order(self) -> list[Table]:
        """Parents before children; cycles are cut at nullable references."""
        tables = [t for t in self.catalog.tables.values() if t.is_base and t.parent is None]
        keys = {t.key for t in tables}
        for soft in (False, True):
            placed: list[Table] = []
            done: set[str] = set()
            rest = list(tables)
            while rest:
                ready = [
                    t
                    for t in rest
                    if all(
                        fk.target in done
                        or fk.target == t.key
                        or fk.target not in keys
                        or (soft and not all(t.column(c).not_null for c in fk.columns))
                        for fk in t.foreign_keys
                    )
                ]
                if not ready:
                    break
                placed += ready
                done |= {t.key for t in ready}
                rest = [t for t in rest if t.key not in done]
            if not rest:
                return placed
        return placed + rest

    def _table(self, table: Table) -> str | None:
        wanted = self._wanted(table)
        if not wanted:
            return None
        drafts, meta, problem = [], [], None
        for owner, user, variant, spare, fixed in wanted:
            self.counter += 1
            draft = self._draft(table, owner, user, self.counter, fixed, variant=variant)
            if isinstance(draft, str):
                problem = draft
                continue
            drafts.append(draft)
            meta.append((owner, user, variant, spare))
        if not drafts:
            return problem
        rows, unsolved = choose(self.conn, table, drafts)
        insert = [r for r, m in zip(rows, meta, strict=True) if not m[3]]
        done, error = self._insert(table, insert)
        keyed = {self._identity(table, r): r for r in done}
        for row, (owner, user, variant, spare) in zip(rows, meta, strict=True):
            if spare:
                self.fixtures.spares[table.key, owner] = Row(table.key, owner, user, row)
            elif (stored := keyed.get(self._identity(table, row))) is not None:
                self.fixtures.rows[table.key].append(Row(table.key, owner, user, stored, variant))
        need = {m[0] for m in meta if not m[3]}
        have = {r.owner for r in self.fixtures.rows[table.key]}
        if need - have:
            reason = error or problem or "no row was kept"
            if unsolved:
                reason += f" (no values found for {', '.join(dict.fromkeys(unsolved))})"
            return reason
        return None

    def _identity(self, table: Table, row: dict[str, Any]) -> str:
        columns = table.primary_key or tuple(
            c.name for c in table.columns if c.category in "USN" and c.name in row
        )
        return json.dumps([str(row.get(c)) for c in columns])

    def _wanted(
        self, table: Table
    ) -> list[tuple[str | None, str | None, bool, bool, dict[str, Any]]]:
        """List the rows to make: (owner, user, variant, spare, fixed columns)."""
        kind = self.model.of(table.key).kind
        membership = next((m for m in self.model.memberships if m.table == table.key), None)
        if membership and self.model.tenant_table != table.key:
            return self._memberships(membership)
        if kind == "root":
            out: list[tuple[str | None, str | None, bool, bool, dict[str, Any]]] = []
            for tenant in (self.cast.a, self.cast.b):
                members = self.cast.members(tenant.label)
                boss = members[0].user if members else None
                fixed: dict[str, Any] = {self.model.tenant_key: tenant.id}
                out.append((tenant.label, boss, False, False, fixed))
                out.append((tenant.label, user_id(f"{tenant.label}.fresh"), False, True, {}))
            return out
        if kind == "tenant":
            return self._tenant_rows(table)
        if kind == "user":
            return self._user_rows(table)
        present = self.conn.execute(
            sql.SQL("select to_jsonb(t) from {} as t limit 20").format(table.sql)
        ).fetchall()
        for (values,) in present:
            self.fixtures.rows[table.key].append(Row(table.key, None, None, values))
        spare: tuple[str | None, str | None, bool, bool, dict[str, Any]] = (
            None,
            None,
            False,
            True,
            {},
        )
        if kind == "unknown" and not present and not self.model.memberships:
            # What people are listed for: one row for each side, so that they do not meet.
            return [(label, None, False, False, {}) for label in ("A", "B", None)] + [spare]
        return [spare] if present else [(None, None, False, False, {}), spare]

    def _memberships(
        self, m: Any
    ) -> list[tuple[str | None, str | None, bool, bool, dict[str, Any]]]:
        out: list[tuple[str | None, str | None, bool, bool, dict[str, Any]]] = []
        for actor in self.cast.actors:
            for label, role in self._seats(actor).items():
                fixed: dict[str, Any] = {
                    m.user: actor.user,
                    m.tenant: self._seat(m, label),
                }
                if m.role and role:
                    fixed[m.role] = role
                if m.status:
                    value = m.active
                    if actor.state.startswith("inactive:"):
                        value = actor.state.split(":", 1)[1]
                    fixed[m.status] = {"true": True, "false": False}.get(value, value)
                if m.deleted:
                    fixed[m.deleted] = "2026-01-02T00:00:00Z" if actor.state == "deleted" else None
                for column in m.ended:
                    past = actor.state == f"ended:{column}"
                    fixed[column] = "2026-01-02T00:00:00Z" if past else None
                if m.expires:
                    fixed[m.expires] = self._expiry(m, actor)
                out.append((label, actor.user, False, False, fixed))
        for label in "AB":
            out.append(
                (
                    label,
                    user_id(f"{label}.staff"),
                    False,
                    True,
                    {m.tenant: self._seat(m, label)},
                )
            )
        return out

    def _powers(self, table: Table, column: Column) -> list[str]:
        """List every permission that policies ask for, where a list of them decides."""
        if not self.refs.authority.get(table.key):
            return []
        labels = [
            label
            for (label,) in self.conn.execute(
                "select enumlabel from pg_catalog.pg_enum"
                " where enumtypid = pg_catalog.to_regtype(%s) order by enumsortorder",
                (column.element,),
            )
        ]
        if labels:
            return labels
        default = re.match(r"'\{([\w., :-]*)\}'", column.default or "")
        if default is None:
            return []
        asked = [
            value
            for other in self.catalog.tables.values()
            if table.key in self.refs.by_table[other.key][0]
            for value in literals(self.refs.policy_text(other))
        ]
        own = [v.strip() for v in default.group(1).split(",") if v.strip()]
        return list(dict.fromkeys([*own, *(v for v in asked if re.fullmatch(r"[\w.:-]+", v))]))[:60]

    def _seat(self, m: Any, label: str) -> Any:
        """Return what a membership names: the tenant, or a group that the tenant has."""
        table = self.catalog.tables[m.table]
        step = table.step(m.tenant)
        if step is None or step.target == self.model.tenant_table:
            return self.cast.tenant(label).id
        groups = self.fixtures.of(step.target, label)
        ref = step.ref_columns[step.columns.index(m.tenant)]
        return groups[0].values.get(ref) if groups else self.cast.tenant(label).id

    def _expiry(self, m: Any, actor: Actor) -> str | None:
        """Choose an end: past, far ahead, and for the strongest role none where none is needed."""
        if actor.state == "expired":
            return "2026-01-02T00:00:00Z"
        table = self.catalog.tables.get(m.table)
        endless = table is not None and not table.column(m.expires).not_null
        if endless and actor.is_member and self.model.roles[0] in actor.tenants.values():
            return None
        return "2099-01-01T00:00:00Z"

    def _seats(self, actor: Actor) -> dict[str, str]:
        if actor.tenants:
            return actor.tenants
        if actor.former and actor.state != "removed":
            roles = self.model.roles
            return {actor.former: roles[min(1, len(roles) - 1)]}
        return {}

    def _owners(self, label: str, *, authority: bool) -> list[str]:
        """List the users who own a row of tenant ``label``."""
        users = []
        for actor in self.cast.actors:
            if actor.user is None or actor.state in ("fresh", "stranger", "anonymous"):
                continue
            if actor.state == "moved":
                if label == "B" and not authority:
                    users.append(actor.user)
                continue
            if label in actor.tenants or (
                actor.former == label and not (authority and actor.state == "removed")
            ):
                users.append(actor.user)
        return users

    def _staffed(self, table: Table) -> bool:
        """Whether a row alone gives its user rights, so that the cast must not get one."""
        m = self.model.of(table.key)
        if m.kind == "user" and (self._closed(table) or self.standing.granted(table)):
            return True
        if any(g.table == table.key and g.user not in table.primary_key for g in self.model.grants):
            return True  # the people of the tenants are not the staff it lets in
        if not self.refs.authority.get(table.key) or any(
            x.table == table.key for x in self.model.memberships
        ):
            return False
        objects = [
            fk
            for fk in table.foreign_keys
            if self.model.of(fk.target).kind == "tenant"
            and not any(x.table == fk.target for x in self.model.memberships)
        ]
        if m.kind == "tenant":
            return (
                bool(self.user_columns.get(table.key))
                and not objects
                and not any(table.can(r, "INSERT") for r in self.catalog.roles)
                and not any(table.can(r, "SELECT") for r in self.catalog.roles)
            )
        return self._closed(table)

    def _closed(self, table: Table) -> bool:
        return not any(
            table.can(r, p) for r in self.catalog.roles for p in ("INSERT", "UPDATE", "SELECT")
        )

    def _tenant_rows(
        self, table: Table
    ) -> list[tuple[str | None, str | None, bool, bool, dict[str, Any]]]:
        out: list[tuple[str | None, str | None, bool, bool, dict[str, Any]]] = []
        people = set(self.user_columns.get(table.key, ()))
        authority = bool(self.refs.authority.get(table.key))
        keyed = self._role_rows(table)
        for label in "AB":
            for fixed in keyed:
                out.append((label, None, False, False, fixed))
            if self._staffed(table):
                # Whom a grant lets in is not left to what its checks make of the row.
                named = {g.user for g in self.model.grants if g.table == table.key}
                staff = user_id(f"{label}.staff")
                out.append((label, staff, False, False, dict.fromkeys(named, staff)))
            elif self.user_columns.get(table.key) or self._seated(table):
                # Who is a guest has a right of his own, whatever became of his membership.
                live = self.shares[table.key].live() if table.key in self.shares else {}
                former = {a.user for a in self.cast.actors if not a.tenants} if live else set()
                # Where policies read the row and ask for nobody in it, it lets nobody in.
                decides = bool(people & self.refs.consulted(table))
                for user in self._owners(label, authority=decides):
                    if user not in former:
                        out.append((label, user, False, False, live))
            else:
                members = self.cast.members(label)
                for _ in range(2 if table.key in self.twins else 1):
                    out.append((label, members[0].user if members else None, False, False, {}))
            first = self.cast.members(label)
            if not authority:
                out.append((label, first[0].user if first else None, True, False, {}))
            spare = self._new_role(keyed[0], label) if keyed else {}
            out.append((label, user_id(f"{label}.fresh"), False, True, spare))
        return out

    def _new_role(self, built_in: dict[str, Any], label: str) -> dict[str, Any]:
        """Return what to prefer for a role of the tenant's own: a new key, and the least rank."""
        key = Preferred(f"{self.cast.tenant(label).token}new")
        return {
            column: Preferred(1) if isinstance(value, Preferred) else key
            for column, value in built_in.items()
        }

    def _seated(self, table: Table) -> bool:
        """Whether a row names a person by a key of the memberships other than the user's id."""
        return any(
            fk.target == m.table and m.user not in fk.ref_columns
            for m in self.model.memberships
            for fk in table.foreign_keys
        )

    def _role_rows(self, table: Table) -> list[dict[str, Any]]:
        """List what to fix when the memberships' role points at a row of this table."""
        for m in self.model.memberships:
            members = self.catalog.tables.get(m.table)
            for fk in members.foreign_keys if members else ():
                if fk.target == table.key and m.role in fk.columns:
                    column = fk.ref_columns[fk.columns.index(m.role)]
                    ranks = [
                        c.name
                        for c in table.columns
                        if c.category == "N" and c.name not in table.primary_key
                    ]
                    # Who ranks whom is mostly a number: the strongest role gets the largest.
                    return [
                        {column: role} | dict.fromkeys(ranks, Preferred(100 - 5 * place))
                        for place, role in enumerate(m.roles)
                    ]
        return []

    def _user_rows(
        self, table: Table
    ) -> list[tuple[str | None, str | None, bool, bool, dict[str, Any]]]:
        out: list[tuple[str | None, str | None, bool, bool, dict[str, Any]]] = []
        if self._staffed(table):
            out.append(("B", user_id("B.staff"), False, False, {}))
        else:
            for actor in self.cast.actors:
                if actor.user and actor.state not in ("fresh", "anonymous", "moved"):
                    live = self.shares[table.key].live() if table.key in self.shares else {}
                    out.append((self.owner_of_user(actor.user), actor.user, False, False, live))
        for label in "AB":
            out.append((label, user_id(f"{label}.fresh"), False, True, {}))
        return out

    def _draft(
        self,
        table: Table,
        owner: str | None,
        user: str | None,
        n: int,
        fixed: dict[str, Any],
        *,
        variant: bool,
    ) -> dict[str, list[Any]] | str:
        values = {k: v for k, v in fixed.items() if not isinstance(v, Preferred)}
        m = self.model.of(table.key)
        tenant = self.cast.tenant(owner) if owner else None
        if m.kind == "tenant" and len(m.path) == 1 and tenant:
            values.setdefault(m.path[0], tenant.id)
        token = tenant.token if tenant else "hzs"
        checked = {c for check in table.checks if len(check.columns) > 1 for c in check.columns}
        mine = self.user_columns.get(table.key, ())
        for name in mine:
            if user and name not in checked:
                values.setdefault(name, user)
        for fk in sorted(table.foreign_keys, key=lambda f: -len(f.columns)):
            problem = self._reference(table, fk, owner, user, values, n, m.path, variant=variant)
            if problem:
                return problem
        optional = {
            c
            for fk in table.foreign_keys
            for c in fk.columns
            if c in checked and c not in fixed and c not in m.path[:1]
            if not table.column(c).not_null
        }
        draft: dict[str, list[Any]] = {}
        for column in table.columns:
            if not column.writable and column.identity != "a":
                continue
            if column.name in values:
                draft[column.name] = [values[column.name]]
                if column.name in checked and column.name not in (*fixed, *m.path[:1]):
                    # A check may want it to differ from another reference.
                    draft[column.name] += self._alternatives(table, column.name, owner, values)
                if column.name in optional and values[column.name] is not None:
                    # A check may want one reference out of several, the others empty.
                    draft[column.name].append(None)
            elif column.name in mine and user:
                others = [a.user for a in self.cast.members(owner or "A") if a.user != user][:2]
                others.append(user_id(f"{owner or 'A'}.staff"))
                last = [None] if not column.not_null else []
                draft[column.name] = [user, *others, *last]
            else:
                texts = tuple(k.expression for k in table.checks if column.name in k.columns)
                options = candidates(column, token, n, texts, variant=variant)
                if column.category == "A" and (powers := self._powers(table, column)):
                    options.insert(0, powers)
                draft[column.name] = self.standing.ordinary(table, column, options)
                if isinstance(first := fixed.get(column.name), Preferred):
                    draft[column.name].insert(0, first.value)
                # One tenant's short name begins with the other's, so that prefix tricks show.
                short = column.category == "S" and any(
                    u.columns == (column.name,) for u in table.uniques
                )
                if short and m.kind == "root" and tenant and self.model.tenant_key in fixed:
                    draft[column.name].insert(0, tenant.token)
        for check in table.checks:
            _compose(table, check.columns, draft, f"{token}{n:04d}")
        return draft

    def _alternatives(
        self, table: Table, column: str, owner: str | None, values: dict[str, Any]
    ) -> list[Any]:
        """Return a few other rows a reference could point at."""
        for fk in table.foreign_keys:
            if fk.columns != (column,):
                continue
            # One's own people first, then those of no tenant.
            pool = sorted(self._pool(fk, owner), key=lambda r: (r.owner != owner, bool(r.owner)))
            found = [r.values.get(fk.ref_columns[0]) for r in pool]
            return [v for v in dict.fromkeys(found) if v != values[column]][:3]
        return []

    def _reference(
        self,
        table: Table,
        fk: ForeignKey,
        owner: str | None,
        user: str | None,
        values: dict[str, Any],
        n: int,
        path: tuple[str, ...],
        *,
        variant: bool,
    ) -> str | None:
        free = [c for c in fk.columns if c not in values]
        if not free:
            return self._kept(table, fk, values)
        optional = [c for c in free if not table.column(c).not_null]
        needed = bool(path) and path[0] in fk.columns
        if fk.target == "auth.users":
            if not (
                user and any(len(k.columns) > 1 and free[0] in k.columns for k in table.checks)
            ):
                # Where a check ties users together, the draft offers more than one.
                values[free[0]] = user or user_id("A.staff")
            return None
        if variant and optional and not needed:
            values[optional[0]] = None
            return None
        pool = self._pool(fk, owner)
        match = [
            row
            for row in pool
            if all(
                c not in values or str(row.values.get(r)) == str(values[c])
                for c, r in zip(fk.columns, fk.ref_columns, strict=True)
            )
        ]
        own = [r for r in match if r.owner == owner]
        if self.model.of(fk.target).kind in ("tenant", "root", "user") or any(
            r.owner for r in pool
        ):
            match = own or ([] if owner else match)
        by_user = [r for r in match if r.user == user]
        # Two references to one table rarely mean the same row, and a check may forbid it.
        match = (
            self._apart(table, fk, values, by_user)
            or self._apart(table, fk, values, match)
            or by_user
            or match
        )
        if not match:
            if optional:
                values[optional[0]] = None
                return None
            return f"no row of {fk.target} to reference through {fk.name}"
        # What decides about access hangs on one parent, so that people differ by role alone; a
        # variant shares the plain row's parent, so that two rows of one parent exist.
        steady = by_user or (
            self.refs.authority.get(table.key) and self.user_columns.get(table.key)
        )
        row = match[0] if steady else match[(n - variant) % len(match)]
        for column, ref in zip(fk.columns, fk.ref_columns, strict=True):
            values[column] = row.values.get(ref)
        return None

    def _apart(
        self, table: Table, fk: ForeignKey, values: dict[str, Any], pool: list[Row]
    ) -> list[Row]:
        """Leave out the rows that another foreign key of this row already points at.

        Nor may a check find the row equal to another reference.
        """
        tied = {
            str(values[other])
            for check in table.checks
            for column in fk.columns
            if column in check.columns and column not in values
            for other in check.columns
            if values.get(other) is not None
        }
        pool = [r for r in pool if not tied & {str(r.values.get(c)) for c in fk.ref_columns}]
        taken = {
            tuple(str(values.get(c)) for c in other.columns)
            for other in table.foreign_keys
            if other.target == fk.target
            and other.ref_columns == fk.ref_columns
            and other.columns != fk.columns
            and all(values.get(c) is not None for c in other.columns)
        }
        return [r for r in pool if tuple(str(r.values.get(c)) for c in fk.ref_columns) not in taken]

    def _kept(self, table: Table, fk: ForeignKey, values: dict[str, Any]) -> str | None:
        """Drop a reference to a membership that does not exist: a former member's."""
        if not any(m.table == fk.target for m in self.model.memberships):
            return None
        if any(values[c] is None for c in fk.columns) or any(
            all(
                str(r.values.get(ref)) == str(values[c])
                for c, ref in zip(fk.columns, fk.ref_columns, strict=True)
            )
            for r in self.fixtures.rows.get(fk.target, ())
        ):
            return None
        optional = [c for c in fk.columns if not table.column(c).not_null]
        if optional:
            values[optional[0]] = None
            return None
        return f"no row of {fk.target} to reference through {fk.name}"

    def _pool(self, fk: ForeignKey, owner: str | None) -> list[Row]:
        if fk.target not in self.fixtures.rows and fk.target in self.catalog.platform:
            target = self.catalog.platform[fk.target]
            for (values,) in self.conn.execute(
                sql.SQL("select to_jsonb(t) from {} as t limit 20").format(target.sql)
            ).fetchall():
                self.fixtures.rows[fk.target].append(Row(fk.target, None, None, values))
        return sorted(self.fixtures.rows.get(fk.target, ()), key=lambda r: r.variant)

    def _insert(
        self, table: Table, rows: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Insert what can be inserted; return the stored rows and the first error."""
        if not rows:
            return [], None
        try:
            with self.conn.transaction():
                done = self._do(self._filling(table, rows))
            return [d[0] for d in done], None
        except psycopg.Error as error:
            first = _say(error)
        out: list[dict[str, Any]] = []
        for row in rows:
            try:
                with self.conn.transaction():
                    done = self._do(self._filling(table, [row]))
                out += [d[0] for d in done]
            except psycopg.Error as error:
                first = _say(error)
        return out, first

    def _filling(self, table: Table, rows: list[dict[str, Any]]) -> sql.Composed:
        # No parameters: a name may hold what looks like a place for one.
        return sql.SQL(
            "insert into {table} as t ({names}) overriding system value select {names} "
            "from pg_catalog.jsonb_populate_recordset(null::{table}, {rows}) "
            "{skip} returning to_jsonb(t)"
        ).format(
            table=table.sql,
            names=sql.SQL(", ").join(map(sql.Identifier, rows[0])),
            rows=sql.Literal(Jsonb(rows)),
            skip=sql.SQL(table.skip_present),
        )

    def _canaries(self) -> None:
        seen: dict[str, set[str | None]] = defaultdict(set)
        for rows in self.fixtures.rows.values():
            for row in rows:
                for value in _leaves(row.values.values()):
                    seen[value].add(row.owner)
        for actor in self.cast.actors:
            if actor.user and len(actor.tenants) != 1:
                seen[actor.user].add(None)
        for tenant in (self.cast.a, self.cast.b):
            seen[tenant.id] = {tenant.label}
        # What everybody may read gives nobody away.
        for key, rows in self.fixtures.rows.items():
            if (table := self.catalog.tables.get(key)) is not None:
                for values in opened(
                    self.conn, table, self.model.of(key), [r.values for r in rows]
                ):
                    for value in _leaves(values.values()):
                        seen[value].add(None)
        # A word of the schema (a label, a column, a key of some JSON) traces nothing to anybody.
        spoken = self.refs.words(self.refs.everything) | {
            word
            for table in self.catalog.tables.values()
            for column in table.columns
            for word in (column.name, *column.labels)
        }
        spoken |= {
            word
            for table in self.catalog.tables.values()
            for check in table.checks
            for word in literals(check.expression)
        }
        self.fixtures.canaries = {
            value: next(iter(owners)) or ""
            for value, owners in seen.items()
            if len(owners) == 1 and None not in owners and value not in spoken
        }


def _twins(catalog: Catalog) -> frozenset[str]:
    """Find the tables of which some row must reference two different rows."""
    return frozenset(
        one.target
        for table in catalog.tables.values()
        for check in table.checks
        for one in table.foreign_keys
        for other in table.foreign_keys
        if one is not other
        and one.target == other.target
        and set(one.columns) & set(check.columns)
        and set(other.columns) & set(check.columns)
    )


def _compose(
    table: Table, columns: tuple[str, ...], draft: dict[str, list[Any]], mark: str
) -> None:
    """Offer texts made of the row's other values: paths and keys that a check ties together."""
    for name in columns:
        if name not in draft or table.column(name).category != "S" or len(draft[name]) == 1:
            continue
        others = [str(draft[c][0]) for c in columns if c != name and draft.get(c, [None])[0]]
        for join in "/:-_.":
            for parts in (others, others[::-1]):
                if parts:
                    draft[name].insert(len(draft[name]) // 2, join.join([*parts, mark]))
                    draft[name].append(join.join(parts))


def _leaves(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, dict):
            yield from _leaves(value.values())
        elif isinstance(value, list):
            yield from _leaves(value)
        elif isinstance(value, str) and len(value) >= 6:
            yield value
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1_000_000:
            yield str(value)


def _say(error: psycopg.Error) -> str:
    diag = error.diag
    text = (diag.message_primary or str(error)).strip().splitlines()[0]
    return f"{text} ({error.sqlstate})" if error.sqlstate else text
