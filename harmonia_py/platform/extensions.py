"""Extensions that Supabase has and a plain PostgreSQL does not.

A stand-in has the names, arguments and tables of the extension, so that migrations apply and
policies can be judged; it does none of the work. It is declared: its version is ``stand-in``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

__all__ = [
    "PREINSTALLED",
    "STAND_INS",
    "TRUSTED",
    "StandIn",
    "files_for",
    "install",
    "missing",
    "remember",
    "run_directly",
    "stand_ins",
    "trusted",
]

VERSION = "stand-in"
MARK = "Stand-ins by Harmonia: "


@dataclass(frozen=True, slots=True)
class StandIn:
    """One extension we can imitate.

    ``schema`` is fixed by the real extension's control file, or free (``None``). ``always`` means
    that the real one needs a preloaded library, so even where it is installed it cannot be used.
    """

    name: str
    schema: str | None = None
    always: bool = False


STAND_INS = (
    StandIn("http"),
    StandIn("hypopg"),
    StandIn("index_advisor"),
    StandIn("pg_cron", always=True),
    StandIn("pg_graphql", "graphql"),
    StandIn("pg_jsonschema"),
    StandIn("pg_net", always=True),
    StandIn("pg_tle", "pgtle", always=True),
    StandIn("pgaudit", always=True),
    StandIn("pgcrypto"),
    StandIn("pgjwt"),
    StandIn("pgmq", "pgmq"),
    StandIn("pgsodium", "pgsodium", always=True),
    StandIn("pgtap"),
    StandIn("plpgsql_check"),
    StandIn("supabase-dbdev"),
    StandIn("supabase_vault", "vault", always=True),
    StandIn("uuid-ossp"),
    StandIn("vector"),
)

# What a new project has before its first migration, and where.
PREINSTALLED = (
    ("pg_stat_statements", "extensions"),
    ("pgcrypto", "extensions"),
    ("uuid-ossp", "extensions"),
    ("supabase_vault", "vault"),
)

# Extensions that the platform lets `postgres` create although they are not trusted.
TRUSTED = frozenset(
    """autoinc bloom dblink earthdistance fuzzystrmatch hypopg insert_username moddatetime
    pg_buffercache pg_prewarm pg_stat_statements pg_walinspect pgrowlocks pgstattuple pgtap
    plpgsql_check postgres_fdw refint sslinfo vector xml2""".split()
)


def files_for(installed: Path) -> dict[str, bytes]:
    """Return the files of an extension directory that completes the one at ``installed``.

    Stand-ins for what is missing, and trusted copies of what only a superuser could create.
    """
    present = {path.stem: path for path in installed.glob("*.control")}
    made = missing(set(present))
    for name in sorted(TRUSTED & present.keys()):
        if f"{name}.control" in made:
            continue
        made[f"{name}.control"] = trusted(present[name].read_text())
        for script in installed.glob(f"{name}--*.sql"):
            made[script.name] = script.read_bytes()
    return made


def missing(present: set[str]) -> dict[str, bytes]:
    """Return the files of every stand-in that a server with these extensions needs."""
    return dict(
        item
        for stand_in in STAND_INS
        if stand_in.always or stand_in.name not in present
        for item in _files(stand_in)
    )


def trusted(control: str) -> bytes:
    """Return a control file that lets the owner of a database create the extension."""
    return (control.rstrip() + "\ntrusted = true\n").encode()


def install(conn: psycopg.Connection[Any]) -> None:
    """Create what a new project has; where a server cannot, run the stand-in's script itself."""
    there = {
        str(row[0])
        for row in conn.execute("select extname::text from pg_catalog.pg_extension").fetchall()
    }
    there.update(_remembered(conn))
    direct = []
    for name, schema in PREINSTALLED:
        if name in there:
            continue
        try:
            with conn.transaction():
                conn.execute(
                    sql.SQL("create extension {} with schema {}").format(
                        sql.Identifier(name), sql.Identifier(schema)
                    )
                )
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile):
            # No such extension on this server, and no way to add one to it.
            if any(stand_in.name == name for stand_in in STAND_INS):
                run_directly(conn, name, schema)
                direct.append(name)
    if direct:
        _remember(conn, direct)


def run_directly(conn: psycopg.Connection[Any], name: str, schema: str) -> None:
    """Run a stand-in's script without an extension, as the superuser of ``conn``."""
    conn.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
    previous = conn.execute("select pg_catalog.current_setting('search_path')").fetchone()
    conn.execute("select pg_catalog.set_config('search_path', %s, true)", [schema])
    quoted = sql.Identifier(schema).as_string(None)
    conn.execute(_script(name).replace("@extschema@", quoted).encode())
    conn.execute(
        "select pg_catalog.set_config('search_path', %s, true)", [previous[0] if previous else ""]
    )


def remember(conn: psycopg.Connection[Any], name: str) -> None:
    """Note that a stand-in was run without an extension."""
    _remember(conn, [name])


def stand_ins(conn: psycopg.Connection[Any]) -> list[str]:
    """Return the names of the stand-ins in this database, sorted."""
    rows = conn.execute(
        "select extname::text from pg_catalog.pg_extension where extversion = %s", [VERSION]
    ).fetchall()
    return sorted({str(row[0]) for row in rows} | set(_remembered(conn)))


def _remembered(conn: psycopg.Connection[Any]) -> list[str]:
    row = conn.execute(
        "select pg_catalog.obj_description(oid, 'pg_namespace')"
        " from pg_catalog.pg_namespace where nspname = 'extensions'"
    ).fetchone()
    text = str(row[0]) if row and row[0] else ""
    return text.removeprefix(MARK).split(", ") if text.startswith(MARK) else []


def _remember(conn: psycopg.Connection[Any], names: list[str]) -> None:
    every = sorted({*_remembered(conn), *names})
    conn.execute(
        sql.SQL("comment on schema extensions is {}").format(sql.Literal(MARK + ", ".join(every)))
    )


def _files(stand_in: StandIn) -> Iterator[tuple[str, bytes]]:
    control = f"comment = 'stand-in for {stand_in.name}'\ndefault_version = '{VERSION}'\n"
    control += "relocatable = false\nsuperuser = true\ntrusted = true\n"
    if stand_in.schema:
        control += f"schema = '{stand_in.schema}'\n"
    yield f"{stand_in.name}.control", control.encode()
    yield f"{stand_in.name}--{VERSION}.sql", _script(stand_in.name).encode()


@cache
def _script(name: str) -> str:
    folder = files("harmonia_py.platform") / "stand_ins"
    text = (folder / f"{name}.sql").read_text()
    for part in re.findall(r"^@include (\w+)@$", text, re.M):
        text = text.replace(f"@include {part}@", (folder / f"{part}.sql").read_text())
    # Two extensions in one schema need two names for the function they share.
    return text.replace("@sha1@", f"@extschema@.harmonia_sha1_{name.replace('-', '_')}")
