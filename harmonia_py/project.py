"""Where a project keeps its SQL: the ``supabase`` folder and what its config.toml says."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harmonia_py.errors import FolderMissing, UsageError

__all__ = ["Project", "find", "working_directory"]

_PATTERNS = 'correct it, for example: sql_paths = ["./seed.sql", "./seeds/*.sql"]'


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
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {error.strerror}", hint="check its owner and mode"
            ) from None

    def section(self, *names: str) -> dict[str, Any]:
        """Return a table of config.toml, empty when it is missing. Raises ``UsageError``."""
        found: Any = self.config
        for name in names:
            found = found.get(name, {})
            if not isinstance(found, dict):
                name = ".".join(names)
                raise self._wrong(f"{name} is no table", f"write it as [{name}]")
        return dict(found)

    def seeds(self) -> list[Path]:
        """Return the seed files of ``[db.seed] sql_paths`` (default ``./seed.sql``), in order.

        Raises ``UsageError`` for what is no list of patterns below ``supabase``.
        """
        settings = self.section("db", "seed")
        if settings.get("enabled") is False:
            return []
        patterns = settings.get("sql_paths", ["./seed.sql"])
        if not isinstance(patterns, list) or not all(isinstance(item, str) for item in patterns):
            raise self._wrong("[db.seed] sql_paths is no list of texts", _PATTERNS)
        found: list[Path] = []
        for pattern in patterns:
            found += [path for path in self._matches(pattern) if path not in found]
        return found

    def _matches(self, pattern: str) -> list[Path]:
        try:
            matches = sorted(self.supabase.glob(pattern.removeprefix("./")))
        except (ValueError, IndexError, NotImplementedError):
            raise self._wrong(
                f"[db.seed] sql_paths: {pattern!r} is no pattern of files below {self.supabase}",
                _PATTERNS,
            ) from None
        for path in matches:
            if path.is_dir():
                raise self._wrong(
                    f"[db.seed] sql_paths: {pattern!r} names the folder {path}", _PATTERNS
                )
        return matches

    def _wrong(self, what: str, hint: str) -> UsageError:
        return UsageError(f"{self.supabase / 'config.toml'}: {what}", hint=hint)


def find(supabase_dir: Path | None = None, *, start: Path | None = None) -> Project:
    """Return the project named by ``supabase_dir``, or the one around ``start``.

    Without a name it is the nearest ``supabase`` folder of ``start`` (default: the working
    directory) or of a folder above it. Raises ``FolderMissing``.
    """
    if supabase_dir is not None:
        if not supabase_dir.is_dir():
            raise FolderMissing(f"there is no folder {supabase_dir}")
        return Project(supabase_dir.resolve())
    here = (start or working_directory()).resolve()
    for folder in (here, *here.parents):
        if (folder / "supabase").is_dir():
            return Project(folder / "supabase")
    raise FolderMissing(f"there is no supabase folder in {here} or above it")


def working_directory() -> Path:
    """Return the working directory. Raises ``FolderMissing`` where it was deleted meanwhile."""
    try:
        return Path.cwd()
    except OSError as error:
        raise FolderMissing(
            f"the working directory cannot be read: {error.strerror}",
            hint="change to the project's folder",
        ) from None
