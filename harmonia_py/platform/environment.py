"""Build the environment, or recognise that it is there."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from harmonia_py.errors import HarmoniaError
from harmonia_py.platform import extensions
from harmonia_py.platform.extensions import stand_ins

__all__ = ["Outcome", "PrepareRefused", "Prepared", "is_supabase", "prepare", "revision"]

LOCK = 7_015_880_101  # an arbitrary number: two preparations wait for each other
MARK = "Supabase environment by Harmonia, revision "


class PrepareRefused(HarmoniaError):
    """The environment can only be built by a superuser."""

    code = "platform.needs_superuser"
    hint = "give the URL of a superuser, or use --engine embedded"


class Outcome(StrEnum):
    """What :func:`prepare` found and did."""

    built = "built"
    current = "current"
    supabase = "supabase"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The result of :func:`prepare`; ``seconds`` is its duration.

    ``superuser_owner`` tells that ``postgres`` made this cluster and therefore stays a superuser:
    migrations that need one pass here and fail on the platform.
    """

    outcome: Outcome
    seconds: float
    superuser_owner: bool = False
    stand_ins: list[str] = field(default_factory=list)


def is_supabase(conn: psycopg.Connection[Any]) -> bool:
    """Return whether this is a database that Supabase itself built."""
    row = conn.execute(
        """
        select pg_catalog.to_regclass('auth.users') is not null
            and exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin')
            and exists (select from pg_catalog.pg_roles where rolname = 'authenticator')
        """
    ).fetchone()
    return bool(row and row[0]) and _revision(conn) is None


def prepare(conn: psycopg.Connection[Any], *, auto_expose_new_tables: bool = True) -> Prepared:
    """Build the Supabase environment in the database of ``conn``, which must be a superuser's.

    Does nothing on a real Supabase database, nor when this revision is already there. Commits.
    ``auto_expose_new_tables`` is the key of that name in ``config.toml``: without it, new tables
    in ``public`` grant nothing to the API roles.

    Raises :class:`PrepareRefused` when the role may not.
    """
    started = time.perf_counter()
    if is_supabase(conn):
        conn.rollback()
        return Prepared(Outcome.supabase, time.perf_counter() - started)
    wanted = revision(auto_expose_new_tables=auto_expose_new_tables)
    if _revision(conn) == wanted:
        found, superuser = stand_ins(conn), _superuser_owner(conn)
        conn.rollback()
        return Prepared(Outcome.current, time.perf_counter() - started, superuser, found)
    _require_superuser(conn)
    with conn.transaction():
        conn.execute("select pg_catalog.pg_advisory_xact_lock(%s)", [LOCK])
        conn.execute("set local client_min_messages = 'error'")
        conn.execute("set local search_path = ''")
        conn.execute("set local check_function_bodies = off")
        for name, text in _scripts().items():
            if name.startswith("90_") and auto_expose_new_tables:
                continue
            if not name.startswith("10_"):
                # What no script gives to somebody else belongs to the platform's superuser.
                conn.execute("set local role supabase_admin")
            if name.startswith("70_"):
                extensions.install(conn)
            conn.execute(text)
        conn.execute("reset role")
        conn.execute(sql.SQL("comment on schema auth is {}").format(sql.Literal(MARK + wanted)))
    conn.commit()
    found, superuser = stand_ins(conn), _superuser_owner(conn)
    conn.rollback()
    return Prepared(Outcome.built, time.perf_counter() - started, superuser, found)


def revision(*, auto_expose_new_tables: bool = True) -> str:
    """Return the fingerprint of the environment's sources."""
    digest = hashlib.sha256(b"exposed" if auto_expose_new_tables else b"closed")
    for name, text in {**_scripts(), **_folder("stand_ins")}.items():
        digest.update(name.encode() + b"\0" + text + b"\0")
    return digest.hexdigest()[:16]


@cache
def _scripts() -> dict[str, bytes]:
    return _folder("sql")


def _folder(name: str) -> dict[str, bytes]:
    folder = files("harmonia_py.platform") / name
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return {name: (folder / name).read_bytes() for name in names}


def _revision(conn: psycopg.Connection[Any]) -> str | None:
    row = conn.execute(
        """
        select pg_catalog.obj_description(n.oid, 'pg_namespace')
        from pg_catalog.pg_namespace as n
        where n.nspname = 'auth'
        """
    ).fetchone()
    mark = str(row[0]) if row and row[0] else ""
    return mark.removeprefix(MARK) if mark.startswith(MARK) else None


def _superuser_owner(conn: psycopg.Connection[Any]) -> bool:
    row = conn.execute(
        "select rolsuper from pg_catalog.pg_roles where rolname = 'postgres'"
    ).fetchone()
    return bool(row and row[0])


def _require_superuser(conn: psycopg.Connection[Any]) -> None:
    row = conn.execute(
        "select rolsuper, rolname from pg_catalog.pg_roles where rolname = current_user"
    ).fetchone()
    if not row or not row[0]:
        conn.rollback()
        raise PrepareRefused(f"role {row[1] if row else '?'} is not a superuser")
