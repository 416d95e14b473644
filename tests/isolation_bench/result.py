"""What one run of one tester on one variant gave, and the tables made of many such runs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """One run. ``signalled``: something new against the clean schema; ``gate``: CI goes red."""

    tool: str
    schema: str
    kind: str
    name: str
    channel: str
    signalled: bool
    gate: bool
    findings: int
    seconds: float
    exit_code: int
    detail: str = ""
    digest: str = ""

    @property
    def id(self) -> str:
        """``schema/kind/name``."""
        return f"{self.schema}/{self.kind}/{self.name}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def save(results: Sequence[Result], path: Path) -> None:
    """Write results where :func:`load` finds them; the file is whole at every moment."""
    text = json.dumps([result.as_dict() for result in results], indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_text(text + "\n", encoding="utf-8")
    os.replace(draft, path)


def load(path: Path) -> list[Result]:
    """Return the results in a file that ``--json`` wrote."""
    return [Result(**item) for item in json.loads(path.read_text(encoding="utf-8"))]


def digest(*texts: str) -> str:
    """Return a short mark of what was run: another text gives another mark."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def ratio(results: Sequence[Result], judge: Callable[[Result], bool]) -> str:
    """Return ``n of m`` for the results that ``judge`` accepts."""
    return f"{sum(map(judge, results))} of {len(results)}"


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return ``median (max)`` of ``values``, or a dash."""
    if not values:
        return "-"
    return f"{median(values):.{digits}f} ({max(values):.{digits}f})"
