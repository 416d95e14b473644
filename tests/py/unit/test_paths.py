"""What every option and argument that takes a path makes of an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer
from fix_cli import harmonia
from harmonia_cli import options
from harmonia_cli.main import app

from harmonia_py.secrets import masterkey


def paths(tree: typer.Typer, name: str = "harmonia") -> Iterator[tuple[str, Any]]:
    """Yield whatever takes a path: the command with its name, and what is said of it."""
    for group in tree.registered_groups:
        assert group.typer_instance is not None
        yield from paths(group.typer_instance, f"{name} {group.name}")
    for command in tree.registered_commands:
        assert command.callback is not None
        for parameter, hint in get_type_hints(command.callback, include_extras=True).items():
            if "Path" in str(hint) and (given := get_args(hint)):
                yield f"{name} {command.callback.__name__} {parameter}", given[-1]


def test_whatever_takes_a_path_is_read_by_one_function() -> None:
    found = dict(paths(app))
    assert len(found) > 25 and "harmonia organization export out" in found
    assert {name for name, info in found.items() if info.parser is not options.path} == set()


@pytest.mark.parametrize(
    "words", [("backup", "list", "--folder"), ("organization", "import", "--yes")]
)
def test_an_empty_one_is_never_the_current_folder(words: tuple[str, ...]) -> None:
    """As an option and as an argument."""
    said = harmonia(*words, "", code=2).story
    assert "the path is empty" in said and f"see `harmonia {words[0]} {words[1]} --help`" in said


def test_the_current_folder_can_be_named(tmp_path: Path) -> None:
    assert "no backups" in harmonia("backup", "list", "--folder", ".", cwd=tmp_path).text


@pytest.mark.parametrize(
    "words",
    [
        ("backup", "list", "--folder"),
        ("backup", "verify", "--key", "env:KEY"),
        ("organization", "import", "--db-url", "postgresql://127.0.0.1:1/none"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_one_that_cannot_be_is_named(words: tuple[str, ...]) -> None:
    """It was an unexpected OSError."""
    key = masterkey.text(masterkey.generate())
    done = harmonia(*words, "a" * 300, env={"KEY": key}, code=1)
    assert f"cannot use {'a' * 300}" in done.story and "File name too long" in done.story


def test_a_model_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "supabase" / "migrations").mkdir(parents=True)
    said = harmonia("verify", "--model", "model.toml", cwd=tmp_path, code=2).story
    assert "model.toml is not UTF-8 text" in said


@pytest.mark.parametrize(
    ("option", "code"), [("--model", "isolation.model"), ("--baseline", "isolation.baseline")]
)
def test_a_file_without_end_is_not_read_to_it(tmp_path: Path, option: str, code: str) -> None:
    (tmp_path / "supabase" / "migrations").mkdir(parents=True)
    done = harmonia("verify", option, "/dev/zero", "--output", "json", cwd=tmp_path, code=2)
    assert done.answer["code"] == code
    assert "more than 16 MiB" in done.answer["message"]
    assert "give the path" in done.answer["hint"]


def test_accepted_findings_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "supabase" / "migrations").mkdir(parents=True)
    said = harmonia("verify", "--baseline", "gone.toml", cwd=tmp_path, code=2).story
    assert "gone.toml cannot be read: No such file or directory" in said
    assert "give the path of a TOML file" in said
