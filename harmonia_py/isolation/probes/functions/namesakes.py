"""Rows of another tenant that carry the same address, or the same key, as what a call names.

A function that looks rows up by an address or by a part of their key, and forgets whose they are,
changes those as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Function, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.functions import rpc
from harmonia_py.isolation.probes.functions.circumstances import addressed, worked_on

__all__ = ["probe"]


def probe(lab: Lab) -> list[Signal]:
    """Let the strongest member of A call for a person or a row that B has a namesake of."""
    out: list[Signal] = []
    boss = next(iter(lab.cast.members("A")), None)
    if boss is None or not lab.fixtures.replica:
        return out
    for function in rpc.exposed(lab):
        if boss.role not in function.executors or not function.arguments:
            continue
        tables = worked_on(lab, function)[1]
        plan = [p for t in tables for p in _addressed(lab, function, t, boss)]
        plan += _twins(lab, function, tables, boss)
        for item, outcome in zip(plan, lab.run(plan), strict=True):
            for signal in rpc.judge(lab, function, item, outcome):
                # What is read says nothing: the rows of A carry values of B here.
                if signal.rule.endswith(".writes"):
                    out.append(replace(signal, pre=item.pre))
    return out


def _addressed(lab: Lab, function: Function, table: Table, boss: Actor) -> Iterator[Probe]:
    pre = tuple(addressed(lab, function, table, "B"))
    for call, text in rpc.calls(lab, function, "A", boss) if pre else ():
        yield Probe(
            boss, text, rows=True, pre=pre, replica=True, watch=(table.key,), tag=("execute", call)
        )


def _twins(lab: Lab, function: Function, tables: Sequence[Table], boss: Actor) -> Iterator[Probe]:
    """Give rows of A the keys of rows of B, where only the tenant makes the key whole."""
    pre, watch = [], []
    for table in tables:
        path = lab.model.of(table.key).path
        rest = [c for c in table.primary_key if c not in path]
        mine, theirs = (lab.fixtures.of(table.key, label) for label in "AB")
        if len(rest) == 1 and len(table.primary_key) == 2 and mine and theirs:
            pre.append(
                statements.change(
                    lab,
                    table,
                    {rest[0]: theirs[0].values[rest[0]]},
                    lab.where_keys(table, [mine[0].values]),
                )
            )
            watch.append(table.key)
    for call, text in rpc.calls(lab, function, "B", boss) if pre else ():
        if call.label == "AB":
            yield Probe(
                boss, text, rows=True, pre=tuple(pre), replica=True, watch=tuple(watch),
                tag=("execute", call),
            )  # fmt: skip
