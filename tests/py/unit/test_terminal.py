"""What tenants choose is shown on an operator's terminal, and never obeyed by it."""

from __future__ import annotations

import pytest
from harmonia_cli.output import stderr, stdout
from rich.console import Console
from rich.table import Table

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
