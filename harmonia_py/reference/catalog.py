"""The exposed schema as the database itself describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from psycopg.rows import dict_row

from harmonia_py.connection import Connection

__all__ = ["Api", "Column", "Function", "Relation", "Table", "read"]

_CHOICES = re.compile(r"\((\w+) = ANY \(ARRAY\[(.*?)\]\)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``choices`` are the texts its CHECK allows, ``inserts`` who may write it."""

    name: str
    type: str
    required: bool
    has_default: bool
    generated: bool
    inserts: bool
    updates: bool
    comment: str | None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """A foreign key to another exposed table."""

    name: str
    columns: tuple[str, ...]
    referenced: str
    referenced_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One exposed table with the permissions its policies ask for, by command."""

    name: str
    comment: str | None
    deletes: bool
    columns: list[Column] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    permissions: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Function:
    """One callable function; ``inputs`` are ``(name, type, optional)``, ``outputs`` columns.

    ``permissions`` are those it asks for itself, beside what the rows it touches ask for.
    """

    name: str
    comment: str | None
    signature: str
    result: str
    reads: bool
    for_anon: bool
    returns_set: bool
    inputs: tuple[tuple[str, str, bool], ...]
    outputs: tuple[tuple[str, str], ...]
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Api:
    """Everything a client can reach, and every error code it may be answered."""

    tables: list[Table]
    functions: list[Function]
    errors: list[tuple[int, str]]


def read(conn: Connection) -> Api:
    """Read what the role ``authenticated`` can reach in ``public``; changes nothing."""
    tables: dict[str, Table] = {}
    for row in _rows(conn, "tables"):
        name = row["table_name"]
        table = tables.setdefault(name, Table(name, row["table_comment"], row["deletes"]))
        table.columns.append(
            Column(
                row["column_name"],
                row["type"],
                row["required"],
                row["has_default"],
                row["generated"],
                row["inserts"],
                row["updates"],
                row["column_comment"],
                _choices(row["column_name"], row["checks"] or ""),
            )
        )
    for row in _rows(conn, "relations"):
        if row["table_name"] in tables and row["referenced"] in tables:
            tables[row["table_name"]].relations.append(
                Relation(
                    row["name"],
                    tuple(row["columns"]),
                    row["referenced"],
                    tuple(row["referenced_columns"]),
                )
            )
    for row in _rows(conn, "policies"):
        if row["table_name"] in tables:
            tables[row["table_name"]].permissions[row["command"]] = tuple(row["permissions"])
    functions = [_function(row) for row in _rows(conn, "functions")]
    errors = [(row["status"], row["code"]) for row in _rows(conn, "errors")]
    return Api(list(tables.values()), functions, errors)


def _choices(column: str, checks: str) -> tuple[str, ...]:
    for name, values in _CHOICES.findall(checks):
        if name == column:
            return tuple(re.findall(r"'((?:[^']|'')*)'::text", values))
    return ()


def _function(row: dict[str, Any]) -> Function:
    modes = row["modes"] or ["i"] * len(row["names"])
    arguments = list(zip(row["names"], row["types"], modes, strict=True))
    given = [(name, kind) for name, kind, mode in arguments if mode in "iobv"]
    first_optional = row["inputs"] - row["defaults"]
    return Function(
        row["name"],
        row["comment"],
        row["arguments"],
        row["result"],
        row["reads"],
        row["for_anon"],
        row["returns_set"],
        tuple((name, kind, at >= first_optional) for at, (name, kind) in enumerate(given)),
        tuple((name, kind) for name, kind, mode in arguments if mode == "t"),
        tuple(row["permissions"]),
    )


def _rows(conn: Connection, name: str) -> list[dict[str, Any]]:
    query = files(__package__).joinpath("sql", f"{name}.sql").read_bytes()
    with conn.cursor(row_factory=dict_row) as cursor:
        # No path: types and functions come out with their schema.
        cursor.execute("select pg_catalog.set_config('search_path', '', false)")
        return cursor.execute(query).fetchall()
