"""The tenancy model: what a project means to isolate, committed as ``harmonia.toml``.

Verdicts come from this intent, not from what the database happens to do. ``infer`` proposes
a model from the catalog; a person corrects it; ``load`` and ``dump`` keep it in the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmonia_py.errors import ModelError
from harmonia_py.isolation import toml_file

__all__ = ["Membership", "PermissionTable", "TableModel", "TenancyModel", "dump", "load", "loads"]

KINDS = ("tenant", "root", "user", "public", "internal", "unknown")


@dataclass(frozen=True, slots=True)
class Membership:
    """A table that says which user belongs to which tenant.

    ``active`` is the value of ``status`` that counts; the other values are inactive.
    ``deleted`` and ``expires`` are timestamps (or a boolean for ``deleted``); ``ended`` names
    further columns that end a membership once they hold a time.
    ``roles`` are the values ``role`` takes, strongest first where that is known.
    A grant may also begin (``starts``), count only while the person it comes from (``maker``)
    belongs to the tenant, and be carried by the token: ``claim`` then holds what ``user`` holds.
    """

    table: str
    user: str
    tenant: str
    role: str | None = None
    roles: tuple[str, ...] = ()
    status: str | None = None
    active: str | None = None
    inactive: tuple[str, ...] = ()
    deleted: str | None = None
    expires: str | None = None
    ended: tuple[str, ...] = ()
    starts: str | None = None
    maker: str | None = None
    claim: str | None = None


@dataclass(frozen=True, slots=True)
class TableModel:
    """How one table's rows belong to somebody.

    ``kind``: tenant (rows of one tenant), root (the tenants), user (rows of one user),
    public (shared, read-only for clients), internal (no client may reach it), unknown.
    ``path``: the columns that lead to the tenant or user: ``("organization_id",)`` when the
    table holds it, ``("deal_id", "organization_id")`` when the table behind ``deal_id`` does.
    ``roles``: command -> the roles that can do it to some row of their tenant.
    ``own_rows``: command -> the column that must name the caller in every row it touches.
    ``second_factor``: the commands that need a session with a second factor (``aal2``);
    ``registered``: those that anonymous sign-ins must not use.
    ``public_when``: a SQL condition on the row (alias ``t``) under which all may read it.
    ``permissions``: command -> permission keys, any of which allows it (see PermissionTable);
    ``own`` and ``team``: the same for rows whose ``owner`` is the caller, or whose
    ``team_column`` is a team of the caller. Both may lead through a foreign key:
    ``deal_id.owner_id``.
    """

    table: str
    kind: str
    path: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    public_when: str | None = None
    permissions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    own: dict[str, tuple[str, ...]] = field(default_factory=dict)
    team: dict[str, tuple[str, ...]] = field(default_factory=dict)
    owner: str | None = None
    team_column: str | None = None
    roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    own_rows: dict[str, str] = field(default_factory=dict)
    second_factor: tuple[str, ...] = ()
    registered: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PermissionTable:
    """A table of data that says which role holds which permission key.

    ``tenant`` names its tenant column when rows are per tenant (custom roles).
    """

    table: str
    role: str
    permission: str
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class TenancyModel:
    """The whole intent. ``tenant_table`` is None when each user is a tenant of their own.

    ``teams`` names the table that says who is in which team: table, user, team.
    ``functions``: function -> who may call it for a tenant of their own (see probes.callers).
    ``token_roles`` are the values of a role that the token carries, strongest first.
    """

    tenant_table: str | None
    tenant_key: str = "id"
    tenant_type: str = "uuid"
    memberships: tuple[Membership, ...] = ()
    grants: tuple[Membership, ...] = ()
    tables: dict[str, TableModel] = field(default_factory=dict)
    permission_tables: tuple[PermissionTable, ...] = ()
    claims: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    tenant_status: str | None = None
    tenant_closed: tuple[str, ...] = ()
    storage: dict[str, str] = field(default_factory=dict)
    teams: dict[str, str] = field(default_factory=dict)
    public_functions: tuple[str, ...] = ()
    functions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    token_roles: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ("public",)
    inferred: bool = True

    @property
    def membership(self) -> Membership | None:
        """The membership table that decides, if any."""
        return self.memberships[0] if self.memberships else None

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles a member can have; one unnamed role where there is no role column."""
        m = self.membership
        return m.roles if m and m.roles else self.token_roles or ("member",)

    @property
    def tenanted(self) -> bool:
        """Whether users share tenants; otherwise each user is a tenant of their own."""
        return bool(self.tenant_table or self.memberships or self.claims or self.settings)

    def mapped(self, table: str) -> bool:
        """Whether permission tables decide about this table."""
        entry = self.tables.get(table)
        said = entry and (entry.permissions or entry.own or entry.team)
        return bool(self.permission_tables and said)

    def of(self, table: str) -> TableModel:
        """Return the model of one table; kind unknown when nothing is said about it."""
        return self.tables.get(table) or TableModel(table, "unknown", reason="not in the model")


