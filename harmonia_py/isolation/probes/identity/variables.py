"""Settings that say who is calling, or for which tenant: who may set them decides.

PostgREST sets none of a project's own, and any session that runs SQL may. Where a function of the
project does (PostgREST's pre-request), it must not take the value from what its caller sends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Function
from harmonia_py.isolation.finding import NotJudged, Signal
from harmonia_py.isolation.infer.claims import builtin_setting
from harmonia_py.isolation.infer.variables import setters
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import tables
from harmonia_py.isolation.probes.identity.claims import forged
from harmonia_py.isolation.probes.tickets.shares import sight

__all__ = ["probe"]

_FIX = "Decide by auth.uid() and tables, or by claims that only the server writes."


def probe(lab: Lab) -> tuple[list[Signal], list[NotJudged]]:
    """Set what nobody of the project sets, and send what its function may take for the value."""
    names = [n for n, what in lab.model.settings.items() if what != "none"]
    by = {n: setters(lab.catalog, n) for n in names if not builtin_setting(n)}
    free = [name for name, functions in by.items() if not functions]
    signals = list(_anybody(lab, free)) if free else []
    left = []
    taken = {f.key: f for functions in by.values() for f in functions}
    for function in taken.values():
        signals += _sent(lab, function)
    for name, functions in by.items():
        if functions:
            keys = ", ".join(f.key for f in functions)
            text = f"{keys} sets it: taken for the function that PostgREST runs before each request"
            left.append(NotJudged(f"setting {name}", text))
    return signals, left


def _somebody(lab: Lab) -> Actor | None:
    outside = [a for a in lab.cast.actors if a.state == "stranger"]
    return next(iter([*outside, *lab.cast.members("A")[-1:]]), None)


def _anybody(lab: Lab, names: list[str]) -> Iterator[Signal]:
    actor = _somebody(lab)
    victim = next(iter(lab.cast.members("B")), None)
    if actor is None or victim is None:
        return
    values = {name: victim.settings[name] for name in names if name in victim.settings}
    said = " and ".join(values)
    asking = [f.key for n in values for f in setters(lab.catalog, n, asking=True)]
    sets = "Nothing in the project sets it: through PostgREST nobody is anybody."
    if asking:
        sets = f"Only what its caller may tell the value sets it: {', '.join(asking)}."
    for signal in tables.attack(lab, replace(actor, settings=actor.settings | values)).signals:
        if signal.rule != "rows.published":
            yield replace(
                signal,
                rule="settings.caller",
                kind="breach",
                severity="high",
                evidence=f"after {actor.name} set {said}: {signal.evidence}",
                why=f"{sets} Any session that runs SQL is whoever it says.",
                fix=f"{_FIX} If a server sets it before each transaction, nothing here shows that.",
                group=said,
                title=f"Any session may set {said}, which decides whose rows it sees",
            )


def _sent(lab: Lab, function: Function) -> Iterator[Signal]:
    look = sight(lab)
    if not look:
        return
    text = f"select {lab.text(function.sql)}()"
    for sender, what, _, _ in forged(lab):
        if sender.user is None or sender.role not in function.executors:
            continue
        actor = replace(sender, settings=_without(lab, sender.settings))
        plain = replace(actor, claims=actor.claims | {"user_metadata": {}}, headers={})
        before, after = lab.run([Probe(a, f"{text}; {look}", rows=True) for a in (plain, actor)])
        seen = before.result or {}
        grown = [k for k, n in (after.result or {}).items() if n > seen.get(k, 0)]
        if after.ok and grown:
            yield Signal(
                "settings.caller",
                "breach",
                "critical",
                actor.name,
                function.key,
                "execute",
                f"with {what}, more rows of {', '.join(grown[:4])} are visible",
                "What runs before each request believes what its caller sends.",
                _FIX,
                f"{text}; {look}",
                actor,
                tuple(grown[:4]),
                group=function.key,
                title="{object} lets callers choose whose rows they see",
            )
            return


def _without(lab: Lab, settings: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in settings.items() if k not in lab.model.settings}
