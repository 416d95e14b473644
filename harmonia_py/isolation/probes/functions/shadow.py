"""Temporary tables that stand before the real ones in a helper's search path."""

from __future__ import annotations

from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Function, Table
from harmonia_py.isolation.finding import NotJudged, Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.functions import rpc

__all__ = ["probe"]


#: PostgREST runs no DDL of a client; whoever holds a connection, or finds a way in, can.
_NEEDS = "It takes somebody who can run SQL: a connection, or a function that runs text."


def probe(lab: Lab, signals: list[Signal]) -> tuple[list[Signal], list[NotJudged]]:
    """Shadow every membership-like table and see whether more rows come into view.

    A path that was set and leaves ``pg_temp`` out is deceived by the same means. Where it is the
    habit of the whole project, that is one remark, for no API runs DDL of a client.
    """
    loose = [f for f in lab.catalog.functions.values() if _is_loose(lab, f)]
    trusted = [f for f in lab.catalog.functions.values() if f.definer and not f.is_trigger]
    tame = [f for f in loose if f.search_path is not None and "pg_temp" not in f.search_path]
    runs_text = any(s.rule == "rpc.dynamic" for s in signals)
    left: list[NotJudged] = []
    if 2 * len(tame) > len(trusted) > 1 and not runs_text:
        loose = [f for f in loose if f not in tame]
        names = ", ".join(sorted(f.key for f in tame))
        reason = f"found before the real ones by {names}, if a client could make them"
        left.append(NotJudged("temporary tables", f"{reason}: add pg_temp last to search_path"))
    return (_shadowed(lab, signals, loose) if loose else []), left


def _shadowed(lab: Lab, signals: list[Signal], loose: list[Function]) -> list[Signal]:
    # A plan made before does not look for new temporary tables; a fresh session would.
    lab.conn.execute("discard plans")
    helpers = [f for f in loose if f.key in lab.refs.helpers]
    known = {(s.object, s.command) for s in signals if s.rule == "cross_tenant"}
    out: list[Signal] = []
    outsiders = [a for a in lab.cast.actors if a.state == "stranger"]
    for actor in (outsiders or lab.cast.members("A"))[:1]:
        prefix = _prefix(lab, actor, loose)
        if not prefix:
            return []
        if helpers:
            out += _reads(lab, actor, prefix, helpers, known)
        for function in rpc.exposed(lab):
            if function in loose and actor.role in function.executors:
                out += _calls(lab, actor, prefix, function)
    return out


def _is_loose(lab: Lab, function: Function) -> bool:
    """Whether a definer function looks names up where a caller can put things first."""
    if not function.definer or function.is_trigger:
        return False
    path = function.search_path
    if path is not None:
        names = [n.strip().strip("'\"") for n in path.split(",")]
        if names in ([""], ["pg_catalog"]) or "pg_temp" in names[1:]:
            return False
    tables, _ = lab.refs.direct(function.source)
    return any(f"{key}" not in function.source for key in tables)


def _prefix(lab: Lab, actor: Actor, loose: list[Function]) -> str:
    """Compose the temporary copies, each holding what the actor would like to be true."""
    named: set[str] = set()
    for function in loose:
        named |= lab.refs.direct(function.source)[0]
    parts: list[str] = []
    for key in sorted(named):
        table = lab.catalog.tables.get(key)
        if table is None or not table.is_base:
            continue
        row = _wish(lab, table, actor)
        if row is None:
            continue
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(c.type)) for c in table.columns
        )
        name = sql.Identifier(table.name)
        parts.append(lab.text(sql.SQL("create temporary table {} ({})").format(name, columns)))
        parts.append(
            lab.text(
                sql.SQL(
                    "insert into pg_temp.{n} select * from "
                    "pg_catalog.jsonb_populate_record(null::pg_temp.{n}, {r})"
                ).format(n=name, r=sql.Literal(Jsonb(row)))
            )
        )
        parts.append(lab.text(sql.SQL("grant select on pg_temp.{} to public").format(name)))
    return "; ".join(parts)


def _wish(lab: Lab, table: Table, actor: Actor) -> dict[str, Any] | None:
    """Copy B's strongest membership (or any row of B that names a user) in the actor's name."""
    boss = next(iter(lab.cast.members("B")), None)
    rows = lab.fixtures.of(table.key, "B", boss.user if boss else None)
    rows = rows or lab.fixtures.of(table.key, "B")
    if not rows:
        return None
    users = {c for m in lab.model.memberships if m.table == table.key for c in (m.user,)}
    users |= set(lab.model.of(table.key).users)
    if not users:
        return None
    return {k: actor.user if k in users else v for k, v in rows[0].values.items()}


def _reads(
    lab: Lab, actor: Actor, prefix: str, helpers: list[Function], known: set[tuple[str, str]]
) -> list[Signal]:
    out: list[Signal] = []
    plan: list[Probe] = []
    for table in lab.tables():
        if lab.model.of(table.key).kind in ("tenant", "root") and (
            (table.key, "select") not in known
        ):
            item = statements.select(lab, table, actor)
            if item is not None:
                item.sql = f"{prefix}; {item.sql}"
                item.tag = (*item.tag, table)
                plan.append(item)
    for item, outcome in zip(plan, lab.run(plan), strict=True):
        if not outcome.ok or not outcome.result:
            continue
        table = item.tag[3]
        marks = lab.hashes(table, item.tag[2])
        rows = [r for m in outcome.result for r in marks.get(m, [])]
        if any(
            lab.ownership.foreign(actor, table.key, scope, data)
            and not lab.ownership.mine(actor, table.key, data)
            for scope, data in rows
        ):
            names = ", ".join(sorted(f.key for f in helpers))
            out.append(
                Signal(
                    "shadow",
                    "escalation",
                    "medium",
                    actor.name,
                    table.key,
                    "select",
                    "rows of tenant B come into view after create temporary table",
                    f"These helpers find the caller's temporary table first: {names}. {_NEEDS}",
                    "Add set search_path = '' and qualify every name in them.",
                    item.sql,
                    actor,
                    (table.key,),
                    group="temporary tables",
                    title="Temporary tables deceive the helpers that policies trust",
                )
            )
    return out


def _calls(lab: Lab, actor: Actor, prefix: str, function: Function) -> list[Signal]:
    plan = []
    for call, text in rpc.calls(lab, function, "B", actor):
        plan.append(
            Probe(actor, f"{prefix}; {text}", rows=True, watch=("*",), tag=("execute", call))
        )
    plain = [
        Probe(actor, text, rows=True, watch=("*",), tag=("execute", call))
        for call, text in rpc.calls(lab, function, "B", actor)
    ]
    for item, outcome, before, without in zip(
        plan, lab.run(plan), plain, lab.run(plain), strict=True
    ):
        found = list(rpc.judge(lab, function, item, outcome))
        if found and not list(rpc.judge(lab, function, before, without)):
            return [
                Signal(
                    "shadow",
                    "escalation",
                    "medium",
                    actor.name,
                    function.key,
                    "execute",
                    found[0].evidence,
                    f"It finds the caller's temporary table before the real one. {_NEEDS}",
                    "Add set search_path = '' and qualify every name in it.",
                    item.sql,
                    actor,
                    (),
                    group="temporary tables",
                    title="Temporary tables deceive {count} function(s) with owner's rights",
                )
            ]
    return []
