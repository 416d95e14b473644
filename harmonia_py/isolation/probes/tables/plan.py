"""Which statements each actor tries on a table, against it and by right."""

from __future__ import annotations

from collections.abc import Iterable

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements

__all__ = ["attacks", "controls"]


def attacks(lab: Lab, table: Table, actor: Actor) -> Iterable[Probe]:
    """List what must not reach rows of others: reads and writes, moves out and steals in."""
    if actor.state == "fresh":
        return []
    if actor.state == "both":
        return [p for p in [statements.select(lab, table, actor)] if p]
    own = next(iter(actor.tenants), "A")
    victim = actor.former or ("A" if own == "B" else "B")
    look = [p for p in [statements.select(lab, table, actor)] if p]
    if own == "B" and actor.is_member:
        # The second tenant's people are victims; one look keeps the controls honest.
        return look if actor.tenants["B"] == lab.model.roles[-1] else []
    shapes: tuple[str, ...]
    if actor.role == "anon" or actor.user is None or actor.state == "anonymous":
        # No claim that could matter but a missing user: three blind writes tell.
        shapes = ("self",)
    elif actor.state == "moved":
        shapes = ()
    else:
        ends = (*lab.cast.members(own)[:1], *lab.cast.members(own)[-1:])
        full = not actor.is_member or actor.name in {a.name for a in ends}
        shapes = ("self", "other", "minimal") if full else ("self",)
    out = look + [p for p in statements.inserts(lab, table, actor, victim) if p.tag[1] in shapes]
    out += statements.updates(lab, table, actor, victim)
    out += statements.deletes(lab, table, actor, victim)
    if actor.is_member or actor.state == "moved":
        out += statements.moves(lab, table, actor, own, victim)
        if len(shapes) > 1:
            out += statements.upserts(lab, table, actor, own, victim)
    return out


def controls(lab: Lab, table: Table, actor: Actor) -> Iterable[Probe]:
    """List what an actor should be able to do with rows of its own tenants."""
    out: list[Probe] = []
    weakest = lab.model.roles[-1]
    for label, role in actor.tenants.items():
        if label == "B" and not (actor.state == "both" or (actor.is_member and role == weakest)):
            continue
        if actor.is_member and label == "A" and lab.model.mapped(table.key):
            # The permission tables say more, and their channel tries it row by row.
            continue
        out += statements.inserts(lab, table, actor, label)
        if actor.is_member and label == "A":
            out += statements.handovers(lab, table, actor, label)
        rows = lab.fixtures.of(table.key, label)
        own = [r for r in rows if r.user == actor.user and not r.variant]
        column = statements.touch_column(lab, table, actor.role)
        for name, some in (("own", own[:1]), ("all", rows)):
            if not some:
                continue
            keys = lab.where_keys(table, [r.values for r in some])
            can_update = column is not None and lab.tries("update")
            if can_update and column is not None and table.can(actor.role, "SELECT"):
                text = statements.touch(lab, table, column, keys)
                out.append(Probe(actor, text, watch=(table.key,), tag=("update", name, label)))
            can_delete = table.can(actor.role, "DELETE") and lab.tries("delete")
            if can_delete and table.can(actor.role, "SELECT"):
                text = statements.erase(lab, table, keys)
                out.append(Probe(actor, text, watch=(table.key,), tag=("delete", name, label)))
    return out
