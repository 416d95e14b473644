"""One self-contained page: no script from elsewhere, no font, no image, readable offline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources
from string import Template

from harmonia_py.isolation.finding import Coverage, Finding, Report
from harmonia_py.isolation.matrix import matrix

__all__ = ["html"]


def html(report: Report) -> str:
    """Return the page: verdict, findings with their scripts, matrix, coverage."""
    page = Template((resources.files(__package__) / "page.html").read_text(encoding="utf-8"))
    found = (*report.findings, *report.errors)
    return page.substitute(
        verdict=_verdict(report),
        state="safe" if report.safe else "unsafe",
        summary=escape(_summary(report)),
        counts=_counts(report),
        contents=_contents(found) if len(found) > 3 else "",
        findings="".join(map(_finding, found)) or "<p>Nothing was found.</p>",
        matrix=_matrix(report),
        coverage="".join(_coverage(c) for c in report.coverage),
        not_judged="".join(
            f"<li><code>{escape(_short(n.object))}</code>: {escape(n.reason)}</li>"
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
    version = report.server
    if version.isdigit():
        version = f"{int(version) // 10000}.{int(version) % 10000}"
    return f"{report.probes:,} probes in {report.seconds:.1f} s on PostgreSQL {version}"


def _counts(report: Report) -> str:
    counts = dict.fromkeys(("proven", "tested", "locked", "not judged"), 0)
    for item in report.coverage:
        counts[item.status] = counts.get(item.status, 0) + 1
    return "".join(
        f"<div><dt>{escape(state)}</dt><dd>{count}</dd></div>" for state, count in counts.items()
    )


def _contents(found: Sequence[Finding]) -> str:
    items = "".join(
        f"<li><a href='#{escape(f.id)}'>{escape(_short(f.title))}</a> {escape(f.severity)}</li>"
        for f in found
    )
    return f"<ol class='contents'>{items}</ol>"


def _short(name: str) -> str:
    return name.removeprefix("public.")


def _finding(finding: Finding) -> str:
    evidence = "".join(f"<li><code>{escape(line)}</code></li>" for line in finding.evidence)
    script = (
        f"<details><summary>SQL that shows it</summary><pre tabindex='0'>{escape(finding.script)}"
        "</pre></details>"
        if finding.script
        else ""
    )
    title = escape(_short(finding.title))
    about = " · ".join(
        [finding.id, finding.rule, ", ".join(finding.commands), ", ".join(finding.actors)]
    )
    return (
        f"<article class='finding {escape(finding.severity)}' id='{escape(finding.id)}'>"
        f"<h3><span class='tag'>{escape(finding.severity)}</span> {title}</h3>"
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
        f"<tr><th scope='row'>{escape(_short(table))}</th>"
        + "".join(f"<td class='{_class(cell)}'>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for table, cells in shown.rows
    )
    head = f"<thead><tr><th scope='col'>table</th>{heads}</tr></thead>"
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def _class(cell: str) -> str:
    return "breach" if "!" in cell else "nothing" if cell == "-" else "can"


def _coverage(coverage: Coverage) -> str:
    return (
        f"<tr><th scope='row'>{escape(_short(coverage.table))}</th>"
        f"<td class='{escape(coverage.status.replace(' ', '-'))}'>{escape(coverage.status)}</td>"
        f"<td>{coverage.probes}</td><td>{escape(', '.join(coverage.controls))}</td>"
        f"<td>{escape(coverage.reason)}</td></tr>"
    )
