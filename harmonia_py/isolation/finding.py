"""What the harness says: cells, findings, coverage and the report that holds them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from harmonia_py.isolation.actors import Actor

__all__ = ["Cell", "Coverage", "Finding", "Kind", "NotJudged", "Report", "Severity", "Signal"]

Severity = Literal["critical", "high", "medium", "low"]
Kind = Literal["breach", "escalation", "oracle", "denied", "error", "exposure"]

_ORDER: dict[str, int] = {"critical": 0, "high": 1, "medium": 2, "low": 3}
_BREACHES = frozenset({"breach", "escalation", "oracle", "exposure"})


@dataclass(frozen=True, slots=True)
class Signal:
    """One observation of one probe that is not as it should be, before grouping.

    ``group`` decides what a person reads as one finding; ``rule`` names the kind of test
    (stable, dotted). ``members`` are the objects a grouped finding lists.
    """

    rule: str
    kind: Kind
    severity: Severity
    actor: str
    object: str
    command: str
    evidence: str
    why: str
    fix: str
    statement: str = ""
    who: Actor | None = None
    tables: tuple[str, ...] = ()
    group: str = ""
    title: str = ""
    pre: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to fix, with all a person needs to see it for themselves.

    ``id`` is stable across runs (a hash of rule, object and group, never of data), so a
    baseline can name it. ``script`` is SQL that reproduces the finding and rolls back.
    """

    id: str
    rule: str
    kind: Kind
    severity: Severity
    title: str
    object: str
    commands: tuple[str, ...]
    actors: tuple[str, ...]
    evidence: tuple[str, ...]
    why: str
    fix: str
    script: str
    members: tuple[str, ...] = ()

    @property
    def is_breach(self) -> bool:
        """Whether the finding lets one tenant reach another (exit 5)."""
        return self.kind in _BREACHES

    @property
    def rank(self) -> tuple[int, int, str, str]:
        """Sort key: the worst first."""
        return (0 if self.is_breach else 1, _ORDER[self.severity], self.object, self.rule)

    @staticmethod
    def identify(rule: str, group: str) -> str:
        """Return the stable id ``HX-xxxxxxxxxx`` of a rule and group."""
        digest = hashlib.sha256(f"{rule}\x00{group}".encode()).hexdigest()
        return f"HX-{digest[:10]}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One actor's one command on one table: what should be, what was seen.

    ``expected`` and ``actual`` are allow or deny; ``expected`` is unknown where the model
    has no say, and ``actual`` is error where no verdict could be had. ``scope`` says whose
    rows: own, foreign, or shared.
    """

    table: str
    command: str
    actor: str
    scope: str
    expected: str
    actual: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the cell is as the model wants it."""
        return self.expected == "unknown" or self.expected == self.actual


@dataclass(frozen=True, slots=True)
class NotJudged:
    """Something the harness saw and gives no verdict on, with the reason."""

    object: str
    reason: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """How one relation was judged: ``status`` is proven, tested, locked or not judged."""

    table: str
    kind: str
    status: str
    probes: int = 0
    controls: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one database; see ``exit_code`` for what CI does with it."""

    findings: tuple[Finding, ...]
    cells: tuple[Cell, ...]
    coverage: tuple[Coverage, ...]
    not_judged: tuple[NotJudged, ...] = ()
    errors: tuple[Finding, ...] = ()
    stand_ins: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    server: str = ""
    seconds: float = 0.0
    probes: int = 0
    timings: Mapping[str, float] = field(default_factory=dict)
    roles: Sequence[str] = ()
    proofs: tuple[Any, ...] = ()

    def exit_code(self, *, strict: bool = False) -> int:
        """Return 5 on a breach, 3 on another finding, 1 when no verdict was possible, else 0."""
        if any(f.is_breach for f in self.findings):
            return 5
        if self.findings or (strict and self.not_judged):
            return 3
        return 1 if self.errors else 0

    @property
    def safe(self) -> bool:
        """Whether nothing at all was found and nothing failed to be judged by error."""
        return not self.findings and not self.errors

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data: the object of ``--output json``."""
        return {
            "safe": self.safe,
            "server": self.server,
            "seconds": round(self.seconds, 3),
            "probes": self.probes,
            "findings": [asdict(f) | {"breach": f.is_breach} for f in self.findings],
            "errors": [asdict(f) for f in self.errors],
            "not_judged": [asdict(n) for n in self.not_judged],
            "coverage": [asdict(c) for c in self.coverage],
            "cells": [asdict(c) for c in self.cells],
            "proofs": [p.as_dict() for p in self.proofs],
            "stand_ins": list(self.stand_ins),
            "timings": {k: round(v, 3) for k, v in self.timings.items()},
            "model": dict(self.model),
        }
