"""Who may call which function for their own tenant: the model's list is held in both directions.

An entry of the list is a role (``admin``), a role on a colleague of a role (``admin on owner``),
a role that gives a role (``admin as owner``), or somebody without a seat (``stranger``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Argument, Function
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import rpc
from harmonia_py.isolation.probes.arguments import choices

__all__ = ["observed", "probe"]

_OUTSIDERS = ("stranger", "anonymous", "anon", "removed")


def probe(lab: Lab) -> list[Signal]:
    """Compare who can call each function that the model lists with the list."""
    out: list[Signal] = []
    for function in rpc.exposed(lab):
        listed = lab.model.functions.get(function.key)
        if listed is None:
            continue
        for label, (worked, item) in _tried(lab, function).items():
            if worked and label not in listed:
                out.append(_excess(function, label, item))
            elif not worked and label in listed:
                out.append(_denied(function, label, item))
    return out


def observed(lab: Lab) -> dict[str, tuple[str, ...]]:
    """Return the list as the database has it now."""
    return {
        f.key: tuple(label for label, (worked, _) in _tried(lab, f).items() if worked)
        for f in rpc.exposed(lab)
    }


def _tried(lab: Lab, function: Function) -> dict[str, tuple[bool, Probe]]:
    """Return, for each entry the list could have, whether some call of it did something."""
    key = ("callers", function.key)
    if key not in lab.memo:
        lab.memo[key] = [
            Probe(actor, text, rows=True, tag=("execute", label))
            for actor in _people(lab)
            if actor.role in function.executors
            for label, text in _calls(lab, function, actor)
        ]
    plan: list[Probe] = lab.memo[key]
    out: dict[str, tuple[bool, Probe]] = {}
    for item, outcome in zip(plan, lab.run(plan), strict=True):
        worked, _ = out.get(item.tag[1], (False, item))
        if not worked:
            out[item.tag[1]] = (_did(function, outcome), item)
    return out


def _people(lab: Lab) -> list[Actor]:
    outside = [a for a in lab.cast.actors if a.state in _OUTSIDERS]
    return lab.cast.members("A") + outside


def _who(actor: Actor) -> str:
    return actor.tenants["A"] if actor.is_member else actor.state


def _did(function: Function, outcome: Outcome) -> bool:
    """Whether a call was not refused and had an answer."""
    if not outcome.ok:
        return False
    return function.returns == "void" or _says(outcome.result)


def _says(value: Any) -> bool:
    if isinstance(value, list):
        return any(_says(v) for v in value)
    if isinstance(value, dict):
        return any(_says(v) for v in value.values())
    return value not in (None, False, "", 0)


def _calls(lab: Lab, function: Function, actor: Actor) -> Iterator[tuple[str, str]]:
    """Yield calls with the tenant's own values, and one for each colleague and each role."""
    who = _who(actor)
    for _, text in rpc.calls(lab, function, "A", actor):
        yield who, text
    if not actor.is_member:
        return
    arguments = list(function.arguments)
    usual = [choices(lab, function, a, "A", "A")[0][0] for a in arguments]
    for place, argument in enumerate(arguments):
        for word, value in _colleagues(lab, function, argument):
            values = [*usual[:place], value, *usual[place + 1 :]]
            yield f"{who} {word}", rpc.call(lab, function, arguments, values)


def _colleagues(lab: Lab, function: Function, argument: Argument) -> list[tuple[str, Any]]:
    """List the colleagues or the roles that an argument may name."""
    seats = lab.model.membership
    if seats is None:
        return []
    usual = choices(lab, function, argument, "A", "A")
    if any(str(option[0]) in lab.fixtures.users for option in usual):
        return [(f"on {m.tenants['A']}", m.user) for m in lab.cast.members("A")]
    name = argument.name.lower().strip("_").removeprefix("p_").removeprefix("new_")
    if seats.role and name in (seats.role.lower(), "role"):
        return [(f"as {role}", role) for role in lab.model.roles]
    return []


def _excess(function: Function, label: str, item: Probe) -> Signal:
    return Signal(
        "function.excess",
        "escalation",
        "high",
        label,
        function.key,
        "execute",
        f"{label}: the call is not refused, and the model does not list it",
        "Somebody can call a function for a tenant who should not.",
        "Check the caller's permission first, or correct the list in harmonia.toml.",
        item.sql,
        item.actor,
        group=function.key,
        title="{object}: more people can call it than the model says",
    )


def _denied(function: Function, label: str, item: Probe) -> Signal:
    return replace(
        _excess(function, label, item),
        rule="function.denied",
        kind="denied",
        severity="medium",
        evidence=f"{label}: the model lists it, and no call did anything",
        why="The model allows it and the database does not.",
        fix="Look at what the function refuses, or correct the list in harmonia.toml.",
        title="{object}: fewer people can call it than the model says",
    )
