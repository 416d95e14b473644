"""What tenants choose is shown on an operator's terminal, and never obeyed by it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import fix_cli
import pytest
from harmonia_cli.output import stderr, stdout
from rich.console import Console
from rich.table import Table

from harmonia_py.lifecycle import stream

HEADER = {"kind": "backup", "created_at": "2026-01-01T00:00:00+00:00", "database": "crm"}

HOSTILE = "a\x1b]0;title\x07\x1b[2J\x9b1m\r\u202e\u2066 [red]b[/red] [/c] :smile:"
SHOWN = r"a\x1b]0;title\x07\x1b[2J\x9b1m\r\u202e\u2066 [red]b[/red] [/c] :smile:"


@pytest.mark.parametrize("terminal", [stdout, stderr], ids=["stdout", "stderr"])
def test_text_is_text(terminal: Console) -> None:
    with terminal.capture() as printed:
        terminal.print(HOSTILE, "two\nlines", "Zoë 👩‍🚀")
    assert printed.get() == f"{SHOWN} two\nlines Zoë 👩‍🚀\n"


@pytest.mark.parametrize("terminal", [stdout, stderr], ids=["stdout", "stderr"])
def test_a_cell_is_text(terminal: Console) -> None:
    table = Table("name", box=None)
    table.add_row(HOSTILE)
    with terminal.capture() as printed:
        terminal.print(table, width=200)
    assert printed.get().split("\n")[1].strip() == SHOWN


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-8:surrogateescape"])
def test_a_name_the_terminal_has_no_letters_for_is_printed(tmp_path: Path, encoding: str) -> None:
    """It ended with 2, an argument that is no UTF-8, although the work was done."""
    folder = tmp_path / "Zoë 漢"
    folder.mkdir()
    with stream.sealed(folder / "a.hbk", bytes(32), HEADER) as out:
        out.write(b"x")
    arguments = ("backup", "list", "--folder", str(folder))
    done = fix_cli.harmonia(*arguments, env={"PYTHONIOENCODING": encoding})
    code = encoding.partition(":")[0]
    assert "Zoë 漢".encode(code, "backslashreplace") in done.stdout
    assert not done.stderr
    (found,) = fix_cli.answer(*arguments, env={"PYTHONIOENCODING": encoding})
    assert found["path"] == str(folder / "a.hbk")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("backup", "list", "--folder", "/"), 1),
        (("backup", "list", "--folder", "/", "--output", "json"), 1),
        (("backup", "list", "--output", "json"), 2),
        (("nonsense", "--output", "json"), 2),
    ],
)
def test_where_nobody_reads_it_ends(arguments: tuple[str, ...], code: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as out:
        done = subprocess.run(
            fix_cli.command(*arguments),
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (code, b"")
