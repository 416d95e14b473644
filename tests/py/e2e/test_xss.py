"""Payloads written through Python and through PostgREST, read back, and rendered in Chromium."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fix_api import ALDER, OLGA, Api

from harmonia_py.html import ATTRIBUTES, LINK_REL, TAGS, URL_SCHEMES, sanitize

CORPUS = Path(__file__).with_name("xss_corpus.txt")

PAGE = """<!doctype html><meta charset="utf-8"><body><pre id="result"></pre><div id="stage"></div>
<script>
const ran = new Set(), errors = [];
let current = -1;
window.alert = window.confirm = window.prompt = () => { ran.add(current); };
// Handlers may run later than the payload that set them: they say which one they belong to.
const payloads = PAYLOADS;
document.addEventListener("submit", (event) => event.preventDefault(), true);
document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest("a[href]");
  if (link && link.protocol !== "javascript:") event.preventDefault();
}, true);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
(async () => {
  const stage = document.getElementById("stage");
  for (let i = 0; i < payloads.length; i++) {
    current = i;
    // As a single-page application shows it.
    const box = document.createElement("div");
    stage.append(box);
    box.innerHTML = payloads[i];
    // And as a server-rendered page shows it: parsed, so scripts in it would run.
    const frame = document.createElement("iframe");
    const id = i;
    frame.srcdoc = "<!doctype html><script>window.alert = () => parent.hit(" + id
      + ");<\\/script>" + payloads[i];
    stage.append(frame);
    for (const element of box.querySelectorAll("*")) {
      for (const name of ["mouseover", "mouseenter", "pointerover", "focus", "toggle"])
        try { element.dispatchEvent(new Event(name, {bubbles: true})); } catch (e) {}
      if (element.click) try { element.click(); } catch (e) {}
    }
    if (i % 16 === 15) await pause(10);
    setTimeout(() => box.remove(), 50);
  }
  await pause(1500);
  document.getElementById("stage").remove();
  document.getElementById("result").textContent =
    JSON.stringify({ran: [...ran].sort((a, b) => a - b), done: payloads.length});
})();
window.hit = (id) => { ran.add(id); };
</script>"""


def corpus() -> list[str]:
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    payloads = [line for line in lines if line and not line.startswith("# ")]
    return [_decode(line) for line in payloads]


def _decode(line: str) -> str:
    line = line.replace("\\\\", "\x1a")
    line = line.replace("\\n", "\n").replace("\\t", "\t").replace("\\0", "\0")
    line = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match.group(1), 16)), line)
    return line.replace("\x1a", "\\")


def render(payloads: list[str], folder: Path) -> set[int]:
    """Return the indexes of the payloads whose script ran in headless Chromium."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    assert chromium, "the suite needs chromium: apt-get install chromium"
    page = folder / "page.html"
    embedded = json.dumps(payloads).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    page.write_text(PAGE.replace("PAYLOADS", embedded), encoding="utf-8")
    flags = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
        --disable-background-networking --disable-component-update --disable-sync
        --host-resolver-rules=MAP*~NOTFOUND --virtual-time-budget=20000 --dump-dom""".split()
    command = [chromium, *flags, f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    match = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.S)
    assert match and match.group(1), done.stdout[:500]
    result = json.loads(html.unescape(match.group(1)))
    assert result["done"] == len(payloads)
    return set(result["ran"])


class Structure(HTMLParser):
    """Collects what a document consists of."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def assert_as_documented(stored: str) -> None:
    parser = Structure()
    parser.feed(stored)
    for tag, attributes in parser.found:
        assert tag in TAGS, (tag, stored)
        assert set(attributes) <= ATTRIBUTES.get(tag, set()) | {"rel"}, stored
        if tag == "a":
            assert attributes["rel"] == LINK_REL
            href = attributes.get("href")
            assert href is None or href.split(":")[0] in URL_SCHEMES, stored


def note(body_html: str) -> dict[str, str]:
    return {"organization_id": ALDER, "kind": "note", "subject": "x", "body_html": body_html}


