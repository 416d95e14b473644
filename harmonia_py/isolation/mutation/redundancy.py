"""Why nobody notices that a check of a function is gone: what comes after it refuses the same.

A reason counts only when it was seen: some call that the check refused must now be refused by a
constraint or a policy, or have changed and told nothing, and no such call may come through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes.functions import callers, rpc
from harmonia_py.isolation.probes.functions.doors import says

__all__ = ["refused", "refused_anyway"]

_CONSTRAINT = "a constraint refuses the same"
_LATER = "a later check refuses the same"
_STATEMENT = "the statement that follows is refused as well"
_NOTHING = "what follows finds nothing: nothing is changed and nothing told"


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
