"""The part of the catalog that decides who can do what, as comparable text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from harmonia_py.connection import Connection

__all__ = ["Difference", "difference", "snapshot", "sql"]

Snapshot = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is not the same: ``expected`` or ``found`` is None where it is absent."""

    kind: str
    name: str
    expected: str | None
    found: str | None


def sql(name: str) -> bytes:
    """Return the text of a ``.sql`` file beside this module."""
    return (resources.files(__package__) / "sql" / name).read_bytes()


def snapshot(connection: Connection) -> Snapshot:
    """Return definition by (kind, name) of policies, privileges, routines, views, triggers."""
    with connection.transaction():
        connection.execute("select pg_catalog.set_config('search_path', '', true)")
        rows = connection.execute(sql("catalog.sql")).fetchall()
    return {(str(kind), str(name)): str(definition) for kind, name, definition in rows}


def difference(expected: Snapshot, found: Snapshot) -> list[Difference]:
    """Return what differs, in (kind, name) order."""
    return [
        Difference(*key, expected.get(key), found.get(key))
        for key in sorted({*expected, *found})
        if expected.get(key) != found.get(key)
    ]
