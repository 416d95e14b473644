"""Totals: what a function says about all tenants together, or about another one, in a number.

A count or a sum holds no value of another tenant, and still tells of it: the answer changes when
the other tenant's rows are taken away, or hold other amounts.
"""

from __future__ import annotations

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Function
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.functions import rpc
from harmonia_py.isolation.probes.functions.states import theirs, without

__all__ = ["probe"]


def probe(lab: Lab, known: set[str]) -> list[Signal]:
    """Call each definer function with and without the other tenant's rows and amounts."""
    if not lab.fixtures.replica:
        return []
    out: list[Signal] = []
    people = [*lab.cast.members("A")[:1]]
    people += [a for a in lab.cast.actors if a.state in ("stranger", "anon")]
    for function in rpc.exposed(lab):
        if not function.definer or function.key in known or function.returns == "void":
            continue
        weigh, clear = _clear(lab, function)
        if not clear:
            continue
        for actor in people:
            if actor.role in function.executors and (
                item := _differs(lab, function, actor, weigh, clear)
            ):
                out.append(_signal(function, item))
                break
    return out


def _clear(lab: Lab, function: Function) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compose what gives the other tenant's amounts a weight, and what takes its rows away."""
    weigh: list[str] = []
    for table, where in theirs(lab, function):
        # A sum of what defaults to nothing would not tell.
        amounts = [c for c in table.columns if c.category == "N" and c.default == "0"]
        if amounts:
            values = {c.name: sql.SQL("1234") for c in amounts}
            weigh.append(statements.change(lab, table, values, where))
    return tuple(weigh), without(lab, function)


def _differs(
    lab: Lab, function: Function, actor: Actor, weigh: tuple[str, ...], clear: tuple[str, ...]
) -> Probe | None:
    for text in _asked(lab, function, actor):
        plan = [
            Probe(actor, text, rows=True, pre=pre, replica=True)
            for pre in ((), (), clear, weigh, (*weigh, *clear))
        ]
        first, again, without, heavy, light = lab.run(plan)
        if not (first.ok and again.ok) or first.result != again.result:
            continue
        if without.ok and without.result != first.result:
            return plan[0]
        if heavy.ok and light.ok and heavy.result != light.result:
            return plan[3]
    return None


def _asked(lab: Lab, function: Function, actor: Actor) -> list[str]:
    """Return a call with one's own ids, and one with the other tenant's, if they name any."""
    own = [text for _, text in rpc.calls(lab, function, "A", actor)]
    foreign = [
        text
        for call, text in rpc.calls(lab, function, "B", actor)
        if call.specific and call.label == "B" and not call.bearer
    ]
    return list(dict.fromkeys([*own[:1], *foreign[:1]]))


def _signal(function: Function, item: Probe) -> Signal:
    return Signal(
        "rpc.totals",
        "oracle",
        "medium",
        item.actor.name,
        function.key,
        "execute",
        "the answer changes with the rows of another tenant",
        "A function that runs with its owner's rights adds up rows that its caller may not see.",
        "Let it look at the caller's tenants only; or name it in public_functions, if meant so.",
        item.sql,
        item.actor,
        (),
        group=function.key,
        title="{object}: a function tells totals over all tenants",
    )
