"""Named SQL: one ``.sql`` file per package, read once."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

__all__ = ["queries"]

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def queries(package: str) -> dict[str, bytes]:
    """Return the statements of ``package/sql/queries.sql`` by name."""
    text = resources.files(package).joinpath("sql", "queries.sql").read_text("utf-8")
    parts = _NAME.split(text)
    return {
        name: body.strip().removesuffix(";").encode()
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }
