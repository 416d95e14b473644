"""What the pages on isolation tell people to type exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("how-to/isolation-in-ci.md", "how-to/explain-a-denial.md",
         "explanation/isolation-harness.md", "reference/harmonia-toml.md")  # fmt: skip


def test_the_workflow_on_the_page_is_the_workflow() -> None:
    page = (ROOT / "docs" / PAGES[0]).read_text(encoding="utf-8")
    found = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert found is not None
    assert found[1] == (ROOT / ".github" / "workflows" / "isolation.yml").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_option_and_link_exists(page: str) -> None:
    path = ROOT / "docs" / page
    text = re.sub(r"```(yaml|console)\n.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    known = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")
    known += "".join(f"`--harmonia-{name}`" for name in _plugin_options())
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert {o for o in options if f"`{o}" not in known} == set()
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert (path.parent / link).exists(), link


def _plugin_options() -> list[str]:
    from harmonia_py.pytest_plugin import _SETTINGS

    return [*_SETTINGS, "db-url"]
