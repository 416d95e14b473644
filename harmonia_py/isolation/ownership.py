"""Whose a row is, and whether an actor may have to do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from harmonia_py.isolation.actors import Actor, Cast
from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.fixtures import Fixtures
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.references import References

__all__ = ["Ownership"]

Row = dict[str, Any]
#: The rows of a table as seeded: mark -> (scope, row).
Seeded = Callable[[Table], Mapping[str, tuple[str | None, Row]]]


class Ownership:
    """What the model says of single rows, beside those that were there before the probes.

    ``scope`` is the tenant or user that ``Scopes`` names for the row, ``data`` the row itself.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        catalog: Catalog,
        model: TenancyModel,
        cast: Cast,
        fixtures: Fixtures,
        refs: References,
        seeded: Seeded,
    ) -> None:
        """Take what tells whose a row is; nothing is asked of the database yet."""
        self._conn = conn
        self._catalog = catalog
        self._model = model
        self._cast = cast
        self._fixtures = fixtures
        self._refs = refs
        self._seeded = seeded
        self._existing: frozenset[str] | None = None
        self._by: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], list[Row]]] = {}

    def foreign(self, actor: Actor, table: str, scope: str | None, data: Row) -> bool:
        """Whether a row belongs to somebody whose rows the actor must not reach."""
        return self.others(actor, table, scope, data) and not self._between(actor, table, data)

    def others(self, actor: Actor, table: str, scope: str | None, data: Row) -> bool:
        """Whether a row is of a tenant or of a person that the actor has nothing to do with."""
        if scope is None:
            return False
        model = self._model.of(table)
        labels = self._cast.labels()
        if (model.kind == "user" or self._model.tenant_table) and scope not in self._there():
            # Made by the probe itself: a new tenant, a new person.
            return False
        if model.kind in ("tenant", "root"):
            return labels.get(scope, "?") not in actor.tenants
        if model.kind == "user":
            if scope == actor.user or any(str(data.get(c)) == actor.user for c in model.users):
                return False
            name = self._fixtures.users.get(scope, "?")
            if name == "both":
                return not actor.tenants
            whole = self._model
            head = name.split(".")[0]
            return head not in actor.tenants or (
                whole.tenant_table is None
                and not (whole.memberships or whole.claims or whole.settings)
            )
        return False

    def mine(self, actor: Actor, table: str, data: Row) -> bool:
        """Whether the row itself names the actor (its author, its subject)."""
        return actor.user is not None and any(
            str(data.get(c)) == actor.user for c in self._model.of(table).users
        )

    def _between(self, actor: Actor, table: str, data: Row, depth: int = 2) -> bool:
        """Whether a row of a user hangs on a row that names the actor, by which policies go.

        A message is its sender's, and belongs to both sides of the conversation all the same.
        """
        here = self._catalog.tables.get(table)
        if here is None or depth == 0 or self._model.of(table).kind != "user":
            return False
        asked = self._refs.by_table[table][0]
        for fk in here.foreign_keys:
            parent = self._catalog.tables.get(fk.target)
            if parent is None or fk.target not in asked or self._model.of(fk.target).kind != "user":
                continue
            keys = tuple(str(data.get(c)) for c in fk.columns)
            for row in self._known_by(parent, fk.ref_columns).get(keys, ()):
                if self.mine(actor, fk.target, row):
                    return True
                if self._between(actor, fk.target, row, depth - 1):
                    return True
        return False

    def _known_by(self, table: Table, columns: tuple[str, ...]) -> dict[tuple[str, ...], list[Row]]:
        """Return the rows that the table had before, by the values of some columns."""
        key = (table.key, columns)
        if key not in self._by:
            found = self._by[key] = {}
            for _, row in self._seeded(table).values():
                found.setdefault(tuple(str(row.get(c)) for c in columns), []).append(row)
        return self._by[key]

    def _there(self) -> frozenset[str]:
        """Return the ids of every tenant and user that was there before the probes."""
        if self._existing is None:
            found: set[str] = set(self._fixtures.users)
            for key in (self._model.tenant_table, "auth.users"):
                table = self._catalog.table(key) if key else None
                if table and table.primary_key:
                    column = sql.Identifier(table.primary_key[0])
                    query = sql.SQL("select {}::text from {}").format(column, table.sql)
                    found |= {row[0] for row in self._conn.execute(query)}
            self._existing = frozenset(found | set(self._cast.labels()))
        return self._existing
