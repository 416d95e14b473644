"""Write pgTAP files that check a verdict again: one per table, self-contained, rolled back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.errors import NotWritable
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Report
from harmonia_py.isolation.introspect import statement
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.pgtap.plan import Assertion, plan

__all__ = ["emit", "write"]

_MARK = "-- Written by `harmonia verify --emit-pgtap`"
_HEAD = """\
-- Who can and who cannot reach rows of {name}.
-- Written by `harmonia verify --emit-pgtap`; run it with `supabase test db`, or with pg_prove
-- as a role that bypasses row level security. Everything is rolled back.
begin;
\\set QUIET 1
\\set ON_ERROR_STOP 1
\\pset format unaligned
\\pset tuples_only true
\\pset pager off
set local client_min_messages = warning;
create extension if not exists pgtap with schema extensions;
set local search_path = public, extensions;
select plan({count});
"""


def emit(lab: Lab, report: Report) -> dict[str, str]:
    """Return file name -> text for every table on which something was judged.

    ``lab`` is the open laboratory the report comes from: each assertion is tried in it first.
    """
    files = {}
    for table in lab.tables():
        assertions = plan(lab, table, report)
        if assertions:
            name = re.sub(r"[^\w.-]+", "_", table.key.removeprefix("public."))
            files[f"isolation_{name}.test.sql"] = _file(lab, table, assertions)
    return files


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files and remove those of an earlier run that are not among them.

    Raises NotWritable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("isolation_*.test.sql"):
            if old.name not in files and _MARK in old.read_text(encoding="utf-8")[:2000]:
                old.unlink()
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotWritable(f"{folder} cannot be written: {error.strerror}") from None


def _file(lab: Lab, table: Table, assertions: Sequence[Assertion]) -> str:
    # A name may hold a line break, and a comment ends there.
    head = _HEAD.format(name=" ".join(table.key.split()), count=len(assertions))
    actors = [a for a in lab.cast.actors if any(x.actor == a.name for x in assertions)]
    parts = [head, statement("pgtap")]
    parts.append(
        "insert into pg_temp.harmonia_actors (name, role, settings) values\n"
        + ",\n".join(
            f"({_text(a.name)}, {_text(a.role)}, {_text(json.dumps(_session(lab, a.session())))})"
            for a in actors
        )
        + ";\n"
    )
    parts.append("-- Two tenants; triggers and foreign keys rest while their rows are written.")
    parts.append("set local session_replication_role = replica;")
    parts += [_insert(lab, t, rows) for t, rows in _needed(lab, table)]
    parts.append("set local session_replication_role = origin;\n")
    parts += [_assertion(lab, table, a) for a in assertions]
    parts.append("select * from finish();\nrollback;\n")
    return "\n".join(parts)


def _session(lab: Lab, settings: dict[str, str]) -> dict[str, str]:
    return settings | {"search_path": ", ".join([*lab.catalog.schemas, "extensions"])}


def _needed(lab: Lab, table: Table) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """List the tables whose rows the policies and triggers of ``table`` look at."""
    wanted = ["auth.users", lab.model.tenant_table, *(m.table for m in lab.model.memberships)]
    wanted += [p.table for p in lab.model.permission_tables]
    todo = [key for key in (*wanted, table.key) if key]
    seen: list[str] = []
    while todo:
        key = todo.pop(0)
        other = lab.catalog.table(key)
        if other is None or key in seen:
            continue
        seen.append(key)
        if key in lab.catalog.platform:
            continue
        todo += [fk.target for fk in other.foreign_keys]
        for policy in other.policies:
            todo += lab.refs.reach(f"{policy.using} {policy.check}")[0]
        for trigger in other.triggers if key == table.key else ():
            todo += lab.refs.reach(trigger.definition)[0]
    for key in sorted(seen, key=lambda k: (k not in wanted, k)):
        other = lab.catalog.table(key)
        rows = [r.values for r in lab.fixtures.rows.get(key, ())]
        if other is not None and rows and other.is_base:
            yield other, rows


def _insert(lab: Lab, table: Table, rows: Sequence[dict[str, Any]]) -> str:
    columns = [
        c
        for c in table.columns
        if (c.writable or c.identity == "a") and any(c.name in r for r in rows)
    ]
    names = lab.text(sql.SQL(", ").join(sql.Identifier(c.name) for c in columns))
    lines = [
        "(" + ", ".join(_literal(lab, table, c.name, row) for c in columns) + ")" for row in rows
    ]
    return (
        f"insert into {lab.text(table.sql)} ({names}) overriding system value values\n"
        + ",\n".join(lines)
        + f"\n{table.skip_present};"
    )


def _literal(lab: Lab, table: Table, column: str, row: dict[str, Any]) -> str:
    value = row.get(column)
    if isinstance(value, list | dict) and table.column(column).base not in ("json", "jsonb"):
        # Arrays, ranges and composite values: PostgreSQL knows how it wrote them as JSON.
        record = sql.SQL("(pg_catalog.jsonb_populate_record(null::{}, {})).{}").format(
            table.sql, sql.Literal(Jsonb({column: value})), sql.Identifier(column)
        )
        return lab.text(record).strip()
    if isinstance(value, bool):
        value = str(value).lower()
    return lab.text(lab.literal(table, column, value)).strip()


def _assertion(lab: Lab, table: Table, item: Assertion) -> str:
    name = _text(item.text)
    if item.kind == "privilege":
        function = (
            "has_table_privilege"
            if item.command in ("delete", "truncate")
            else "has_any_column_privilege"
        )
        what = f"{_text(item.actor)}, {_text(lab.text(table.sql))}, {_text(item.command)}"
        return f"select ok(not {function}({what}), {name});"
    scopes = "null" if item.scopes is None else _array(item.scopes)
    mine = _array(item.mine)
    if item.kind == "reads":
        call = (
            f"pg_temp.reads({_text(item.actor)},\n    {_text(item.statements[0])},\n"
            f"    {_text(item.known)},\n    {scopes}, {mine})"
        )
        if item.allowed:
            return f"select cmp_ok({call}, '>', 0::bigint, {name});"
        return f"select is({call}, 0::bigint, {name});"
    texts = "".join(f",\n    {_text(s)}" for s in item.statements)
    state = _text(lab.state_sql(table))
    if item.allowed:
        arguments = f"{_text(item.actor)}, {state},\n    {scopes}, {mine}{texts}"
        return f"select alike(pg_temp.outcome({arguments}), 'reached%', {name});"
    arguments = f"{_text(item.actor)}, {state},\n    {scopes}, {mine}{texts}"
    return f"select is(pg_temp.reaches({arguments}), null, {name});"


def _array(values: Sequence[str]) -> str:
    inner = ", ".join(_text(v) for v in values)
    return f"array[{inner}]::text[]"


def _text(value: str) -> str:
    """Quote a text, in dollars where that reads better."""
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    tag = "q"
    while f"${tag}$" in value or value.endswith(f"${tag}"):
        tag += "q"
    return f"${tag}${value}${tag}$"
