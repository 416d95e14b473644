"""Tenants below one parent: who belongs to one of them reaches no other.

That the parent's people reach down is what a tree of tenants is for. Whatever walks it must not
turn round at the top.
"""

from __future__ import annotations

from harmonia_py.isolation.catalog import ForeignKey, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tickets.shares import sight

__all__ = ["probe"]


def probe(lab: Lab) -> list[Signal]:
    """Put tenant A below a parent, then B too, and look what A's people see more of."""
    root = lab.catalog.tables.get(lab.model.tenant_table or "")
    link = _walked(lab, root) if root is not None else None
    look = sight(lab)
    if root is None or link is None or not look or not lab.wants(root.key):
        return []
    first = _parent(lab, root, link)
    if first is None:
        return []
    above, parent = first
    one, other = (_below(lab, root, link, t, parent) for t in (lab.cast.a.id, lab.cast.b.id))
    people = lab.cast.members("A")
    for actor in {a.name: a for a in (*people[:1], *people[-1:])}.values():
        plan = [
            Probe(actor, look, rows=True, pre=(above, one), replica=True),
            Probe(actor, look, rows=True, pre=(above, one, other), replica=True),
        ]
        alone, both = lab.run(plan)
        if not (alone.ok and both.ok):
            continue
        before = dict(alone.result or {})
        more = sorted(k for k, n in dict(both.result or {}).items() if n > before.get(k, 0))
        if more:
            return [_signal(lab, root, link, plan[1], more)]
    return []


def _walked(lab: Lab, root: Table) -> ForeignKey | None:
    """Return the key by which a tenant names its parent, where policies follow it."""
    texts = (lab.refs.policy_text(t) for t in lab.catalog.tables.values())
    words = lab.refs.words(lab.refs.closure_text("\n".join(texts)))
    for fk in root.foreign_keys:
        if fk.target == root.key and len(fk.columns) == 1 and fk.columns[0] in words:
            return fk if fk.ref_columns == (lab.model.tenant_key,) else None
    return None


def _parent(lab: Lab, root: Table, link: ForeignKey) -> tuple[str, str] | None:
    """Compose a tenant that nobody belongs to: the insert, and its key."""
    spare = lab.fixtures.spares.get((root.key, "B"))
    key = spare.values.get(lab.model.tenant_key) if spare else None
    if spare is None or key is None or not lab.fixtures.replica:
        return None
    return statements.store(lab, root, spare.values | {link.columns[0]: None}), str(key)


def _below(lab: Lab, root: Table, link: ForeignKey, tenant: str, parent: str) -> str:
    keys = lab.where(root, {lab.model.tenant_key: tenant})
    return statements.change(lab, root, {link.columns[0]: parent}, keys)


def _signal(lab: Lab, root: Table, link: ForeignKey, item: Probe, more: list[str]) -> Signal:
    walks = [
        key
        for key in sorted(lab.refs.helpers)
        if link.columns[0] in lab.refs.words(lab.catalog.functions[key].source)
    ]
    return Signal(
        "cross_tenant.siblings",
        "breach",
        "critical",
        item.actor.name,
        root.key,
        "select",
        f"with both below one parent, {item.actor.name} sees rows of B in {', '.join(more[:6])}",
        "Whoever belongs to one tenant reaches all that have the same parent.",
        f"Walk {link.columns[0]} in one direction only"
        + (f" in {', '.join(walks[:3])}." if walks else "."),
        item.sql,
        item.actor,
        (root.key, *walks[:3]),
        group=root.key,
        title="{object}: tenants below one parent reach each other's rows",
        pre=item.pre,
    )
