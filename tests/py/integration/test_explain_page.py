"""The page on `policies explain` shows what the command really prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from fix_database import ROOT
from harmonia_cli.main import app
from typer.testing import CliRunner

from harmonia_py.engines import Database

PAGE = ROOT / "docs" / "how-to" / "explain-a-denial.md"
_BLOCK = re.compile(r"```console\n\$ (harmonia [^\n]*)\n.*?```", re.DOTALL)


def rendered(database: Database, page: Path = PAGE) -> str:
    """Return the page with the output of each command as it is now."""
    text = page.read_text(encoding="utf-8")
    schema = re.search(r"```sql\n(.*?)```", text, re.DOTALL)
    assert schema is not None
    with database.connect() as conn:
        conn.execute(schema[1].encode())
    return _BLOCK.sub(lambda m: f"```console\n$ {m[1]}\n{_output(m[1])}```", text)


def _output(line: str) -> str:
    done = CliRunner().invoke(app, shlex.split(line)[1:])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_page_is_real(plain_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", plain_database.owner_dsn)
    assert len(_BLOCK.findall(PAGE.read_text(encoding="utf-8"))) == 5
    assert rendered(plain_database) == PAGE.read_text(encoding="utf-8")
