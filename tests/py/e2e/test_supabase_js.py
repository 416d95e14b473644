"""supabase-js in Node against PostgREST, and the snippets of the frontend page."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fix_api import ALDER, BIRCH, OLGA, OTTO, ROOT, SECRET, Api, Person

from harmonia_py import tokens
from harmonia_py.postgrest.tools import npm_install, tools_dir

SUPABASE_JS = "@supabase/supabase-js@2.119.1"
#: Of other pages: integrations, webhooks, origins and subscriptions have tests of their own.
OTHER_AREAS = {
    "allowed_origins",
    "integrations",
    "subprocessor_subscriptions",
    "webhook_endpoints",
}
PAGE = ROOT / "docs" / "how-to" / "frontend.md"


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """supabase-js in one exact version; that it cannot be had is a failure."""
    return npm_install(tools_dir(ROOT) / "supabase-js", SUPABASE_JS)


def run(script: str, node_modules: Path, folder: Path, **environment: str) -> str:
    (folder / "node_modules").symlink_to(node_modules)
    path = folder / "script.mjs"
    path.write_text(script, encoding="utf-8")
    node = shutil.which("node")
    assert node, "the suite needs Node.js 20 or newer"
    done = subprocess.run(
        [node, "--experimental-websocket", str(path)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(api: Api, **people: Person) -> dict[str, str]:
    anon = tokens.sign({"role": "anon", "exp": 2_100_000_000}, SECRET)
    return {
        "API_URL": api.url,
        "ANON_KEY": anon,
        **{name: api.token(person) for name, person in people.items()},
    }


def test_every_object_works_for_its_tenant_and_for_nobody_else(
    api: Api, node_modules: Path, tmp_path: Path
) -> None:
    script = Path(__file__).with_name("crm.mjs").read_text(encoding="utf-8")
    settings = environment(api, OWN=OLGA, FOREIGN=OTTO)
    settings["STRONG"] = api.token(OLGA, aal="aal2")
    out = run(script, node_modules, tmp_path, **settings, ORGANIZATION=ALDER, OTHER=BIRCH)
    done = json.loads(out)
    assert done.pop() == "functions"
    # Whatever an organization's members may add, change or delete is among them, but for tenancy.
    with api.database.connect() as conn:
        tables = conn.execute(
            "select relname from pg_catalog.pg_class where relnamespace = 'public'::regnamespace"
            " and relkind = 'r' and has_any_column_privilege('authenticated', oid, 'insert')"
            " and has_table_privilege('authenticated', oid, 'delete')"
        ).fetchall()
    assert {name for (name,) in tables} - set(done) <= OTHER_AREAS


CHECKS = """
import assert from "node:assert/strict"
assert.ok(mayWriteContacts)
assert.equal(companyError, null)
assert.equal(renamed.full_name, "Nadia Novak")
assert.ok(count >= 1)
assert.ok(page.some((row) => row.company?.name === "Northwind Traders"))
assert.ok(found.length >= 1)
assert.equal(field, "email")
assert.equal(note.body_html, "<p>Said <b>yes</b></p>")
assert.equal(script.code, "23514")
assert.equal(fileError, null)
assert.equal(binError, null)
assert.equal(restoreError, null)
console.log("snippets ran")
"""


def test_the_snippets_of_the_frontend_page_run(
    api: Api, node_modules: Path, tmp_path: Path
) -> None:
    blocks = re.findall(r"^```js\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) >= 9
    settings = environment(api, TOKEN=OLGA)
    out = run("\n".join(blocks) + CHECKS, node_modules, tmp_path, **settings)
    assert "snippets ran" in out
