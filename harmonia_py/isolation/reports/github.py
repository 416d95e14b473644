"""Workflow commands: annotations on the lines of a pull request."""

from __future__ import annotations

from collections.abc import Mapping

from harmonia_py.isolation.finding import Finding, Report
from harmonia_py.isolation.verdict.places import locate

__all__ = ["github"]


def github(report: Report, places: Mapping[str, tuple[str, int]] | None = None) -> str:
    """Return one line for each finding; breaches and failures to judge are errors."""
    lines = [_line(f, places or {}) for f in (*report.findings, *report.errors)]
    lines += [
        f"::warning title=not judged::{_data(f'{n.object}: {n.reason}')}" for n in report.not_judged
    ]
    return "".join(line + "\n" for line in lines)


def _line(finding: Finding, places: Mapping[str, tuple[str, int]]) -> str:
    level = "error" if finding.is_breach or finding.kind == "error" else "warning"
    where = ""
    place = locate(places, finding.object)
    if place is not None:
        where = f"file={_property(place[0])},line={place[1]},"
    text = "\n".join([finding.why, *finding.evidence[:3], finding.fix])
    return f"::{level} {where}title={_property(finding.title)}::{_data(text)}"


def _data(text: str) -> str:
    # A value could otherwise end the command and begin another one.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