def load(path: Path) -> TenancyModel:
    """Read ``harmonia.toml``; raises ModelError naming the key that is wrong."""
    return _Reader(path.name).model(toml_file.read(path, ModelError).get("isolation", {}))


def loads(text: str, *, name: str = "harmonia.toml") -> TenancyModel:
    """Parse the text of a model file."""
    return _Reader(name).model(toml_file.parsed(text, name, ModelError).get("isolation", {}))


class _Reader:
    """Turn parsed TOML into values, naming the offending key on every mistake."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fail(self, where: str, what: str) -> ModelError:
        return ModelError(f"{self.name}: {where}: {what}")

    def text(self, data: dict[str, Any], key: str, where: str) -> str | None:
        value = data.get(key)
        if value is not None and not isinstance(value, str):
            raise self.fail(f"{where}.{key}", "must be a string")
        return value

    def texts(self, data: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
        value = data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self.fail(f"{where}.{key}", "must be a list of strings")
        return tuple(value)

    def known(self, data: Any, allowed: set[str], where: str) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise self.fail(where, "must be a table")
        unknown = sorted(set(data) - allowed)
        if unknown:
            raise self.fail(f"{where}.{unknown[0]}", "is not a key of the model")
        return data

    def commands(self, data: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
        found = self.texts(data, key, where)
        if unknown := sorted(set(found) - {"select", "insert", "update", "delete"}):
            raise self.fail(f"{where}.{key}", f"{unknown[0]} is not a command")
        return found

    def keys(self, data: dict[str, Any], key: str, where: str) -> dict[str, tuple[str, ...]]:
        commands = {"select", "insert", "update", "delete"}
        block = self.known(data.get(key, {}), commands, f"{where}.{key}")
        return {command: self.texts(block, command, f"{where}.{key}") for command in block}

    def model(self, data: dict[str, Any]) -> TenancyModel:
        where = "isolation"
        self.known(
            data,
            {
                "tenant",
                "membership",
                "grant",
                "tables",
                "permission_table",
                "claims",
                "settings",
                "storage",
                "teams",
                "public_functions",
                "functions",
                "token_roles",
                "schemas",
            },
            where,
        )
        tenant = self.known(
            data.get("tenant", {}), {"table", "key", "type", "status", "closed"}, f"{where}.tenant"
        )
        return TenancyModel(
            tenant_table=self.text(tenant, "table", f"{where}.tenant"),
            tenant_key=self.text(tenant, "key", f"{where}.tenant") or "id",
            tenant_type=self.text(tenant, "type", f"{where}.tenant") or "uuid",
            tenant_status=self.text(tenant, "status", f"{where}.tenant"),
            tenant_closed=self.texts(tenant, "closed", f"{where}.tenant"),
            memberships=tuple(
                self.membership(m, f"{where}.membership[{i}]")
                for i, m in enumerate(data.get("membership", []))
            ),
            grants=tuple(
                self.membership(m, f"{where}.grant[{i}]", {"starts", "maker", "claim"})
                for i, m in enumerate(data.get("grant", []))
            ),
            tables={
                key: self.table(key, value, f'{where}.tables."{key}"')
                for key, value in data.get("tables", {}).items()
            },
            permission_tables=tuple(
                self.permission(p, f"{where}.permission_table[{i}]")
                for i, p in enumerate(data.get("permission_table", []))
            ),
            claims=dict(data.get("claims", {})),
            settings=dict(data.get("settings", {})),
            storage=dict(data.get("storage", {})),
            teams=self.known(data.get("teams", {}), {"table", "user", "team"}, f"{where}.teams"),
            public_functions=self.texts(data, "public_functions", where),
            functions={
                key: self.texts(data["functions"], key, f"{where}.functions")
                for key in data.get("functions", {})
            },
            token_roles=self.texts(data, "token_roles", where),
            schemas=self.texts(data, "schemas", where) or ("public",),
            inferred=False,
        )

    def membership(self, data: Any, where: str, more: set[str] | None = None) -> Membership:
        self.known(
            data,
            (more or set())
            | {
                "table",
                "user",
                "tenant",
                "role",
                "roles",
                "status",
                "active",
                "inactive",
                "deleted",
                "expires",
                "ended",
            },
            where,
        )
        table, user, tenant = (self.text(data, k, where) for k in ("table", "user", "tenant"))
        if not (table and user and tenant):
            raise self.fail(where, "needs table, user and tenant")
        return Membership(
            table,
            user,
            tenant,
            role=self.text(data, "role", where),
            roles=self.texts(data, "roles", where),
            status=self.text(data, "status", where),
            active=self.text(data, "active", where),
            inactive=self.texts(data, "inactive", where),
            deleted=self.text(data, "deleted", where),
            expires=self.text(data, "expires", where),
            ended=self.texts(data, "ended", where),
            starts=self.text(data, "starts", where),
            maker=self.text(data, "maker", where),
            claim=self.text(data, "claim", where),
        )

    def table(self, key: str, data: Any, where: str) -> TableModel:
        self.known(
            data,
            {
                "kind",
                "path",
                "users",
                "public_when",
                "permissions",
                "own",
                "team",
                "owner",
                "team_column",
                "reason",
                "roles",
                "own_rows",
                "second_factor",
                "registered",
            },
            where,
        )
        kind = self.text(data, "kind", where) or "unknown"
        if kind not in KINDS:
            raise self.fail(f"{where}.kind", f"must be one of {', '.join(KINDS)}")
        return TableModel(
            key,
            kind,
            path=self.texts(data, "path", where),
            users=self.texts(data, "users", where),
            public_when=self.text(data, "public_when", where),
            permissions=self.keys(data, "permissions", where),
            own=self.keys(data, "own", where),
            team=self.keys(data, "team", where),
            owner=self.text(data, "owner", where),
            team_column=self.text(data, "team_column", where),
            reason=self.text(data, "reason", where) or "",
            roles=self.keys(data, "roles", where),
            own_rows=self.known(
                data.get("own_rows", {}), {"insert", "update", "delete"}, f"{where}.own_rows"
            ),
            second_factor=self.commands(data, "second_factor", where),
            registered=self.commands(data, "registered", where),
        )

    def permission(self, data: Any, where: str) -> PermissionTable:
        self.known(data, {"table", "role", "permission", "tenant"}, where)
        table, role, permission = (
            self.text(data, k, where) for k in ("table", "role", "permission")
        )
        if not (table and role and permission):
            raise self.fail(where, "needs table, role and permission")
        return PermissionTable(table, role, permission, self.text(data, "tenant", where))


def dump(model: TenancyModel) -> str:
    """Write the model as the TOML text ``load`` reads back to an equal model."""
    out = ["# What this project isolates; harmonia verify judges the database by it.", ""]
    out += ["[isolation]", f"schemas = {_value(model.schemas)}"]
    if model.public_functions:
        out.append(f"public_functions = {_value(model.public_functions)}")
    if model.token_roles:
        out.append(f"token_roles = {_value(model.token_roles)}")
    tenant = {
        "table": model.tenant_table,
        "key": model.tenant_key,
        "type": model.tenant_type,
        "status": model.tenant_status,
        "closed": model.tenant_closed,
    }
    out += ["", "[isolation.tenant]", *_pairs(tenant)]
    for name, members in (("membership", model.memberships), ("grant", model.grants)):
        for m in members:
            out += ["", f"[[isolation.{name}]]"]
            out += _pairs({f: getattr(m, f) for f in Membership.__slots__})
    for p in model.permission_tables:
        out += ["", "[[isolation.permission_table]]"]
        out += _pairs({f: getattr(p, f) for f in PermissionTable.__slots__})
    for name, block in (
        ("claims", model.claims),
        ("settings", model.settings),
        ("storage", model.storage),
        ("teams", model.teams),
    ):
        if block:
            out += ["", f"[isolation.{name}]", *_pairs(block)]
    if model.functions:
        out += ["", "[isolation.functions]"]
        out += [f"{_quote(k)} = {_value(v)}" for k, v in sorted(model.functions.items())]
    for key in sorted(model.tables):
        out += ["", f"[isolation.tables.{_quote(key)}]"]
        table = model.tables[key]
        out += _pairs({f: getattr(table, f) for f in TableModel.__slots__ if f != "table"})
    return "\n".join(out) + "\n"


def _pairs(block: dict[str, Any]) -> list[str]:
    return [f"{_key(k)} = {_value(v)}" for k, v in block.items() if v not in (None, "", (), {}, [])]


def _key(name: str) -> str:
    bare = name.replace("_", "").replace("-", "")
    return name if bare.isalnum() and bare.isascii() else _quote(name)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return _quote(str(value))


def _quote(text: str) -> str:
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif ord(char) < 32 or ord(char) == 127:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'
