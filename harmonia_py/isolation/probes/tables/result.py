"""What the table probes found."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from harmonia_py.isolation.finding import Cell, NotJudged, Signal

__all__ = ["COMMANDS", "TableResult", "Verdicts"]

#: What was seen of each (actor, command, own or foreign): "allow", or why not.
Verdicts = defaultdict[tuple[str, str, str], set[str]]
COMMANDS = ("select", "insert", "update", "delete")


@dataclass(slots=True)
class TableResult:
    """What the table channel found: signals, matrix cells and what it could not judge."""

    signals: list[Signal] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    not_judged: list[NotJudged] = field(default_factory=list)
    allowed: dict[tuple[str, str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    probes: Counter[str] = field(default_factory=Counter)
