"""Calls made again: by every role, and once the rows are as a function wants them.

A function that asks for a role without asking where somebody holds it refuses the strongest, who
holds another one, and serves who has just that role anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import replace

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Function
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes.functions import rpc
from harmonia_py.isolation.probes.functions.states import states

__all__ = ["probe"]


#: How many calls with all arguments of the other tenant, and with some, each role makes.
_CALLS = 2


def probe(
    lab: Lab, known: Collection[str], silent: Collection[str] = ()
) -> tuple[list[Signal], set[str]]:
    """Call each function again that does something with its owner's rights.

    ``known`` are those that are told of already, ``silent`` those that refused everybody so far;
    of the latter, those that now do their work are returned as well.
    """
    out: list[Signal] = []
    served: set[str] = set()
    for function in rpc.exposed(lab):
        if {function.key, function.name} & set(known) or not rpc.privileged(lab, function):
            continue
        plan = list(_lesser(lab, function, own=function.key in silent))
        for item, outcome in zip(plan, lab.run(plan), strict=True):
            if outcome.ok and item.tag[1].label != "B":
                served.add(function.key)
            out += rpc.judge(lab, function, item, outcome)
        if not lab.fixtures.replica:
            continue
        # Closed at once, whatever happens: a state is kept for as long as it is looked at.
        with closing(states(lab, function)) as kept:
            for state in kept:
                plan = list(_everybody(lab, function))
                for item, outcome in zip(plan, lab.run(plan), strict=True):
                    found = rpc.judge(lab, function, item, outcome)
                    out += [replace(signal, pre=state) for signal in found]
    return out, served | {s.object for s in out}


def _lesser(lab: Lab, function: Function, *, own: bool) -> Iterator[Probe]:
    """Yield a few calls by each role between the strongest and the weakest, which were tried."""
    for actor in lab.cast.members("A")[1:-1]:
        for whose in "BA" if own else "B":
            yield from _calls(lab, function, actor, whose)


def _everybody(lab: Lab, function: Function) -> Iterator[Probe]:
    for actor in lab.cast.members("A"):
        yield from _calls(lab, function, actor, "B")


def _calls(lab: Lab, function: Function, actor: Actor, whose: str) -> Iterator[Probe]:
    made: Counter[str] = Counter()
    for call, text in rpc.calls(lab, function, whose, actor):
        made[call.label] += 1
        if actor.role in function.executors and made[call.label] <= _CALLS:
            yield Probe(actor, text, rows=True, watch=("*",), tag=("execute", call))
