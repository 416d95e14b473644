"""SARIF 2.1.0 (OASIS), as code-scanning services read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from harmonia_py import __version__
from harmonia_py.isolation.finding import Finding, Report
from harmonia_py.isolation.verdict.places import locate

__all__ = ["sarif"]

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
#: What GitHub sorts security results by: 9.0 and above is critical.
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.0", "low": "2.0"}


def sarif(report: Report, places: Mapping[str, tuple[str, int]] | None = None) -> str:
    """Return one SARIF run. ``places`` maps an object to the file and line that define it.

    A finding whose object has no place is still a result, located by its name alone.
    """
    found = [*report.findings, *report.errors]
    rules = {f.rule: f for f in found}
    run = {
        "tool": {
            "driver": {
                "name": "harmonia verify",
                "version": __version__,
                "rules": [_rule(f) for _, f in sorted(rules.items())],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not report.errors,
                "exitCode": report.exit_code(),
            }
        ],
        "results": [_result(f, places or {}) for f in found],
    }
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.rule,
        "shortDescription": {"text": finding.why or finding.title},
        "help": {"text": finding.fix or "See the evidence of the result."},
        "properties": {
            "tags": ["security", "row-level-security"],
            "security-severity": _SCORES[finding.severity],
        },
    }


def _result(finding: Finding, places: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": finding.object, "kind": "object"}]
    }
    place = locate(places, finding.object)
    if place is not None:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": quote(place[0]), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": place[1]},
        }
    lines = [finding.title, *finding.evidence]
    return {
        "ruleId": finding.rule,
        "level": "error" if finding.is_breach else _LEVELS[finding.severity],
        "message": {"text": "\n".join(lines)},
        "locations": [location],
        "partialFingerprints": {"harmonia/v1": finding.id},
        "properties": {
            "kind": finding.kind,
            "commands": list(finding.commands),
            "actors": list(finding.actors),
            "script": finding.script,
        },
    }
