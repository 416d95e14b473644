"""Accepted findings: by id, with a reason and a day on which the acceptance ends.

::

    [[accept]]
    id = "HX-0123456789"
    reason = "the slug is public by design"
    until = 2027-01-31
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from harmonia_py.errors import BaselineError
from harmonia_py.isolation import toml_file
from harmonia_py.isolation.finding import Finding, Report

__all__ = ["Acceptance", "Baseline", "load_baseline"]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One finding that somebody decided to live with until a day."""

    id: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a file accepts; ``apply`` returns the report without it."""

    accepted: Mapping[str, Acceptance]

    def apply(self, report: Report, *, today: date) -> tuple[Report, list[str]]:
        """Return the report without accepted findings, and remarks on the file.

        An acceptance that has run out accepts nothing; one that matches nothing is named, so
        that the file does not outlive what it was written for. Errors cannot be accepted:
        nobody can decide to live with what is not known.
        """
        kept = tuple(f for f in report.findings if not self._covers(f, today))
        present = {f.id for f in report.findings}
        remarks = [
            f"{a.id} ran out on {a.until}" if a.until < today else f"{a.id} matches no finding"
            for a in self.accepted.values()
            if a.until < today or a.id not in present
        ]
        return replace(report, findings=kept), remarks

    def _covers(self, finding: Finding, today: date) -> bool:
        accepted = self.accepted.get(finding.id)
        return accepted is not None and accepted.until >= today


def load_baseline(path: Path) -> Baseline:
    """Read a baseline; raises BaselineError naming the entry that is wrong."""
    entries = toml_file.read(path, BaselineError).get("accept", [])
    if not isinstance(entries, list):
        raise BaselineError(f"{path.name}: accept must be a list of tables ([[accept]])")
    found = [_entry(path.name, n, entry) for n, entry in enumerate(entries, start=1)]
    return Baseline({a.id: a for a in found})


def _entry(name: str, number: int, entry: Any) -> Acceptance:
    where = f"{name}: accept[{number}]"
    if not isinstance(entry, dict):
        raise BaselineError(f"{where} must be a table")
    for key in ("id", "reason"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise BaselineError(f"{where} needs {key}, a text")
    if type(entry.get("until")) is not date:
        raise BaselineError(f"{where} needs until, a day such as 2027-01-31")
    return Acceptance(entry["id"], entry["reason"], entry["until"])
