"""Who can do what at all: privileges and policies of every role, without looking at rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.introspect import introspect

__all__ = ["Access", "matrix"]

COMMANDS = ("select", "insert", "update", "delete")


@dataclass(frozen=True, slots=True)
class Access:
    """One cell: ``access`` is none, denied (no policy lets anything pass), policy or open."""

    table: str
    role: str
    command: str
    access: str
    policies: tuple[str, ...] = ()


def matrix(conn: psycopg.Connection[Any]) -> list[Access]:
    """Return the cells of every table that clients could name, for each API role."""
    with conn.transaction(force_rollback=True):
        catalog = introspect(conn)
    return [
        _cell(table, role, command)
        for table in _tables(catalog)
        for role in catalog.roles
        for command in COMMANDS
    ]


def _tables(catalog: Catalog) -> list[Table]:
    return sorted((t for t in catalog.tables.values() if t.exposed), key=lambda t: t.key)


def _cell(table: Table, role: str, command: str) -> Access:
    if not table.can(role, command.upper()):
        return Access(table.key, role, command, "none")
    if not table.is_base:
        kind = "policy" if table.kind == "view" and table.security_invoker else "open"
        return Access(table.key, role, command, kind)
    if not table.rls:
        return Access(table.key, role, command, "open")
    applied = table.policies_for(command, role)
    names = tuple(p.name for p in applied)
    if not any(p.permissive for p in applied):
        return Access(table.key, role, command, "denied", names)
    return Access(table.key, role, command, "policy", names)
