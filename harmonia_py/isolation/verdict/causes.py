"""From many symptoms to one cause: the helper that everything which went wrong has in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab

__all__ = ["FAMILIES", "causes", "family"]

#: What goes wrong together: a family's name, and the rules whose signals belong to it.
FAMILIES: dict[str, tuple[str, ...]] = {
    "helper": ("cross_tenant", "rpc.reads", "rpc.writes", "rpc.differs"),
    "lifecycle.access": (
        "lifecycle.access",
        "lifecycle.closed",
        "lifecycle.own_rows",
        "lifecycle.realtime",
        "lifecycle.rpc.reads",
        "lifecycle.rpc.writes",
        "lifecycle.storage",
        "lifecycle.view",
    ),
    "role.other_tenant": (
        "role.other_tenant",
        "permission.excess",
        "function.excess",
        "role.reader",
    ),
    "denied.everybody": ("denied.everybody",),
}
#: How much of what a helper decides must have gone wrong, and of what went wrong it must decide.
_SHARE = 0.5


def family(rule: str) -> str | None:
    """Return the family of a rule, if it has one."""
    return next((name for name, rules in FAMILIES.items() if rule in rules), None)


def causes(lab: Lab, signals: Iterable[Signal]) -> dict[tuple[str, str], str]:
    """Return (family, object) -> helper, for every object that a helper explains."""
    wrong: dict[str, set[str]] = defaultdict(set)
    for signal in signals:
        name = family(signal.rule)
        if name and signal.rule != "lifecycle.own_rows":
            wrong[name].add(signal.object)
    out: dict[tuple[str, str], str] = {}
    asks = _Asks(lab)
    for name, objects in wrong.items():
        left = set(objects)
        while best := _best(lab, asks, name, left):
            users = asks.users(best)
            out |= {(name, key): best for key in users}
            out[name, best] = best
            left -= users | {best}
    return out


def _best(lab: Lab, asks: _Asks, name: str, wrong: set[str]) -> str | None:
    """Choose the helper whose users and what went wrong are most alike."""
    found: list[tuple[float, int, str]] = []
    for helper in lab.refs.helpers:
        users = asks.users(helper)
        judged = {k for k in users if k in asks.judged}
        hit = wrong & users
        tables = hit & asks.judged
        if len(hit) < 2 or not tables:
            continue
        # A table may ask for more than this helper; where strangers come in, few do.
        if name == "helper" and (len(judged) < 3 or 3 * len(tables) < 2 * len(judged)):
            continue
        share = len(tables) / len(judged | (wrong & asks.judged))
        # What a role may do beyond its due is a part of what its helper decides.
        whole = name == "role.other_tenant" and wrong <= users and len(wrong) > 2
        if share > _SHARE or judged <= wrong or whole:
            found.append((share, -len(users), helper))
    return max(found)[2] if found else None


class _Asks:
    """Which helpers each table, view, function and platform table asks."""

    def __init__(self, lab: Lab) -> None:
        self.judged = {t.key for t in lab.catalog.reachable() if t.rls and t.policies}
        self._users: dict[str, set[str]] = defaultdict(set)
        self.lab = lab
        for table in (*lab.catalog.tables.values(), *lab.catalog.platform.values()):
            self._add(table.key, lab.refs.policy_text(table) if table.is_base else table.definition)
        for function in lab.catalog.functions.values():
            self._add(function.key, function.source, definer=function.definer)

    def _add(self, key: str, text: str | None, *, definer: bool = False) -> None:
        """Note what ``text`` asks, and what the policies ask of the tables that it reads itself."""
        refs = self.lab.refs
        helpers = set(refs.reach(text or "")[1])
        if not definer:
            for source in refs.direct(text or "")[0]:
                helpers |= refs.by_table.get(source, ((), frozenset()))[1]
        for helper in helpers:
            self._users[helper].add(key)

    def users(self, helper: str) -> set[str]:
        """Return what asks ``helper``, directly or not."""
        return self._users[helper]
