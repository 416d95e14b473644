"""What a plain PostgreSQL needs help with in migrations that the platform would take.

A remedy changes how one statement runs, never what the project means, and is always reported:
some run with the rights that the platform's own extension would lend, some enable an extension
that was enabled in the dashboard, some drop a clause that names a version we do not have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors as pg

from harmonia_py.platform import extensions

__all__ = ["Remedy", "elevated", "prepare_statement", "remedies_for"]

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way to help: what the report says, and what to do instead of the statement."""

    said: str
    action: Callable[[Connection], None]


# What is missing in the words of the server, and the extension that has it.
ENABLED_IN_DASHBOARD = (
    (r'schema "cron"|cron\.', "pg_cron"),
    (r'schema "net"|function net\.', "pg_net"),
    (r'schema "pgmq|pgmq\.', "pgmq"),
    (r'schema "pgsodium"', "pgsodium"),
    (r'schema "pgtle"', "pg_tle"),
    (r'schema "dbdev"|dbdev\.', "supabase-dbdev"),
    (r'type "(extensions\.|public\.)?(vector|halfvec|sparsevec)|"(hnsw|ivfflat)"', "vector"),
    (r"gin_trgm_ops|gist_trgm_ops|function (\w+\.)?(word_)?similarity\(|show_trgm", "pg_trgm"),
    (r'type "(\w+\.)?citext"', "citext"),
    (r'type "(\w+\.)?hstore"', "hstore"),
    (r'type "(\w+\.)?ltree"', "ltree"),
    (r"function (\w+\.)?unaccent\(|dictionary \"unaccent\"", "unaccent"),
    (r"function (\w+\.)?moddatetime\(", "moddatetime"),
    (r"function (\w+\.)?(http_(get|post|put|delete|head)|http|urlencode)\(|type \"http", "http"),
    (r"function (\w+\.)?(sign|verify)\(", "pgjwt"),
    (r"function (\w+\.)?jsonb?_matches_schema\(", "pg_jsonschema"),
    (r"function (\w+\.)?index_advisor\(", "index_advisor"),
    (r"function (\w+\.)?crosstab\(", "tablefunc"),
    (r"function (\w+\.)?(levenshtein|soundex|metaphone|dmetaphone)\(", "fuzzystrmatch"),
    (r"function (\w+\.)?(ll_to_earth|earth_distance|earth_box)\(", "earthdistance"),
    (r"function (\w+\.)?dblink", "dblink"),
    (r'access method "gist"', "btree_gist"),
    (r'access method "gin"', "btree_gin"),
)

