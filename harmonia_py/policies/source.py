"""The policy sources: ``supabase/policies/NN_domain.sql``, one complete statement of access."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from harmonia_py.errors import FolderMissing
from harmonia_py.migrations.files import read_sql

__all__ = ["PolicyFile", "read_sources"]


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """One source file; ``sha256`` is over the text with Unix line endings."""

    name: str
    path: Path
    text: str
    sha256: str


def read_sources(folder: Path) -> list[PolicyFile]:
    """Return the policy files of ``folder`` in name order. Raises ``FolderMissing``."""
    if not folder.is_dir():
        raise FolderMissing(f"there is no policies folder {folder}")
    files = sorted(folder.glob("*.sql"), key=lambda path: path.name)
    if not files:
        raise FolderMissing(f"there is no policy file in {folder}")
    return [read_source(path) for path in files]


def read_source(path: Path) -> PolicyFile:
    """Return one policy file."""
    text = read_sql(path).replace("\r\n", "\n").rstrip() + "\n"
    return PolicyFile(path.name, path, text, hashlib.sha256(text.encode()).hexdigest())
