"""Which tenant or person a row is of, as SQL says it: an expression along its scope path."""

from __future__ import annotations

from psycopg import sql

from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.model import TenancyModel

__all__ = ["Scopes"]

_NOBODY = "null::text"


class Scopes:
    """The scope of each table's rows: a column of its own, or one of a parent's."""

    def __init__(self, catalog: Catalog, model: TenancyModel) -> None:
        """Take what the tables are and how they are owned."""
        self._catalog = catalog
        self._model = model
        self._known: dict[str, str] = {}

    def sql(self, table: Table) -> str:
        """Return the expression over alias ``t`` that names the row's tenant or user, as text.

        It is null for rows of tables that belong to nobody.
        """
        if table.key not in self._known:
            path = self._model.of(table.key).path
            self._known[table.key] = self._along(table, path, "t") if path else _NOBODY
        return self._known[table.key]

    def _along(self, table: Table, path: tuple[str, ...], alias: str) -> str:
        column = sql.Identifier(alias, path[0])
        if len(path) == 1:
            return sql.SQL("{}::text").format(column).as_string()
        fk = table.step(path[0])
        parent = self._catalog.table(fk.target) if fk else None
        if fk is None or parent is None:
            return _NOBODY
        inner = alias + "p"
        joined = sql.SQL(" and ").join(
            sql.SQL("{} = {}").format(sql.Identifier(inner, there), sql.Identifier(alias, here))
            for here, there in zip(fk.columns, fk.ref_columns, strict=True)
        )
        return (
            sql.SQL("(select {} from {} as {} where {})")
            .format(
                sql.SQL(self._along(parent, path[1:], inner)),
                parent.sql,
                sql.Identifier(inner),
                joined,
            )
            .as_string()
        )
