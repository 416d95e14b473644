"""Settings that policies read and that a function lets its caller make."""

from __future__ import annotations

from collections.abc import Iterator

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Function
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes.functions import rpc
from harmonia_py.isolation.probes.tickets.shares import sight

__all__ = ["probe"]


def probe(lab: Lab) -> list[Signal]:
    """Call what makes settings with the other tenant's ids, and look again at everything."""
    out: list[Signal] = []
    members = lab.cast.members("A")
    actors = [*members[:1], *[a for a in lab.cast.actors if a.state == "stranger"]]
    for function in rpc.exposed(lab):
        if "set_config" in function.source:
            out += _settings(lab, function, [a for a in actors if a.role in function.executors])
    return out


def _settings(lab: Lab, function: Function, callers: list[Actor]) -> Iterator[Signal]:
    look = sight(lab)
    if not look:
        return
    for actor in callers:
        if actor.user is None:
            continue
        plan = [Probe(actor, look, rows=True)]
        for _, text in rpc.calls(lab, function, "B", actor):
            plan.append(Probe(actor, f"{text}; {look}", rows=True))
        alone, *others = lab.run(plan)
        for item, outcome in zip(plan[1:], others, strict=True):
            before = alone.result or {}
            grown = [k for k, n in (outcome.result or {}).items() if n > before.get(k, 0)]
            if outcome.ok and grown:
                yield Signal(
                    "rpc.setting",
                    "escalation",
                    "critical",
                    actor.name,
                    function.key,
                    "execute",
                    f"after the call more rows of {', '.join(grown[:4])} are visible",
                    "A function lets callers set what the policies read to decide.",
                    "Decide from the token and from tables, never from a setting a caller makes.",
                    item.sql,
                    actor,
                    tuple(grown[:4]),
                    group=function.key,
                    title="{object}: callers choose whose rows they see",
                )
                return
