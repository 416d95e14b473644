"""All probe channels in order, and the sum of what they saw."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from harmonia_py.isolation.finding import Cell, NotJudged, Signal
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import tables

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
    started = time.monotonic()
    progress("probing tables")
    found = tables.probe(lab)
    result.signals += found.signals
    result.cells += found.cells
    result.not_judged += found.not_judged
    result.probes += found.probes
    result.allowed = found.allowed
    result.timings["tables"] = time.monotonic() - started
    return result
