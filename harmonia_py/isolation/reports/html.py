"""One self-contained page: no script from elsewhere, no font, no image, readable offline."""

from __future__ import annotations

from html import escape
from importlib import resources
from string import Template

from harmonia_py.isolation.finding import Coverage, Finding, Report
from harmonia_py.isolation.matrix import matrix

__all__ = ["html"]


def html(report: Report) -> str:
    """Return the page: verdict, findings with their scripts, matrix, coverage."""
    page = Template((resources.files(__package__) / "page.html").read_text(encoding="utf-8"))
    return page.substitute(
        verdict=_verdict(report),
        state="safe" if report.safe else "unsafe",
        summary=escape(_summary(report)),
        findings="".join(_finding(f) for f in (*report.findings, *report.errors))
        or "<p>Nothing was found.</p>",
        matrix=_matrix(report),
        coverage="".join(_coverage(c) for c in report.coverage),
        not_judged="".join(
            f"<li><code>{escape(n.object)}</code>: {escape(n.reason)}</li>"
            for n in report.not_judged
        )
        or "<li>Everything was judged.</li>",
        model=escape(str(report.model.get("toml", ""))),
    )


def _verdict(report: Report) -> str:
    if report.safe:
        return "No tenant reaches another"
    breaches = sum(f.is_breach for f in report.findings)
    if breaches:
        return f"{breaches} isolation breach{'es' if breaches > 1 else ''}"
    if report.findings:
        return f"{len(report.findings)} finding{'s' if len(report.findings) > 1 else ''}"
    return "No verdict: something could not be judged"


def _summary(report: Report) -> str:
    counts: dict[str, int] = {}
    for item in report.coverage:
        counts[item.status] = counts.get(item.status, 0) + 1
    parts = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return (
        f"{report.probes} probes in {report.seconds:.1f} s on PostgreSQL {report.server}; {parts}"
    )


def _finding(finding: Finding) -> str:
    evidence = "".join(f"<li>{escape(line)}</li>" for line in finding.evidence)
    script = (
        f"<details><summary>SQL that shows it</summary><pre tabindex='0'>{escape(finding.script)}"
        "</pre></details>"
        if finding.script
        else ""
    )
    about = " · ".join(
        [finding.id, finding.rule, ", ".join(finding.commands), ", ".join(finding.actors)]
    )
    return (
        f"<article class='finding {escape(finding.severity)}' id='{escape(finding.id)}'>"
        f"<h3><span class='tag'>{escape(finding.severity)}</span> {escape(finding.title)}</h3>"
        f"<p>{escape(finding.why)}</p><ul>{evidence}</ul>"
        f"<p><strong>Fix:</strong> {escape(finding.fix)}</p>{script}"
        f"<p class='id'>{escape(about)}</p></article>"
    )


def _matrix(report: Report) -> str:
    shown = matrix(report)
    heads = "".join(
        f"<th scope='col'>{escape(actor).replace(chr(10), '<br>')}</th>" for actor in shown.actors
    )
    rows = "".join(
        f"<tr><th scope='row'>{escape(table)}</th>"
        + "".join(
            f"<td class='{'breach' if '!' in cell else ''}'>{escape(cell)}</td>" for cell in cells
        )
        + "</tr>"
        for table, cells in shown.rows
    )
    head = f"<thead><tr><th scope='col'>table</th>{heads}</tr></thead>"
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def _coverage(coverage: Coverage) -> str:
    return (
        f"<tr><th scope='row'>{escape(coverage.table)}</th><td>{escape(coverage.status)}</td>"
        f"<td>{coverage.probes}</td><td>{escape(', '.join(coverage.controls))}</td>"
        f"<td>{escape(coverage.reason)}</td></tr>"
    )
