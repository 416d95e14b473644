"""Rows of another tenant that carry the same address as the person a call names.

A function that looks rows up by an address, and forgets whose they are, changes those as well.
"""

from __future__ import annotations

from dataclasses import replace

from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import rpc
from harmonia_py.isolation.probes.circumstances import addressed, worked_on

__all__ = ["probe"]


def probe(lab: Lab) -> list[Signal]:
    """Let the strongest member of A call for a person of A, to whom a row of B is addressed."""
    out: list[Signal] = []
    boss = next(iter(lab.cast.members("A")), None)
    if boss is None or not lab.fixtures.replica:
        return out
    for function in rpc.exposed(lab):
        if boss.role not in function.executors or not function.arguments:
            continue
        for table in worked_on(lab, function)[1]:
            pre = tuple(addressed(lab, function, table, "B"))
            plan = [
                Probe(
                    boss,
                    text,
                    rows=True,
                    pre=pre,
                    replica=True,
                    watch=(table.key,),
                    tag=("execute", call),
                )
                for call, text in (rpc.calls(lab, function, "A", boss) if pre else ())
            ]
            for item, outcome in zip(plan, lab.run(plan), strict=True):
                out += (replace(s, pre=item.pre) for s in rpc.judge(lab, function, item, outcome))
    return out
