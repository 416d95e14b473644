"""The page of `verify --html` in a real browser."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest
from fix_browser import Browser, Seen

from harmonia_py.isolation import reports
from harmonia_py.isolation.finding import Cell, Coverage, Finding, NotJudged, Report

HOSTILE = (
    "public.\"x'><script>document.title='run'</script><img src=http://evil.test/i onerror="
    "\"document.title='run'\"><style>@import 'http://evil.test/c'</style>"
)


def report() -> Report:
    def finding(number: int) -> Finding:
        return Finding(
            id=Finding.identify("rule", str(number)), rule=HOSTILE, kind="breach",
            severity="critical", title=f"{HOSTILE} {number}", object=HOSTILE, commands=(HOSTILE,),
            actors=(HOSTILE,), evidence=(HOSTILE,), why=HOSTILE, fix=HOSTILE,
            script=f"select 1; -- {HOSTILE}",
        )  # fmt: skip

    return Report(
        findings=tuple(map(finding, range(5))),
        cells=(
            Cell(HOSTILE, "select", HOSTILE, "own", "allow", "allow"),
            Cell(HOSTILE, "delete", HOSTILE, "foreign", "deny", "allow"),
            Cell("public.notes", "select", "A.owner", "own", "allow", "allow"),
        ),
        coverage=(
            Coverage(HOSTILE, "table", "not judged", 0, (), HOSTILE),
            Coverage("public.notes", "table", "proven", 4, ("select",)),
        ),
        not_judged=(NotJudged(HOSTILE, HOSTILE),),
        server="180006",
        model={"toml": HOSTILE},
    )


# Appended to a copy of the page: what a person with a keyboard can reach and open.
WALK = """<script>
const said = {focus: [], open: [], stuck: []};
for (const e of document.querySelectorAll('a[href], summary, [tabindex="0"]')) {
  for (let d = e.closest('details'); d; d = d.parentElement.closest('details')) d.open = true;
  e.focus();
  const name = e.getAttribute('aria-label') || e.textContent.trim().slice(0, 20);
  (document.activeElement === e ? said.focus : said.stuck).push(e.localName + ' ' + name);
}
for (const d of document.querySelectorAll('details')) d.open = false;
for (const s of document.querySelectorAll('summary')) {
  s.click();
  said.open.push(s.parentElement.open && s.nextElementSibling.getClientRects().length > 0);
}
const out = document.createElement('pre');
out.id = 'said';
out.textContent = JSON.stringify(said);
document.body.append(out);
</script>"""


@pytest.fixture(scope="module")
def page() -> str:
    return reports.html(report())


@pytest.fixture(scope="module")
def seen(browser: Browser, page: str, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return browser.open(path)


def test_it_renders_everything(seen: Seen) -> None:
    assert "<title>5 isolation breaches</title>" in seen.dom
    assert re.findall(r"<h2>(.*?)</h2>", seen.dom) == [
        "Findings", "Who can do what", "Coverage", "Tenancy model",
    ]  # fmt: skip
    assert seen.dom.count("<article") == 5
    assert ">notes</th>" in seen.dom and ">public.notes</th>" not in seen.dom
    assert "PostgreSQL 18.6" in seen.dom
    assert "<dt>proven</dt><dd>1</dd>" in seen.dom


def test_hostile_names_are_text(seen: Seen) -> None:
    assert "<script" not in seen.dom and "<img" not in seen.dom
    assert seen.dom.count("<style") == 1
    assert HOSTILE in unescape(seen.dom)


def test_it_asks_nobody_for_anything_and_complains_of_nothing(seen: Seen) -> None:
    assert seen.requests == ()
    assert seen.console == ()


def test_the_eyes_are_open(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(
        "<img src=http://evil.test/i><script>document.title='run';console.error('oh')</script>"
    )
    seen = browser.open(path)
    assert "<title>run</title>" in seen.dom
    assert any("evil.test" in asked for asked in seen.requests)
    assert any("oh" in line for line in seen.console)


def test_a_keyboard_reaches_and_opens_everything(
    browser: Browser, page: str, tmp_path: Path
) -> None:
    path = tmp_path / "walked.html"
    bare = re.sub(r"<meta http-equiv=.Content-Security-Policy.*?>", "", page)
    path.write_text(bare.replace("</body>", WALK + "</body>"), encoding="utf-8")
    dom = browser.open(path).dom
    found = re.search(r'<pre id="said">(.*?)</pre>', dom)
    assert found, dom[-2000:]
    said = json.loads(unescape(found[1]))
    assert said["stuck"] == []
    assert said["open"] == [True] * 6
    assert {"div Matrix", "div Coverage", "a Findings", "a Skip to the findings"} <= set(
        said["focus"]
    )
    for target in re.findall(r"href=[\"']#([^\"']+)", page):
        assert len(re.findall(rf"id=[\"']{target}[\"']", page)) == 1, target
