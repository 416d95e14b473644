"""One's own seat through a function: a role one gives oneself, a way back in after the end.

Whoever may not change memberships asks a function to change one's own. The function's answer does
not matter; what the row holds afterwards does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, product
from typing import Any

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Argument, Function
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Change, Lab, Probe
from harmonia_py.isolation.model import Membership
from harmonia_py.isolation.probes.functions import rpc
from harmonia_py.isolation.probes.functions.arguments import choices, is_tenant

__all__ = ["probe"]

#: Who was asked and has not answered yet may let himself in: that is what the asking is for.
_ASKED = re.compile(r"invit|pend|request|ask|applied|wait", re.I)


def probe(lab: Lab) -> list[Signal]:
    """Call every function that writes memberships about oneself, as the weakest and as the gone."""
    out: list[Signal] = []
    for m in lab.model.memberships:
        for function in rpc.exposed(lab):
            if m.table not in lab.refs.reach(function.source)[0]:
                continue
            plan = [
                Probe(actor, text, rows=True, watch=(m.table,))
                for actor in _people(lab, m)
                if actor.role in function.executors
                for text in _calls(lab, function, m, actor)
            ]
            for item, outcome in zip(plan, lab.run(plan), strict=True):
                change = next(
                    (c for c in outcome.changes if outcome.ok and _rose(lab, m, item.actor, c)),
                    None,
                )
                if change is not None:
                    out.append(_signal(function, m, item, change))
                    break
    return out


def _people(lab: Lab, m: Membership) -> list[Actor]:
    members = lab.cast.members("A")
    weakest = members[-1:] if m.role and len(members) > 1 else []
    gone = [
        a
        for a in lab.cast.actors
        if a.former == "A"
        and "A" not in a.tenants
        and a.state.partition(":")[0] in ("inactive", "deleted", "ended", "expired")
        and not _ASKED.search(a.state)
    ]
    return [*weakest, *gone]


def _calls(lab: Lab, function: Function, m: Membership, actor: Actor) -> Iterator[str]:
    """Compose calls about the caller: its tenant, itself, the best role, an active status."""
    wanted = [
        a
        for a in function.arguments
        if not a.has_default or _best(lab, m, a) or _is_person(lab, function, a)
    ]
    options = [_options(lab, function, m, a, actor) for a in wanted]
    for values in islice(product(*options), 8):
        yield rpc.composed(lab, function, wanted, list(values))


def _options(
    lab: Lab, function: Function, m: Membership, argument: Argument, actor: Actor
) -> list[Any]:
    if best := _best(lab, m, argument):
        return best
    if is_tenant(lab, argument, function):
        return [lab.cast.a.id]
    if _is_person(lab, function, argument):
        return [actor.user]
    return [value for value, _, _ in choices(lab, function, argument, "A")[:2]]


def _is_person(lab: Lab, function: Function, argument: Argument) -> bool:
    """Whether an argument is compared with the user of a membership, or called so."""
    if argument.type != "uuid" or is_tenant(lab, argument, function):
        return False
    users = "|".join(re.escape(m.user) for m in lab.model.memberships)
    name = re.escape(argument.name or "")
    compared = rf"\b(?:{users})\"?\s*=\s*(?:\w+\.)?\"?{name}\b"
    return bool(name) and (
        re.search(compared, function.source, re.I) is not None
        or re.search(r"user|member|person|profile", name, re.I) is not None
    )


def _best(lab: Lab, m: Membership, argument: Argument) -> list[Any]:
    """Return the strongest role, or the status that counts, for an argument that takes one."""
    if argument.labels:
        if lab.model.roles[0] in argument.labels:
            return [lab.model.roles[0]]
        return [m.active] if m.active in argument.labels else []
    named = argument.category == "S" and argument.name
    if named and re.search(r"role|rank|level", argument.name, re.I):
        return [lab.model.roles[0]]
    if named and m.active and re.search(r"status|state", argument.name, re.I):
        return [m.active]
    return []


def _rose(lab: Lab, m: Membership, actor: Actor, change: Change) -> bool:
    """Whether the caller's own seat holds a better role now, or counts again."""
    row = change.data
    if change.kind != "new" or str(row.get(m.user)) != actor.user:
        return False
    if change.scope != lab.cast.a.id:
        return False
    if actor.is_member:
        return m.role is not None and str(row.get(m.role)) == lab.model.roles[0]
    over = [c for c in (m.deleted, *m.ended) if c and row.get(c) is not None]
    expired = m.expires is not None and str(row.get(m.expires) or "9") < "2026-06"
    counts = m.status is None or str(row.get(m.status)).lower() == str(m.active).lower()
    return counts and not over and not expired


def _signal(function: Function, m: Membership, item: Probe, change: Change) -> Signal:
    rising = item.actor.is_member
    what = "gives itself the strongest role" if rising else "lets itself in again"
    return Signal(
        "escalation.rpc" if rising else "lifecycle.rejoin",
        "escalation",
        "critical",
        item.actor.name,
        function.key,
        "execute",
        f"{item.actor.name} {what}: "
        + ", ".join(f"{k}={v}" for k, v in list(change.data.items())[:6]),
        "A function changes the caller's own membership in the caller's favour.",
        f"Let {function.key} look at the state and the role the caller has before it writes"
        f" {m.table}, and refuse to raise the caller.",
        item.sql,
        item.actor,
        (m.table,),
        group=function.key,
        title=f"{{object}}: whoever calls it {what}",
    )
