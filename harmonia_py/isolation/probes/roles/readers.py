"""Roles whose very name says that they only read, and rows that they change all the same."""

from __future__ import annotations

import re

from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import home

__all__ = ["probe"]

_READS = re.compile(r"^(viewer|view_?only|reader|read_?only|observer|auditor)$", re.I)


def probe(lab: Lab) -> list[Signal]:
    """Let such a role write at home; what names the actor is its own and may be written."""
    out: list[Signal] = []
    seats = {m.table for m in lab.model.memberships}
    tables = [
        t
        for t in lab.tables()
        if lab.model.of(t.key).kind in ("tenant", "root")
        and t.key not in seats
        and t.key not in lab.shares
        and not lab.model.mapped(t.key)
        and not lab.model.of(t.key).roles
    ]
    for actor in lab.cast.members("A"):
        if not _READS.match(actor.tenants["A"]):
            continue
        plan = [p for t in tables for p in home.plan(lab, t, actor) if p.tag[1] != "select"]
        for item, outcome in zip(plan, lab.run(plan), strict=True):
            key, command = item.tag
            touched = [
                c
                for c in outcome.changes
                if c.table == key
                and c.kind == ("new" if command == "insert" else "gone")
                and c.scope == lab.cast.a.id
                and not lab.ownership.mine(actor, key, c.data)
            ]
            if touched:
                out.append(
                    Signal(
                        "role.reader",
                        "escalation",
                        "high",
                        actor.name,
                        key,
                        command,
                        f"{actor.name} can {command} rows that are not its own",
                        "The name of the role says that it only reads.",
                        f"Ask for a role that writes in the {command} policy of {key}; or list the"
                        " roles of the command in harmonia.toml.",
                        item.sql,
                        actor,
                        (key,),
                        group=key,
                        title="{object}: a role that is named after reading writes ({commands})",
                    )
                )
    return out
