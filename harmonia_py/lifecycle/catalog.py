"""What belongs to an organization, as the database's own catalog says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql

from harmonia_py.connection import Connection
from harmonia_py.errors import Refused
from harmonia_py.lifecycle import sql as statements

__all__ = ["Table", "fingerprint", "organization", "schema_version", "tables"]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with rows of tenants. ``columns`` leaves out generated ones."""

    schema: str
    name: str
    tenant: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def identifier(self) -> sql.Identifier:
        """Return the qualified name for a statement."""
        return sql.Identifier(self.schema, self.name)

    def rows(self, columns: sql.Composable, *, order: bool = False) -> sql.Composed:
        """Return the query for the rows of the organization ``{organization}``."""
        query = sql.SQL("select {} from {} as t where t.{} = {}").format(
            columns, self.identifier, sql.Identifier(self.tenant), sql.Placeholder("organization")
        )
        if order and self.key:
            keys = sql.SQL(", ").join(sql.Identifier("t", name) for name in self.key)
            return query + sql.SQL(" order by ") + keys
        return query


def tables(conn: Connection, *, exported: bool = True) -> list[Table]:
    """Return the tables of tenants, parents first; the organization itself is the first."""
    rows = conn.execute(statements.load("tables"), {"exported": exported}).fetchall()
    return [
        Table(schema, name, tenant, tuple(columns), tuple(key))
        for schema, name, tenant, columns, key in rows
    ]


def organization(conn: Connection, organization_id: UUID) -> dict[str, Any]:
    """Return id, name, slug and status. Raises :class:`Refused`."""
    row = conn.execute(
        "select name, slug, status from public.organizations where id = %s", [organization_id]
    ).fetchone()
    if row is None:
        raise Refused(
            f"there is no organization {organization_id}", code="organization.unknown", status=404
        )
    return {"id": str(organization_id), "name": row[0], "slug": row[1], "status": row[2]}


def fingerprint(conn: Connection, table: Table, organization_id: UUID) -> tuple[int, str]:
    """Return the number of rows and a digest of their content that no order changes."""
    columns = sql.SQL(", ").join(sql.Identifier("t", name) for name in table.columns)
    query = sql.SQL(
        "select count(*), coalesce(sum(hashtextextended((r.*)::text, 0)::numeric), 0)::text"
        " from ({}) as r"
    ).format(table.rows(columns))
    row = conn.execute(query, {"organization": organization_id}).fetchone()
    if row is None:
        raise AssertionError("an aggregate has one row")
    return int(row[0]), str(row[1])


def schema_version(conn: Connection) -> str:
    """Return the version of the last migration that is not a carrier of policies."""
    exists = conn.execute(
        "select to_regclass('supabase_migrations.schema_migrations') is not null"
    ).fetchone()
    if exists is None or not exists[0]:
        return "unversioned"
    row = conn.execute(
        "select max(version) from supabase_migrations.schema_migrations"
        " where name not like '%policies'"
    ).fetchone()
    return str(row[0]) if row and row[0] else "unversioned"
