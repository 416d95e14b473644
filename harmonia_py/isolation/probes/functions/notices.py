"""Notices and warnings: what triggers and functions say aside, to whoever is listening."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.functions import rpc

__all__ = ["probe"]

_SAYS = re.compile(r"\braise\s+(notice|warning|info|log|debug)\b", re.I)


def probe(lab: Lab, allowed: Mapping[tuple[str, str, str], set[str]]) -> list[Signal]:
    """Do what is allowed where something may be said aside, and listen for foreign values."""
    out: list[Signal] = []
    member = next(iter(lab.cast.members("A")), None)
    if member is None:
        return out
    speaking = {
        f.key
        for f in lab.catalog.functions.values()
        if _SAYS.search(lab.refs.closure_text(f.source))
    }
    for table in lab.tables():
        if any(f"{t.function}()" in speaking for t in table.triggers):
            out += _heard(lab, list(_own_writes(lab, table, member)), table.key)
    for function in rpc.exposed(lab):
        if function.key in speaking and member.role in function.executors:
            home = next(iter(member.tenants), "A")
            calls = [Probe(member, text) for _, text in rpc.calls(lab, function, home, member)]
            out += _heard(lab, calls, function.key)
    return out


def _own_writes(lab: Lab, table: Table, actor: Actor) -> Iterator[Probe]:
    yield from statements.inserts(lab, table, actor, "A")
    rows = lab.fixtures.of(table.key, "A")
    keys = lab.where_keys(table, [r.values for r in rows])
    column = statements.touch_column(lab, table, actor.role)
    if column is not None and rows:
        yield Probe(actor, statements.touch(lab, table, column, keys))
    if table.can(actor.role, "DELETE") and rows:
        yield Probe(actor, statements.erase(lab, table, keys))


def _heard(lab: Lab, plan: list[Probe], key: str) -> list[Signal]:
    for item, outcome in zip(plan, lab.run(plan, single=True), strict=True):
        said = " ".join(outcome.notices)
        for value, owner in lab.fixtures.owner_of(said).items():
            if owner in item.actor.tenants or value in item.sql or value == item.actor.user:
                continue
            return [
                Signal(
                    "error.notice",
                    "oracle",
                    "medium",
                    item.actor.name,
                    key,
                    str(item.tag[0]) if item.tag else "execute",
                    f"a notice says {value}, a value of tenant {owner}: {said[:200]}",
                    "What a trigger or function says aside carries another tenant's values.",
                    "Say nothing about rows, or only about the caller's own.",
                    item.sql,
                    item.actor,
                    (key,) if lab.catalog.table(key) else (),
                    group=key,
                    title="{object}: a notice tells another tenant's values",
                )
            ]
    return []
