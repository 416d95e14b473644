"""Closed tenants: what is still open to their members after the tenant was closed.

A project may let members of a closed tenant read on, or shut everything; the harness holds each
table to what the project does everywhere else. Where nothing closes at all, although some code
asks for the mark, the helper that asked for it has forgotten to.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from harmonia_py.isolation.catalog import Column, Table
from harmonia_py.isolation.finding import NotJudged, Signal
from harmonia_py.isolation.infer.closings import Mark, marks_beside, marks_of
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import home, statements

__all__ = ["probe"]

Allowed = Mapping[tuple[str, str, str], set[str]]


def probe(lab: Lab, allowed: Allowed) -> tuple[list[Signal], list[NotJudged]]:
    """Close tenant A in every way it can be closed, and let its strongest member go on."""
    del allowed
    root = lab.catalog.tables.get(lab.model.tenant_table or "")
    boss = next(iter(lab.cast.members("A")), None)
    if root is None or boss is None or not lab.fixtures.replica:
        return [], []
    marks = _marks(lab, root)
    if not marks:
        return [], []
    before = [p for t in _tables(lab) for p in home.plan(lab, t, boss)]
    could = {p.tag for p, o in zip(before, lab.run(before), strict=True) if home.reached(p, o)}
    plan = [p for p in before if p.tag in could]
    signals: list[Signal] = []
    left: list[NotJudged] = []
    for mark in marks:
        said = {(s.object, s.command) for s in signals}
        found, open_ = _closing(lab, mark, plan)
        signals += [s for s in found if (s.object, s.command) not in said]
        left += open_
    return signals, left


def _marks(lab: Lab, root: Table) -> list[Mark]:
    """Return the mark that the model names, and others that something asks for."""
    model = lab.model
    said: list[Mark] = []
    if model.tenant_status is not None:
        said = [Mark(root.key, model.tenant_status, model.tenant_closed, model.tenant_key)]
    seats = {m.table for m in model.memberships}
    others = [m for m in marks_of(root, lab.refs, model.tenant_key) if _asked(lab, root, m.column)]
    others += [m for m in marks_beside(lab.refs, root.key) if m.table not in seats]
    return said + [m for m in others if m.column != model.tenant_status or m.table != root.key]


def _closing(lab: Lab, mark: Mark, before: list[Probe]) -> tuple[list[Signal], list[NotJudged]]:
    """Set one mark; where it is not the one that the model names, something must close by it."""
    table = lab.catalog.tables[mark.table]
    column = table.column(mark.column)
    main = (mark.table, mark.column) == (lab.model.tenant_table, lab.model.tenant_status)
    asked = main and _asked(lab, table, column.name)
    for value in mark.closed:
        close = (_close(lab, mark, column, value), *_without_shares(lab))
        plan = [replace(p) for p in before if p.tag[0] != mark.table or main]
        with lab.after(close, {key for p in plan for key in p.watch}) as possible:
            outcomes = lab.run(plan) if possible else []
        kept: dict[str, list[Probe]] = defaultdict(list)
        lost: dict[str, set[str]] = defaultdict(set)
        for item, outcome in zip(plan, outcomes, strict=False):
            key, command = item.tag
            item.pre = close  # for whoever repeats it
            if home.reached(item, outcome):
                kept[command].append(item)
            else:
                lost[command].add(key)
        own = mark.table == lab.model.tenant_table
        left = [p for c, items in kept.items() if _forgotten(c, kept, lost, own=own) for p in items]
        if not any(lost.values()):
            if not asked:
                continue
            left = [p for items in kept.values() for p in items]
        what = (
            "other tables close" if any(lost.values()) else "code asks for it, yet nothing closes"
        )
        return [_signal(lab, table, column, value, item, what) for item in left], []
    if main and before and not asked:
        place = f"{table.key}.{column.name}"
        return [], [
            NotJudged(place, "no policy and no function looks at it: closing closes nothing")
        ]
    return [], []


def _forgotten(
    command: str, kept: dict[str, list[Probe]], lost: dict[str, set[str]], *, own: bool
) -> bool:
    """Whether what still does ``command`` has forgotten to ask.

    Most tables close, or, for a mark of the tenant's own, any does. What it paid for may open a
    part only; and who keeps reads on purpose has tables of which writes alone close.
    """
    if len(kept[command]) < len(lost[command]):
        return True
    if not own or not lost[command]:
        return False
    written = set().union(*(lost[c] for c in ("insert", "update", "delete")))
    return command != "select" or not written - lost["select"]


def _tables(lab: Lab) -> list[Table]:
    # A person sees the rows that say what he may: memberships, shares.
    seats = {m.table for m in lab.model.memberships} | set(lab.shares)
    return [t for t in lab.tables() if lab.model.of(t.key).kind == "tenant" and t.key not in seats]


def _without_shares(lab: Lab) -> list[str]:
    """Take the shares away: they stand by themselves."""
    tables = [lab.catalog.tables[key] for key in lab.shares]
    return [statements.erase(lab, table) for table in tables]


def _close(lab: Lab, mark: Mark, column: Column, value: str) -> str:
    if column.category == "D":
        value = "2020-01-01T00:00:00Z"
    table = lab.catalog.tables[mark.table]
    keys = lab.where(table, {mark.tenant: lab.cast.a.id})
    return statements.change(lab, table, {column.name: value}, keys)


def _asked(lab: Lab, root: Table, column: str) -> bool:
    """Whether some code that reads the tenants looks at the mark."""
    word = re.compile(rf'(?<![\w"]){re.escape(column)}\b|"{re.escape(column)}"')
    texts = [lab.refs.policy_text(t) for t in lab.catalog.tables.values()]
    texts += [f.source for f in lab.catalog.functions.values()]
    return any(word.search(t) and root.key in lab.refs.direct(t)[0] for t in texts)


def _signal(lab: Lab, root: Table, column: Column, value: str, item: Probe, what: str) -> Signal:
    key, command = item.tag
    mark = f"{column.name} is {'set' if column.category == 'D' else value}"
    helpers = sorted(lab.refs.by_table[key][1]) if key in lab.refs.by_table else []
    asks = f" Its policies ask {', '.join(helpers)}." if helpers else ""
    return Signal(
        "lifecycle.closed",
        "breach",
        "high",
        item.actor.name,
        key,
        command,
        f"after {mark} on {root.key}: {what}",
        f"A closed tenant is still open here.{asks}",
        f"Let every policy ask a helper that looks at {root.key}.{column.name}.",
        item.sql,
        item.actor,
        (key,),
        group="closed",
        title="A closed tenant is still open in {object} ({commands})",
        pre=item.pre,
    )
