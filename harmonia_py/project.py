"""Where a project keeps its SQL: the ``supabase`` folder and what its config.toml says."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harmonia_py.errors import FolderMissing, UsageError

__all__ = ["Project", "find"]


@dataclass(frozen=True, slots=True)
class Project:
    """The folders below ``supabase``; none of them is required to exist."""

    supabase: Path

    @property
    def root(self) -> Path:
        """Return the folder that holds ``supabase``."""
        return self.supabase.parent

    @property
    def migrations(self) -> Path:
        """Return the folder of the versioned migrations."""
        return self.supabase / "migrations"

    @property
    def policies(self) -> Path:
        """Return the folder of the policy sources."""
        return self.supabase / "policies"

    @property
    def config(self) -> dict[str, Any]:
        """Return config.toml, empty when there is none."""
        path = self.supabase / "config.toml"
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not valid TOML: {error}", hint="correct it") from None

    def seeds(self) -> list[Path]:
        """Return the seed files of ``[db.seed] sql_paths`` (default ``./seed.sql``), in order."""
        settings = self.config.get("db", {}).get("seed", {})
        if settings.get("enabled") is False:
            return []
        found: list[Path] = []
        for pattern in settings.get("sql_paths", ["./seed.sql"]):
            matches = sorted(self.supabase.glob(pattern.removeprefix("./")))
            found += [path for path in matches if path not in found]
        return found


def find(supabase_dir: Path | None = None, *, start: Path | None = None) -> Project:
    """Return the project named by ``supabase_dir``, or the one around ``start``.

    Without a name it is the nearest ``supabase`` folder of ``start`` (default: the working
    directory) or of a folder above it. Raises ``FolderMissing``.
    """
    if supabase_dir is not None:
        if not supabase_dir.is_dir():
            raise FolderMissing(f"there is no folder {supabase_dir}")
        return Project(supabase_dir.resolve())
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "supabase").is_dir():
            return Project(folder / "supabase")
    raise FolderMissing(f"there is no supabase folder in {here} or above it")
