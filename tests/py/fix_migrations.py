"""Small migration folders for tests of the runner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

WriteMigration = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty migrations folder in a project whose path has spaces."""
    path = tmp_path / "my project" / "supabase" / "migrations"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def write(folder: Path) -> WriteMigration:
    """Write ``write("name", "sql", number=1)`` as version 2026010100000<number>."""

    def _write(name: str, text: str, *, number: int = 1) -> Path:
        path = folder / f"202601010000{number:02d}_{name}.sql"
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return _write
