"""Why nobody notices that a check is gone: something else refuses the same.

A reason counts only when it was seen. Of a function: some call that the check refused must now be
refused by a constraint or a policy, or have changed and told nothing, and no such call may come
through. Of a policy: what is left must isolate by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes.functions import callers, rpc
from harmonia_py.isolation.probes.functions.doors import says

__all__ = ["PROVEN", "refused", "refused_anyway", "repeated"]

#: The name of a permission may be that of a function as well.
_QUOTED = re.compile(r"'(?:[^']|'')*'")
#: Of a condition on the tenant, when what is left is proven and every probe ends as it did.
PROVEN = "the other conditions of the policy isolate as well: proven, and no probe ends otherwise"

_CONSTRAINT = "a constraint refuses the same"
_LATER = "a later check refuses the same"
_STATEMENT = "the statement that follows is refused as well"
_NOTHING = "what follows finds nothing: nothing is changed and nothing told"


def repeated(lab: Lab, key: str, term: str, rest: str) -> bool:
    """Whether a condition is about the tenant alone and asks nothing that the rest does not ask.

    What else it might ask (another column, another table, another function) may matter to rows
    that nobody has seeded: that no probe ends otherwise would then be no reason.
    """
    table, refs = lab.catalog.tables[key], lab.refs
    path = lab.model.of(key).path
    named = {c.name for c in table.columns} & refs.words(term)
    asked, left = (refs.reach(_QUOTED.sub("''", text)) for text in (term, rest))
    return named == set(path[:1]) and all(a <= b for a, b in zip(asked, left, strict=True))


def refused(lab: Lab, key: str) -> tuple[list[Probe], list[Outcome]]:
    """Return the calls of one function that are refused now, and how."""
    function = lab.catalog.functions[key]
    found = [*rpc.plan(lab, function), *callers.plan(lab, function)]
    calls = [replace(p, watch=()) for p in found]
    pairs = [(p, o) for p, o in zip(calls, lab.run(calls), strict=True) if not o.ok]
    return [replace(p, watch=("*",)) for p, _ in pairs], [o for _, o in pairs]


def refused_anyway(before: Sequence[Outcome], after: Sequence[Outcome]) -> str | None:
    """Compare the outcomes of calls that were refused with those without the check."""
    reasons: set[str] = set()
    for was, now in zip(before, after, strict=True):
        if was.code == now.code and was.message == now.message:
            continue
        if now.constraint:
            reasons.add(_CONSTRAINT)
        elif now.code[:2] == "42":
            reasons.add(_STATEMENT)
        elif not now.ok and now.code[:2] not in ("57", "XX"):
            reasons.add(_LATER)
        elif now.ok and not now.changes and not says(now.result):
            reasons.add(_NOTHING)
        else:
            return None
    return "; ".join(sorted(reasons)) or None