def test_the_corpus_is_large_and_its_payloads_do_run_unsanitized(tmp_path: Path) -> None:
    payloads = corpus()
    assert len(set(payloads)) >= 150
    # The positive control: the page and the browser do notice scripts. Left out is what opens a
    # document of its own, whose alert is the browser's and would wait for a person.
    opens = re.compile(
        r"<(?:i?frame|object|embed|portal|form|isindex|fenced|meta|base|dialog)", re.I
    )
    simple = [payload for payload in payloads if not opens.search(payload)]
    assert len(render(simple, tmp_path)) >= 80


def test_nothing_runs_of_what_python_stores(api: Api, tmp_path: Path) -> None:
    payloads = corpus()
    # Together with text around it, as people write.
    written = [sanitize(payload) for payload in payloads]
    written += [sanitize(f"<p>before {payload} after</p>") for payload in payloads]
    with api.client(OLGA) as client:
        answer = client.post(
            "/activities?select=body_html",
            json=[note(value) for value in written],
            headers={"prefer": "return=representation"},
        )
    assert answer.status_code == 201, answer.text
    stored = [row["body_html"] for row in answer.json()]
    assert stored == written
    for value in stored:
        assert_as_documented(value)
    assert render(sorted(set(stored)), tmp_path) == set()


def write_directly(api: Api, payloads: list[str]) -> tuple[list[str], list[str]]:
    """Write payloads past the sanitizer; what is stored of them, and which were refused."""
    stored, refused = [], []
    with api.client(OLGA) as client:
        for payload in payloads:
            answer = client.post(
                "/activities?select=body_html",
                json=note(payload),
                headers={"prefer": "return=representation"},
            )
            if answer.status_code == 201:
                stored.append(answer.json()[0]["body_html"])
            else:
                refused.append(payload)
                assert answer.status_code == 400, answer.text
                # A NUL is no text at all; everything else is refused by the rule itself.
                assert "\0" in payload or "activities_body_html_safe" in answer.text, answer.text
    return stored, refused


def test_postgrest_refuses_what_is_not_sanitized(api: Api, tmp_path: Path) -> None:
    """Written directly, a payload is refused or harmless as it is."""
    stored, refused = write_directly(api, corpus())
    assert len(refused) >= 200
    for value in stored:
        assert_as_documented(value)
    assert render(sorted(set(stored)), tmp_path) == set()


def test_a_rule_that_lets_one_payload_through_is_noticed(api: Api, tmp_path: Path) -> None:
    payload = "<p>a</p><img src=x onerror=alert(1)>"
    assert write_directly(api, [payload]) == ([], [payload])
    with api.database.connect(autocommit=True) as conn:
        row = conn.execute(
            "select pg_get_functiondef('private.is_safe_html(text)'::regprocedure)"
        ).fetchone()
        assert row is not None
        conn.execute(
            "create or replace function private.is_safe_html(p_html text) returns boolean"
            " language sql immutable parallel safe strict set search_path = ''"
            " as $$ select p_html not like '%script%' $$"
        )
        try:
            stored, refused = write_directly(api, [payload, "<script>alert(1)</script>"])
        finally:
            conn.execute(row[0])
    assert (stored, len(refused)) == ([payload], 1)
    with pytest.raises(AssertionError):
        assert_as_documented(payload)
    assert render(["<p>harmless</p>", *stored], tmp_path) == {1}


@pytest.mark.parametrize("column", ["content_html", "summary_html"])
def test_transcripts_have_the_same_rule(api: Api, column: str) -> None:
    with api.client(OLGA) as client:
        call = client.post(
            "/activities?select=id",
            json={"organization_id": ALDER, "kind": "call", "subject": "x"},
            headers={"prefer": "return=representation"},
        ).json()[0]
        row = {"organization_id": ALDER, "activity_id": call["id"], "content_html": "<p>a</p>"}
        bad = client.post("/call_transcripts", json={**row, column: "<p onclick=x>a</p>"})
        assert bad.status_code == 400
        assert f"call_transcripts_{column}_safe" in bad.text
        good = client.post("/call_transcripts", json={**row, column: "<p>a &amp; b</p>"})
        assert good.status_code == 201
