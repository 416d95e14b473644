"""Moving the times of a row alike, so that what checks say of their order stays true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from harmonia_py.isolation.catalog import Table

__all__ = ["moment", "moved", "times"]


def moment(value: Any) -> datetime | None:
    """Read a time as PostgreSQL writes it into JSON; None for anything else."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def times(table: Table, row: dict[str, Any]) -> dict[str, datetime]:
    """Return the times that a row holds, by column."""
    found = {c.name: moment(row.get(c.name)) for c in table.columns if c.category == "D"}
    return {name: value for name, value in found.items() if value is not None}


def moved(table: Table, row: dict[str, Any], by: timedelta) -> dict[str, Any]:
    """Return the row's times, all moved by as much."""
    return {name: str(value + by) for name, value in times(table, row).items()}
