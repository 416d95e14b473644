"""Which organization a person means: its short name is for people, its id for programs."""

from __future__ import annotations

from uuid import UUID

import psycopg

from harmonia_py.connection import Connection
from harmonia_py.errors import ApiNotFound

__all__ = ["find"]


def find(conn: Connection, name: str) -> UUID:
    """Return the id of an organization named by its short name (slug) or its id.

    An id is taken as it is: what is known of a deleted organization is known by id alone. Raises
    :class:`ApiNotFound` for a short name that nobody has, or that this role may not look up.
    """
    try:
        return UUID(name)
    except ValueError:
        pass
    try:
        row = conn.execute("select id from public.organizations where slug = %s", [name]).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable):
        raise ApiNotFound(
            f"this role cannot look up the organization {name}", hint="name it by its id"
        ) from None
    if row is None:
        raise ApiNotFound(
            f"there is no organization {name}", hint="give its short name (slug) or its id"
        )
    return UUID(str(row[0]))
