"""What follows from something worse on the same object, and need not be read as well."""

from __future__ import annotations

from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab

__all__ = ["without_echoes"]

_WORST = ("cross_tenant", "rpc.reads", "rpc.writes", "view", "storage", "realtime")
_ECHOES = frozenset(
    "rpc.differs lifecycle.rpc.reads lifecycle.rpc.writes lifecycle.view lifecycle.realtime"
    " publication error.text lifecycle.closed claims.unheeded claims.around".split()
)


def without_echoes(lab: Lab, signals: list[Signal]) -> list[Signal]:
    """Leave out what follows from something worse on the same object.

    Where any stranger gets in, a suspended member does too; where a function hands out rows,
    its answers differ as well.
    """
    worst = {s.object for s in signals if s.rule in _WORST and s.kind in ("breach", "escalation")}
    commands = {(s.object, s.command) for s in signals if s.rule in (*_WORST, "user_rows.public")}
    former = {(s.object, s.command) for s in signals if s.rule.startswith("lifecycle.own")}
    outlived = worst | {s.object for s in signals if s.rule.startswith("lifecycle.")}
    records = {(s.object, s.command) for s in signals if s.rule == "record"}
    nobody = {s.object for s in signals if s.rule in ("denied.everybody", "denied.recursion")}
    reached = {(s.object, s.actor) for s in signals if s.rule == "cross_tenant"}
    selves = {s.object for s in signals if s.rule == "escalation.self"}
    risen = {(s.object, s.command) for s in signals if s.rule.startswith("escalation.")}
    inert = {s.object for s in signals if s.rule == "helper.inert"}
    files = {(s.group, s.command) for s in signals if s.rule == "storage"}
    out = []
    for signal in signals:
        echo = signal.object in worst and signal.rule in _ECHOES
        if signal.rule == "lifecycle.closed":
            echo = echo or (signal.object, signal.command) in former
        if signal.rule == "role.reader":
            echo = echo or (signal.object, signal.command) in records
        if signal.rule == "role.other_tenant" and signal.who is not None:
            # Whoever holds the role in one tenant alone was seen to reach the same rows.
            held = f"A.{signal.who.tenants.get('A')}"
            echo = echo or (signal.object, held) in reached
        if signal.rule in ("permission.excess", "function.excess") and inert:
            echo = bool(inert & _asked(lab, signal.object))
        if signal.rule in ("permission.denied", "denied.role"):
            echo = signal.object in nobody
        if signal.rule == "escalation.profile" and signal.object in selves:
            # One's seat is one's profile: what the seat says was found to be one's own already.
            echo = signal.group in _seat_columns(lab)
        if signal.rule == "lifecycle.storage":
            echo = (signal.group, signal.command) in files
        if signal.rule in ("grant.beyond_rls", "shared.rows") and signal.object in worst:
            table = lab.catalog.table(signal.object)
            echo = table is not None and not table.rls
        same = (signal.object, signal.command) in commands and signal.rule in (
            "lifecycle.access",
            "lifecycle.own_rows",
            "role.other_tenant",
            "permission.excess",
            "key.reference",
            "own_rows",
            "role.reader",
            "record",
            "shared.rows",
        )
        same |= signal.rule == "permission.excess" and (signal.object, signal.command) in risen
        same |= signal.rule == "user_rows.public" and any(
            s.object == signal.object and s.command == signal.command and s.rule in _WORST
            for s in signals
        )
        open_ = outlived if signal.rule.startswith("lifecycle.") else worst
        if not (echo or same or _passes_on(lab, signal, open_)):
            out.append(signal)
    return out


def _asked(lab: Lab, key: str) -> frozenset[str]:
    """Return the functions that a table's policies, or a function, ask."""
    function = lab.catalog.functions.get(key)
    if function is not None:
        return lab.refs.reach(function.source)[1]
    return lab.refs.by_table.get(key, (frozenset(), frozenset()))[1]


def _passes_on(lab: Lab, signal: Signal, worst: set[str]) -> bool:
    """Whether a view or function only shows what its caller could read anyway."""
    if view := lab.catalog.tables.get(signal.object):
        return view.kind == "view" and view.security_invoker and bool(worst & set(view.sources))
    function = lab.catalog.functions.get(signal.object)
    if function is None or function.definer:
        return False
    tables, called = lab.refs.reach(function.source)
    return not any(lab.catalog.functions[f].definer for f in called) and bool(worst & tables)


def _seat_columns(lab: Lab) -> set[str]:
    """Return the columns, with their tables, that say what a seat is worth and until when."""
    return {
        f"{m.table}.{column}"
        for m in lab.model.memberships
        for column in (m.role, m.status, m.deleted, m.expires, *m.ended)
        if column
    }
