"""All probe channels in order, and the sum of what they saw."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from harmonia_py.isolation.finding import Cell, NotJudged, Signal
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import (
    accounts,
    assurance,
    barriers,
    callers,
    claims,
    closed,
    common,
    credentials,
    denied,
    dynamic,
    entitlements,
    escalation,
    grants,
    inert,
    invitations,
    namesakes,
    nested,
    notices,
    oracles,
    own_seat,
    permissions,
    reach,
    readers,
    realtime,
    records,
    refusals,
    returning,
    rpc,
    selves,
    settings,
    shadow,
    shares,
    signup,
    storage,
    tables,
    tickets,
    totals,
    views,
)

__all__ = ["ChannelResult", "run"]


@dataclass(slots=True)
class ChannelResult:
    """The signals, cells and counts of every channel together."""

    signals: list[Signal] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    not_judged: list[NotJudged] = field(default_factory=list)
    probes: Counter[str] = field(default_factory=Counter)
    allowed: dict[tuple[str, str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    timings: dict[str, float] = field(default_factory=dict)


def run(lab: Lab, *, progress: Callable[[str], None]) -> ChannelResult:
    """Run each channel; one that finds nothing to do costs nothing."""
    result = ChannelResult()
    timer = _Timer(result, progress)
    with timer("tables"):
        found = tables.probe(lab)
        result.signals += found.signals
        result.cells += found.cells
        result.not_judged += found.not_judged
        result.probes += found.probes
        result.allowed = found.allowed
    with timer("permissions"):
        signals, result.cells = permissions.probe(lab, result.cells, result.allowed)
        result.signals += signals
        result.signals += selves.probe(lab)
        result.signals += reach.probe(lab)
    with timer("shared rows"):
        result.signals += common.probe(lab)
    with timer("views"):
        signals, counts = views.probe(lab)
        result.signals += signals
        result.probes.update(counts)
        result.signals += barriers.probe(lab, {s.object for s in signals})
    with timer("functions"):
        taken, opened = invitations.probe(lab)
        signals, skipped = rpc.probe(lab, opened)
        result.signals += taken + signals + namesakes.probe(lab)
        result.not_judged += skipped
        told = {s.object for s in signals} | set(lab.model.public_functions)
        result.signals += dynamic.probe(lab, told)
        result.signals += totals.probe(lab, told)
        result.signals += settings.probe(lab)
    with timer("callers"):
        result.signals += callers.probe(lab)
    with timer("keys"):
        result.signals += oracles.probe(lab, result.allowed)
        result.signals += refusals.probe(lab, result.allowed)
    with timer("notices"):
        result.signals += notices.probe(lab, result.allowed)
    with timer("grants"):
        result.signals += grants.probe(lab)
        result.signals += credentials.probe(lab, result.allowed)
    with timer("records"):
        result.signals += records.probe(lab, result.allowed)
        result.signals += readers.probe(lab)
    with timer("storage"):
        signals, left = storage.probe(lab)
        result.signals += signals
        result.not_judged += left
    with timer("realtime"):
        result.signals += realtime.probe(lab)
    with timer("escalation"):
        result.signals += escalation.probe(lab, result.allowed)
        result.signals += own_seat.probe(lab)
        result.signals += signup.probe(lab)
        risen = {s.object for s in result.signals if s.rule == "escalation.profile"}
        result.signals += entitlements.probe(lab, risen)
    with timer("shares"):
        result.signals += shares.probe(lab)
        result.signals += nested.probe(lab)
        result.signals += tickets.probe(lab)
        result.signals += accounts.probe(lab)
    with timer("closed tenants"):
        signals, left = closed.probe(lab, result.allowed)
        result.signals += signals
        result.not_judged += left
    with timer("claims"):
        result.signals += claims.probe(lab, result.signals)
        result.signals += claims.rise(lab)
        result.signals += assurance.probe(lab)
    with timer("conditions"):
        result.signals += inert.probe(lab)
    with timer("temporary tables"):
        signals, left = shadow.probe(lab, result.signals)
        result.signals += signals
        result.not_judged += left
    with timer("legitimate access"):
        result.signals += returning.probe(lab, result.allowed)
        signals, left = denied.probe(lab, result.cells, result.allowed)
        result.signals += signals
        result.not_judged += left
    return result


class _Timer:
    """Tell what runs and how long it took, in seconds."""

    def __init__(self, result: ChannelResult, progress: Callable[[str], None]) -> None:
        self.result = result
        self.progress = progress

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.progress(f"probing {name}")
        started = time.monotonic()
        yield
        self.result.timings[name] = time.monotonic() - started
