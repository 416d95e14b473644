"""JUnit XML: one test case for each relation, and one for each finding."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from harmonia_py.isolation.finding import Coverage, Finding, Report

__all__ = ["junit"]

# XML 1.0 has no way to write these.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> str:
    """Return a test suite; what could not be judged is skipped, never passed."""
    cases = [_relation(c) for c in report.coverage if not _has_finding(report, c)]
    cases += [_finding(f, "failure") for f in report.findings]
    cases += [_finding(f, "error") for f in report.errors]
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    suite = Xml.Element(
        "testsuite",
        name="harmonia verify",
        tests=str(len(cases)),
        failures=str(len(report.findings)),
        errors=str(len(report.errors)),
        skipped=str(skipped),
        time=f"{report.seconds:.3f}",
    )
    suite.extend(cases)
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, "unicode") + "\n"


def _has_finding(report: Report, coverage: Coverage) -> bool:
    return any(coverage.table in (f.object, *f.members) for f in (*report.findings, *report.errors))


def _relation(coverage: Coverage) -> Xml.Element:
    case = Xml.Element(
        "testcase", classname="isolation", name=f"{coverage.table} is {coverage.status}"
    )
    if coverage.status == "not judged":
        Xml.SubElement(case, "skipped", message=_clean(coverage.reason))
    return case


def _finding(finding: Finding, kind: str) -> Xml.Element:
    case = Xml.Element("testcase", classname=finding.rule, name=_clean(finding.object))
    detail = Xml.SubElement(case, kind, message=_clean(finding.title), type=finding.kind)
    detail.text = _clean(
        "\n".join([*finding.evidence, "", finding.why, finding.fix, "", finding.script])
    )
    return case


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
