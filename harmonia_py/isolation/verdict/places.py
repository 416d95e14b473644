"""Where in the project's files an object is defined, so that a report can point at a line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["locate", "places"]

_DEFINES = re.compile(
    r"^\s*create\s+(?:or\s+replace\s+)?(?:materialized\s+view|unlogged\s+table|table|view|function"
    r"|procedure|policy\s+\S+\s+on)\s+(?:if\s+not\s+exists\s+)?"
    r"(?P<name>(?:\"[^\"]+\"|[\w$]+)(?:\s*\.\s*(?:\"[^\"]+\"|[\w$]+))?)",
    re.IGNORECASE | re.MULTILINE,
)


def places(root: Path, files: Iterable[Path]) -> dict[str, tuple[str, int]]:
    """Map qualified names to file (relative to ``root``) and line; the last definition wins."""
    found: dict[str, tuple[str, int]] = {}
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        for match in _DEFINES.finditer(text):
            name = re.sub(r"\s*\.\s*", ".", match["name"]).replace('"', "")
            key = name if "." in name else f"public.{name}"
            line = text.count("\n", 0, match.start("name")) + 1
            found[key] = (path.relative_to(root).as_posix(), line)
    return found


def locate(known: Mapping[str, tuple[str, int]], name: str) -> tuple[str, int] | None:
    """Return the place of an object; functions are known by name, without their arguments."""
    return known.get(name) or known.get(name.partition("(")[0])
