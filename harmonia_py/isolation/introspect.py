"""Read a database's catalog into :class:`Catalog`, in three statements and the lists it has."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence as Seq
from dataclasses import replace
from importlib import resources
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from harmonia_py.isolation.catalog import (
    Argument,
    Bucket,
    Catalog,
    Check,
    Column,
    ForeignKey,
    Function,
    Policy,
    Publication,
    Sequence,
    Table,
    Trigger,
    Unique,
)

__all__ = ["API_ROLES", "PLATFORM", "introspect", "relations", "statement"]

API_ROLES = ("anon", "authenticated")

#: Schemas that Supabase itself owns; their tables belong to the platform, not to the project.
PLATFORM = frozenset(
    "auth storage realtime vault extensions graphql graphql_public pgbouncer pgsodium "
    "pgsodium_masks supabase_migrations supabase_functions _realtime _analytics cron net "
    "pgmq tiger topology".split()
)

#: More rows than this are no list of roles or states.
_LIST = 12

_KINDS = {"r": "table", "p": "partitioned", "v": "view", "m": "matview", "f": "foreign"}
_COMMANDS = {"*": "all", "r": "select", "a": "insert", "w": "update", "d": "delete"}


def statement(name: str) -> str:
    """Return the text of ``sql/<name>.sql``."""
    return (resources.files(__package__) / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def introspect(conn: psycopg.Connection[Any], *, schemas: Seq[str] | None = None) -> Catalog:
    """Read the whole catalog; ``schemas`` are the ones PostgREST exposes (default: as set)."""
    with conn.cursor(row_factory=dict_row) as cur:
        cur.execute("select current_setting('search_path') as path")
        before = (cur.fetchone() or {})["path"]
        cur.execute("select set_config('search_path', '', false)")
        catalog = _read(cur, schemas)
        # After an error there is nothing to set back: the transaction is over.
        cur.execute("select set_config('search_path', %s, false)", (before,))
        return catalog


def _read(cur: psycopg.Cursor[dict[str, Any]], schemas: Seq[str] | None) -> Catalog:
    cur.execute(
        "select rolname from pg_catalog.pg_roles where rolname = any(%s)", (list(API_ROLES),)
    )
    existing = {row["rolname"] for row in cur}
    roles = tuple(r for r in API_ROLES if r in existing)
    parameters = {"roles": list(roles)}
    cur.execute(sql.SQL(statement("surroundings")), parameters)
    around = cur.fetchone() or {}
    named = tuple(s.strip() for s in (around["schemas"] or "").split(",") if s.strip())
    exposed = tuple(schemas or ()) or named or ("public",)
    tables = relations(cur, roles)
    cur.execute(sql.SQL(statement("functions")), parameters)
    functions = [_function(row, exposed) for row in cur]
    buckets: tuple[Bucket, ...] = ()
    if any(t.key == "storage.buckets" for t in tables):
        cur.execute("select id, coalesce(public, false) as public from storage.buckets order by 1")
        buckets = tuple(Bucket(row["id"], row["public"]) for row in cur)
    publications: dict[str, list[str]] = defaultdict(list)
    for item in around["publications"]:
        publications[item["name"]].append(item["table"])
    tables = _with_entries(cur, tables)
    return Catalog(
        tables={t.key: t for t in tables if t.schema not in PLATFORM},
        platform={t.key: t for t in tables if t.schema in PLATFORM},
        functions={f.key: f for f in functions if f.schema not in PLATFORM},
        sequences=tuple(
            Sequence(s["schema"], s["name"], _pairs(s["privileges"]))
            for s in around["sequences"]
            if s["schema"] not in PLATFORM
        ),
        composites={
            key: tuple((name, kind) for name, kind in attributes or ())
            for key, attributes in around["composites"].items()
            if key.partition(".")[0] not in PLATFORM
        },
        domains=around["domains"],
        enums=frozenset(around["enums"]),
        aggregates=frozenset(around["aggregates"]),
        volatile=frozenset(around["volatile"]),
        operators=frozenset(around["operators"]),
        casts=frozenset((source, target) for source, target in around["casts"]),
        buckets=buckets,
        publications=tuple(Publication(n, tuple(t)) for n, t in sorted(publications.items())),
        roles=roles,
        schemas=exposed,
        server_version=around["version"],
        superuser=around["superuser"],
        default_privileges=_pairs(around["default_privileges"]),
    )


def _with_entries(cur: psycopg.Cursor[dict[str, Any]], tables: list[Table]) -> list[Table]:
    """Read the keys of the lists that other tables point at, and that point at nothing."""
    targets = {fk.target for t in tables for fk in t.foreign_keys if len(fk.columns) == 1}
    cur.execute(
        "select oid::bigint from pg_catalog.pg_class"
        " where oid = any(%s) and pg_catalog.has_table_privilege(oid, 'SELECT')",
        ([t.oid for t in tables],),
    )
    readable = {row["oid"] for row in cur}
    lists = {
        t.key: t
        for t in tables
        if t.key in targets
        and t.oid in readable
        and t.schema not in PLATFORM
        and t.kind == "table"
        and not t.foreign_keys
        and len(t.primary_key) == 1
    }
    return [
        replace(t, entries=_entries(cur, t, [o for o in tables if o.oid in readable]))
        if t.key in lists
        else t
        for t in tables
    ]


def _entries(
    cur: psycopg.Cursor[dict[str, Any]], table: Table, tables: Seq[Table]
) -> tuple[str, ...]:
    """Return the keys of a short list, the one that most other lists speak of first."""
    (key,) = table.primary_key
    spoken = [
        sql.SQL("(select count(*) from {} as o where o.{} = t.{})").format(
            other.sql, sql.Identifier(fk.columns[0]), sql.Identifier(key)
        )
        for other in tables
        for fk in other.foreign_keys
        if fk.target == table.key
        and other.schema not in PLATFORM
        and fk.ref_columns == (key,)
        and fk.columns[0] in other.primary_key
        and len(other.foreign_keys) == len(other.primary_key)
        and not any(k.target.startswith("auth.") for k in other.foreign_keys)
    ]
    # Cut before it is sorted: a table of a million rows is no list, and is not read to its end.
    cur.execute(
        sql.SQL(
            "select t.{key}::text as key"
            " from (select {key}, ctid as place from {table} limit {most}) as t"
            " order by {spoken} desc, t.place"
        ).format(
            key=sql.Identifier(key),
            table=table.sql,
            most=sql.Literal(_LIST + 1),
            spoken=sql.SQL(" + ").join([*spoken, sql.SQL("0::bigint")]),
        )
    )
    found = tuple(row["key"] for row in cur)
    return found if 1 < len(found) <= _LIST else ()


def relations(
    cur: psycopg.Cursor[dict[str, Any]], roles: Seq[str], only: Seq[int] | None = None
) -> list[Table]:
    """Read the relations (those with the given oids, or all); the search path must be empty."""
    parameters = {"roles": list(roles), "only": list(only) if only else None}
    cur.execute(sql.SQL(statement("tables")), parameters)
    return [_table(row) for row in cur]


def _pairs(rows: Any) -> frozenset[tuple[str, str]]:
    return frozenset((a, b) for a, b in rows or ())


def _table(row: dict[str, Any]) -> Table:
    constraints = row["constraints"]
    uniques = [
        Unique(
            u["name"],
            tuple(u["columns"]),
            u["primary"],
            u["predicate"],
            u["expressions"],
            definition=u["definition"],
            deferrable=u["deferrable"],
        )
        for u in row["uniques"]
    ] + [
        Unique(
            k["name"],
            tuple(k["columns"]),
            exclusion=True,
            definition=k["definition"],
            deferrable=k["deferrable"],
        )
        for k in constraints
        if k["type"] == "x"
    ]
    usage = set(row["usage"])
    return Table(
        oid=row["oid"],
        schema=row["schema"],
        name=row["name"],
        kind=_KINDS[row["kind"]],
        owner=row["owner"],
        rls=row["rls"],
        forced=row["forced"],
        columns=tuple(_column(c, usage) for c in row["columns"]),
        primary_key=next((u.columns for u in uniques if u.primary), ()),
        uniques=tuple(uniques),
        foreign_keys=tuple(
            ForeignKey(
                k["name"],
                tuple(k["columns"]),
                k["target"],
                tuple(k["ref_columns"]),
                k["on_delete"],
                k["deferrable"],
                k["validated"],
            )
            for k in constraints
            if k["type"] == "f"
        ),
        checks=tuple(
            Check(k["name"], tuple(k["columns"]), k["expression"])
            for k in constraints
            if k["type"] == "c"
        ),
        policies=tuple(
            Policy(
                p["name"],
                _COMMANDS[p["command"]],
                p["permissive"],
                tuple(p["roles"]),
                p["using"],
                p["check"],
                tuple(p["heirs"]),
            )
            for p in row["policies"]
        ),
        triggers=tuple(Trigger(t["name"], t["function"], t["definition"]) for t in row["triggers"]),
        parent=row["parent"],
        inherited=row["inherited"],
        exempt=frozenset(row["exempt"]),
        partition_bound=row["bound"],
        definition=row["definition"],
        options=tuple(row["options"]),
        sources=tuple(row["sources"]),
        rows=row["rows"],
        privileges=frozenset(p for p in _pairs(row["privileges"]) if p[0] in usage),
        comment=row["comment"],
        exposed=bool(usage),
    )


def _column(item: dict[str, Any], usage: set[str]) -> Column:
    length = None
    typmod = item["typmod"]
    if typmod is not None and typmod > 4 and item["base"] in ("character varying", "character"):
        length = typmod - 4
    digits = None
    if typmod is not None and typmod > 4 and item["base"].startswith("numeric"):
        digits = ((typmod - 4) >> 16, (typmod - 4) & 0x7FF)
    return Column(
        name=item["name"],
        number=item["number"],
        type=item["type"],
        base=item["base"],
        category=item["category"],
        not_null=item["not_null"],
        default=item["default"],
        generated=item["generated"],
        identity=item["identity"],
        labels=tuple(item["labels"] or ()),
        element=item["element"],
        length=length,
        digits=digits,
        domain_checks=tuple(_inner(c) for c in item["domain_checks"] or ()),
        comment=item["comment"],
        collation=item["collation"],
        old_nulls=item["old_nulls"],
        privileges=frozenset(p for p in _pairs(item["privileges"]) if p[0] in usage),
    )


def _inner(definition: str) -> str:
    return re.sub(r"^CHECK \((.*)\)(?: NOT VALID)?$", r"\1", definition, flags=re.S)


def _function(row: dict[str, Any], exposed: Seq[str]) -> Function:
    names = row["names"] or []
    arguments = tuple(
        Argument(
            (names[i] if i < len(names) else a["name"]) or "",
            a["type"],
            a["category"],
            a["has_default"],
            tuple(a["labels"] or ()),
            a["default"],
        )
        for i, a in enumerate(row["arguments"])
    )
    usage = set(row["usage"])
    return Function(
        oid=row["oid"],
        schema=row["schema"],
        name=row["name"],
        kind=row["kind"],
        arguments=arguments,
        returns=row["returns"],
        returns_set=row["returns_set"],
        language=row["language"],
        volatility=row["volatility"],
        strict=row["strict"],
        namesake=row["namesake"],
        definer=row["definer"],
        owner=row["owner"],
        source=row["source"] or "",
        config=tuple(row["config"]),
        executors=frozenset(r for r in row["executors"] if r in usage),
        is_trigger=row["is_trigger"],
        definition=row["definition"] or "",
        exposed=row["schema"] in exposed,
        outputs=tuple(row["outputs"]),
        output_types=tuple(row["output_types"]),
    )
