"""One page of a list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from harmonia_py.client.models import Record

__all__ = ["Page"]

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """``items`` of a list from ``offset``; ``total`` only when it was asked for."""

    items: list[R]
    offset: int
    total: int | None = None

    def __iter__(self) -> Iterator[R]:
        """Iterate over the items."""
        return iter(self.items)

    def __len__(self) -> int:
        """Return how many items the page has."""
        return len(self.items)