# Statements the platform runs for `postgres` although PostgreSQL wants a superuser or the owner.
# None of them runs code of the project with the superuser's rights.
ELEVATED = re.compile(
    r"""
    (alter|drop|create)\s+(role|user|event\s+trigger|publication|policy|server|user\s+mapping)\b
    | create\s+(or\s+replace\s+)?(constraint\s+)?(trigger|table|index|unique|schema)\b
    | alter\s+(database|default\s+privileges|extension|schema|table|view|materialized\s+view|
        sequence|type|domain)\b
    | drop\s+(extension|schema|table|view|trigger|index|function|type|sequence)\b
    | comment\s+on\b | (grant|revoke)\b | (set|reset)\b | truncate\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
# With these a project would gain the superuser itself, or the server's operating system user.
NEVER = re.compile(
    r"""
    \b(superuser|bypassrls|pg_execute_server_program|pg_(read|write)_server_files|program)\b
    | \bset\s+(local\s+|session\s+)?(role|session\s+authorization)\b
    | \bset\s+session\s+authorization\b
    | ^\s*(grant|revoke)\s+"?supabase_admin\b
    | \b(adminpack|file_fdw|plpython3?u|plperlu|pltclu)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
OWNER_OF_CODE = re.compile(
    r"^\s*alter\s+(function|procedure|routine|aggregate)\b.*\bowner\s+to\b", re.I | re.S
)
# ... but only when it touches what belongs to the platform, or what only a superuser may.
PLATFORM = re.compile(
    r"""
    \b(auth|storage|realtime|extensions|graphql|graphql_public|vault|cron|net|pgsodium|pgmq|pgtle|
       supabase_functions|supabase_migrations|pgbouncer)"?\s*\.
    | \bschema\s+"?(auth|storage|realtime|extensions|graphql|graphql_public|vault|cron|net|pgsodium|
       pgmq|pgtle|supabase_functions|supabase_migrations)\b
    | \b(anon|authenticated|authenticator|service_role|supabase_\w+|dashboard_user|pgbouncer)\b
    | \bevent\s+trigger\b | \bextension\b | \bpublication\b | \bdatabase\b
    | \b(create|alter)\s+(server|foreign\s+data\s+wrapper|user\s+mapping|language)\b
    | \b(set|alter\s+system)\s+ | \bdefault\s+privileges\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_COMMENTS = re.compile(r"^\s*(--[^\n]*\n|/\*.*?\*/|\s+)+", re.DOTALL)
_EXTENSION = re.compile(
    r"""create\s+extension\s+(if\s+not\s+exists\s+)?"?([\w-]+)"?(.*)""", re.IGNORECASE | re.DOTALL
)


def elevated(conn: Connection, statement: str) -> None:
    """Run a statement as the superuser behind the session, then be ``postgres`` again."""
    conn.execute("set session authorization default")
    # Event triggers of the project would otherwise run with these rights.
    conn.execute("set local session_replication_role = replica")
    conn.execute(statement.encode())
    conn.execute("set local session_replication_role = origin")
    conn.execute("set session authorization postgres")


def prepare_statement(statement: str, database: str) -> tuple[str | None, str | None]:
    """Return the statement to run (``None``: leave it out) and what to say about the change."""
    bare = _bare(statement)
    words = bare.lower().split(None, 3)
    first = words[0].rstrip(";") if words else ""
    if first in {"begin", "commit", "end", "start", "abort", "rollback"} and len(words) <= 3:
        return None, f"{first}: each file runs in one transaction"
    if first in {"vacuum", "cluster"} or bare.lower().startswith("alter system"):
        return None, f"{' '.join(words[:2])}: changes no definition"
    changed = re.sub(
        r"\b(create\s+(unique\s+)?index|drop\s+index|reindex\s+\w+)\s+concurrently\b",
        r"\1",
        statement,
        flags=re.IGNORECASE,
    )
    if changed != statement:
        return changed, "concurrently left out: nobody else is here"
    if database != "postgres":
        changed = re.sub(
            r"\bdatabase\s+(\"postgres\"|postgres\b)",
            f'database "{database}"',
            statement,
            flags=re.I,
        )
        if changed != statement and first in {"alter", "grant", "revoke", "comment"}:
            return changed, "database postgres stands for this database"
    return statement, None


def remedies_for(statement: str, error: psycopg.Error) -> Iterator[Remedy]:
    """Yield the ways to help a statement that failed, the most harmless first."""
    bare = _bare(statement)
    message = error.diag.message_primary or str(error)
    if (found := _EXTENSION.match(bare)) is not None:
        yield from _extension(found, error)
    yield from _newer_dump(statement, bare, message)
    if isinstance(
        error,
        pg.UndefinedFunction
        | pg.UndefinedTable
        | pg.UndefinedObject
        | pg.InvalidSchemaName
        | pg.FeatureNotSupported,
    ):
        for pattern, name in ENABLED_IN_DASHBOARD:
            if re.search(pattern, message):
                yield Remedy(f"extension {name} enabled", _enable_then(name, statement))
        missing_role = re.search(r'role "((supabase|cli_login)_\w+)" does not exist', message)
        if missing_role:
            yield Remedy(f"role {missing_role[1]} created", _role_then(missing_role[1], statement))
    if "Direct deletion from storage tables" in message:
        yield Remedy("deleting stored files' rows allowed", _allow_delete_then(statement))
    if isinstance(error, pg.InsufficientPrivilege | pg.WrongObjectType | pg.InvalidGrantOperation):
        if OWNER_OF_CODE.match(bare):
            yield Remedy("owner of a function left as it is", lambda conn: None)
        elif ELEVATED.match(bare) and PLATFORM.search(bare) and not NEVER.search(bare):
            yield Remedy("run with the platform's rights", lambda conn: elevated(conn, statement))


def _bare(statement: str) -> str:
    return _COMMENTS.sub("", statement)


def _extension(found: re.Match[str], error: psycopg.Error) -> Iterator[Remedy]:
    name, rest = found[2].lower(), found[3]
    known = {stand_in.name: stand_in for stand_in in extensions.STAND_INS}
    without = re.sub(r"\bversion\s+('[^']*'|\"[^\"]*\"|[\w.]+)", "", rest, flags=re.IGNORECASE)
    if without != rest:
        text = f'create extension {found[1] or ""}"{name}" {without}'
        yield Remedy(f"version of {name} left out", lambda conn: _run(conn, text))
    if isinstance(error, pg.FeatureNotSupported) and "must be installed in schema" in str(error):
        text = f'create extension {found[1] or ""}"{name}"'
        yield Remedy(f"schema of {name} left out", lambda conn: elevated(conn, text))
        return
    if "required extension" in str(error):
        text = f'create extension {found[1] or ""}"{name}" {without} cascade'
        yield Remedy(f"what {name} needs enabled too", lambda conn: _run(conn, text))
    if isinstance(error, pg.InsufficientPrivilege) and not NEVER.search(name):
        text = f'create extension {found[1] or ""}"{name}" {without}'
        yield Remedy(f"{name} created with the platform's rights", lambda c: elevated(c, text))
    if isinstance(error, pg.FeatureNotSupported | pg.UndefinedFile):
        if name in known:
            schema = re.search(r"\bschema\s+\"?(\w+)", rest, re.IGNORECASE)
            place = known[name].schema or (schema[1] if schema else "extensions")
            yield Remedy(f"stand-in for {name}", _stand_in(name, place))
        else:
            yield Remedy(f"extension {name} is not here: left out", lambda conn: None)


def _newer_dump(statement: str, bare: str, message: str) -> Iterator[Remedy]:
    if "unrecognized configuration parameter" in message and re.match(r"set\b", bare, re.I):
        yield Remedy("setting of a newer version left out", lambda conn: None)
    if 'privilege type "maintain"' in message.lower():
        text = re.sub(r",\s*maintain\b|\bmaintain\s*,", "", statement, flags=re.IGNORECASE)
        yield Remedy("privilege MAINTAIN of a newer version left out", lambda c: _run(c, text))
    if "unrecognized parameter" in message and re.search(r"\busing\s+(hnsw|ivfflat)\b", bare, re.I):
        text = re.sub(r"\bwith\s*\([^)]*\)", "", statement, flags=re.IGNORECASE)
        yield Remedy("options of a vector index left out", lambda conn: _run(conn, text))


def _run(conn: Connection, text: str) -> None:
    conn.execute(text.encode())


def _stand_in(name: str, schema: str) -> Callable[[Connection], None]:
    def action(conn: Connection) -> None:
        conn.execute("set session authorization default")
        extensions.run_directly(conn, name, schema)
        extensions.remember(conn, name)
        conn.execute("set session authorization postgres")

    return action


def _enable_then(name: str, statement: str) -> Callable[[Connection], None]:
    def action(conn: Connection) -> None:
        known = {stand_in.name: stand_in for stand_in in extensions.STAND_INS}
        fixed = known[name].schema if name in known else None
        where = "" if fixed else " with schema extensions"
        try:
            with conn.transaction():
                _run(conn, f'create extension if not exists "{name}"{where} cascade')
        except (pg.FeatureNotSupported, pg.UndefinedFile):
            if name not in known:
                raise
            _stand_in(name, fixed or "extensions")(conn)
        _run(conn, statement)

    return action


def _role_then(role: str, statement: str) -> Callable[[Connection], None]:
    def action(conn: Connection) -> None:
        elevated(conn, f'create role "{role}" nologin')
        _run(conn, statement)

    return action


def _allow_delete_then(statement: str) -> Callable[[Connection], None]:
    def action(conn: Connection) -> None:
        conn.execute("set local storage.allow_delete_query = 'true'")
        _run(conn, statement)

    return action
