"""The reference says what the code says."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer
from harmonia_cli import options, reference
from harmonia_cli.main import app

import harmonia_py

SHELL = {"|", "||", "&&", ">", "<", "<<<", ";", "&"}
DOCS = Path(__file__).resolve().parents[3] / "docs"


def commands(command: Any, path: str) -> dict[str, Any]:
    if not hasattr(command, "commands"):
        return {path: command}
    found: dict[str, Any] = {}
    for name, child in command.commands.items():
        found |= commands(child, f"{path} {name}")
    return found


def test_the_command_reference_is_current() -> None:
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert page == reference.render(), (
        "run: python -m harmonia_cli.reference > docs/reference/cli.md"
    )


def test_every_command_and_option_explains_itself() -> None:
    every = commands(typer.main.get_command(app), "harmonia")
    page = reference.render()
    assert "harmonia migrate apply" in every
    for path, command in every.items():
        assert re.search(rf"^#+ {re.escape(path)}$", page, re.MULTILINE), path
        assert command.help, f"{path} has no help"
        for item in command.params:
            if item.param_type_name == "option":
                assert item.help, f"{path} {item.opts[0]} has no help"


def test_every_command_has_an_example() -> None:
    bare = [
        path
        for path, command in commands(typer.main.get_command(app), "harmonia").items()
        if not getattr(command, "commands", None) and not reference.examples(command)
    ]
    assert not bare


def test_every_example_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An example is parsed by the command that shows it, up to where the shell takes over."""
    seeded = {"alder": UUID("a0000000-0000-7000-8000-000000000001")}
    monkeypatch.setattr(options, "looked_up", lambda _, name: seeded[name])
    for path, command in commands(typer.main.get_command(app), "harmonia").items():
        for line in reference.examples(command):
            words = shlex.split(line.replace('"$(', " ").replace(')"', " "), comments=True)
            start = next(n for n, word in enumerate(words) if word == "harmonia")
            mine = list(itertools.takewhile(lambda word: word not in SHELL, words[start:]))
            name = path.split()
            assert mine[: len(name)] == name, f"{path}: {line}"
            command.make_context(path, mine[len(name) :])


def test_the_public_names_are_the_documented_ones() -> None:
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- `(?:harmonia_py\.)?(\w+)`", page, re.MULTILINE)
    assert sorted(listed) == sorted(harmonia_py.__all__)
