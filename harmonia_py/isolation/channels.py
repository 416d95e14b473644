"""All probe channels, and the sum of what they saw.

Some must know what a legitimate caller may do with the tables. The others wait for whoever has
time, this laboratory or one on a copy of the database. The result is put together in the same order
either way.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from harmonia_py.isolation.finding import Cell, NotJudged, Signal
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import realtime, tables
from harmonia_py.isolation.probes.functions import (
    callers,
    dynamic,
    invitations,
    namesakes,
    notices,
    own_seat,
    retries,
    rpc,
    settings,
    shadow,
    totals,
)
from harmonia_py.isolation.probes.identity import (
    accounts,
    assurance,
    claims,
    domains,
    signup,
    variables,
)
from harmonia_py.isolation.probes.roles import (
    entitlements,
    escalation,
    nested,
    permissions,
    reach,
    readers,
    same_team,
    selves,
)
from harmonia_py.isolation.probes.storage import objects
from harmonia_py.isolation.probes.tables import (
    barriers,
    closed,
    credentials,
    denied,
    grants,
    inert,
    oracles,
    reactions,
    records,
    refusals,
    returning,
    siblings,
    unowned,
    views,
)
from harmonia_py.isolation.probes.tickets import access, bearers, shares
from harmonia_py.isolation.twin import beside

__all__ = ["ChannelResult", "run"]


@dataclass(slots=True)
class ChannelResult:
    """The signals, cells and counts of every channel together, or of one."""

    signals: list[Signal] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    not_judged: list[NotJudged] = field(default_factory=list)
    probes: Counter[str] = field(default_factory=Counter)
    allowed: dict[tuple[str, str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    timings: dict[str, float] = field(default_factory=dict)

    def add(self, part: ChannelResult) -> None:
        """Take in what one more channel saw; its cells and permissions replace those before."""
        self.signals += part.signals
        self.not_judged += part.not_judged
        self.probes += part.probes
        self.timings |= part.timings
        self.cells = part.cells or self.cells
        self.allowed = part.allowed or self.allowed


Progress = Callable[[str], None]
Channel = Callable[[Lab, ChannelResult], ChannelResult]
Parts = dict[str, ChannelResult]


def run(lab: Lab, *, progress: Progress, copy: str | None = None) -> ChannelResult:
    """Run each channel; one that finds nothing to do costs nothing.

    ``copy`` reaches a copy of the database: about half of the work is then done there meanwhile.
    """
    waiting = deque(_APART.items())
    with beside(lab, copy, lambda other, say: _in_order(other, _next(waiting), {}, say)) as apart:
        parts = _in_order(lab, _WITH_TABLES.items(), {}, progress)
        parts |= _in_order(lab, _next(waiting), {}, progress)
        parts |= apart(progress)
    _unforged(parts)
    parts |= _in_order(lab, _LAST.items(), parts, progress)
    return _sum(parts)


def _next(waiting: deque[tuple[str, Channel]]) -> Iterator[tuple[str, Channel]]:
    """Take one after the other for as long as any waits."""
    with suppress(IndexError):
        while True:
            yield waiting.popleft()


def _in_order(
    lab: Lab, channels: Iterable[tuple[str, Channel]], before: Parts, say: Progress
) -> Parts:
    """Run channels one after the other, each with the sum of what was seen before it."""
    seen = _sum(before)
    parts: Parts = {}
    for name, channel in channels:
        say(f"probing {name}")
        started = time.monotonic()
        part = parts[name] = channel(lab, seen)
        part.timings[name] = time.monotonic() - started
        seen.add(part)
    return parts


def _sum(parts: Parts) -> ChannelResult:
    result = ChannelResult()
    for name in _ORDER:
        if name in parts:
            result.add(parts[name])
    return result


def _unforged(parts: Parts) -> None:
    """Leave out of the claims what some channel shows without a forged one."""
    others = _sum({name: part for name, part in parts.items() if name != "claims"})
    parts["claims"].signals = claims.beyond(parts["claims"].signals, others.signals)


# Of the tables, and of what is allowed there -------------------------------------------------


def _tables(lab: Lab, _: ChannelResult) -> ChannelResult:
    found = tables.probe(lab)
    return ChannelResult(found.signals, found.cells, found.not_judged, found.probes, found.allowed)


def _permissions(lab: Lab, seen: ChannelResult) -> ChannelResult:
    signals, cells = permissions.probe(lab, seen.cells, seen.allowed)
    more = [*selves.probe(lab), *reach.probe(lab), *same_team.probe(lab)]
    return ChannelResult([*signals, *more], cells)


def _keys(lab: Lab, seen: ChannelResult) -> ChannelResult:
    return ChannelResult([*oracles.probe(lab, seen.allowed), *refusals.probe(lab, seen.allowed)])


def _notices(lab: Lab, seen: ChannelResult) -> ChannelResult:
    return ChannelResult(notices.probe(lab, seen.allowed))


def _grants(lab: Lab, seen: ChannelResult) -> ChannelResult:
    return ChannelResult([*grants.probe(lab), *credentials.probe(lab, seen.allowed)])


def _records(lab: Lab, seen: ChannelResult) -> ChannelResult:
    return ChannelResult([*records.probe(lab, seen.allowed), *readers.probe(lab)])


def _escalation(lab: Lab, seen: ChannelResult) -> ChannelResult:
    signals = [*escalation.probe(lab, seen.allowed), *own_seat.probe(lab), *signup.probe(lab)]
    signals += domains.probe(lab)
    risen = {s.object for s in signals if s.rule == "escalation.profile"}
    return ChannelResult([*signals, *entitlements.probe(lab, risen)])


def _closed(lab: Lab, seen: ChannelResult) -> ChannelResult:
    signals, left = closed.probe(lab, seen.allowed)
    return ChannelResult(signals, not_judged=left)


def _legitimate(lab: Lab, seen: ChannelResult) -> ChannelResult:
    signals = returning.probe(lab, seen.allowed)
    denials, left = denied.probe(lab, seen.cells, seen.allowed)
    return ChannelResult([*signals, *denials], not_judged=left)


# Apart from them -----------------------------------------------------------------------------


def _shared_rows(lab: Lab, _: ChannelResult) -> ChannelResult:
    return ChannelResult(unowned.probe(lab))


def _views(lab: Lab, _: ChannelResult) -> ChannelResult:
    signals, counts = views.probe(lab)
    more = barriers.probe(lab, {s.object for s in signals})
    return ChannelResult([*signals, *more], probes=Counter(counts))


def _functions(lab: Lab, _: ChannelResult) -> ChannelResult:
    taken, opened = invitations.probe(lab)
    signals, silent = rpc.probe(lab, opened)
    public = set(lab.model.public_functions)
    again, served = retries.probe(lab, {s.object for s in signals} | public, silent)
    told = {s.object for s in (*signals, *again)} | public
    return ChannelResult(
        [
            *taken, *bearers.probe(lab), *signals, *again, *namesakes.probe(lab),
            *dynamic.probe(lab, told), *totals.probe(lab, told), *settings.probe(lab),
        ],
        not_judged=rpc.left([key for key in silent if key not in served]),
    )  # fmt: skip


def _callers(lab: Lab, _: ChannelResult) -> ChannelResult:
    return ChannelResult(callers.probe(lab))


def _storage(lab: Lab, _: ChannelResult) -> ChannelResult:
    signals, left = objects.probe(lab)
    return ChannelResult(signals, not_judged=left)


def _realtime(lab: Lab, _: ChannelResult) -> ChannelResult:
    return ChannelResult(realtime.probe(lab))


def _shares(lab: Lab, _: ChannelResult) -> ChannelResult:
    signals = [*shares.probe(lab), *siblings.probe(lab), *nested.probe(lab)]
    return ChannelResult([*signals, *access.probe(lab), *accounts.probe(lab)])


def _assurance(lab: Lab, _: ChannelResult) -> ChannelResult:
    return ChannelResult(assurance.probe(lab))


def _claims(lab: Lab, _: ChannelResult) -> ChannelResult:
    signals, left = variables.probe(lab)
    return ChannelResult([*claims.probe(lab), *claims.rise(lab), *signals], not_judged=left)


def _reactions(lab: Lab, _: ChannelResult) -> ChannelResult:
    return ChannelResult(reactions.probe(lab))


def _conditions(lab: Lab, _: ChannelResult) -> ChannelResult:
    return ChannelResult(inert.probe(lab))


# Once everything else was seen ---------------------------------------------------------------


def _temporary(lab: Lab, seen: ChannelResult) -> ChannelResult:
    signals, left = shadow.probe(lab, seen.signals)
    return ChannelResult(signals, not_judged=left)


_WITH_TABLES: dict[str, Channel] = {
    "tables": _tables,
    "permissions": _permissions,
    "keys": _keys,
    "notices": _notices,
    "grants": _grants,
    "records": _records,
    "escalation": _escalation,
    "closed tenants": _closed,
    "legitimate access": _legitimate,
}
#: What usually takes longest comes first, so that both laboratories end at about the same time.
_APART: dict[str, Channel] = {
    "functions": _functions,
    "assurance": _assurance,
    "claims": _claims,
    "storage": _storage,
    "shares": _shares,
    "triggers": _reactions,
    "realtime": _realtime,
    "views": _views,
    "shared rows": _shared_rows,
    "callers": _callers,
    "conditions": _conditions,
}
_LAST: dict[str, Channel] = {"temporary tables": _temporary}
#: Of the report, wherever they ran.
_ORDER = (
    "tables", "permissions", "shared rows", "views", "functions", "callers", "keys", "notices",
    "grants", "records", "storage", "triggers", "realtime", "escalation", "shares",
    "closed tenants", "claims", "assurance", "conditions", "temporary tables", "legitimate access",
)  # fmt: skip
