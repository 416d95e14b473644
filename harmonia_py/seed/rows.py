"""The rows of generated tenants, column by column and the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import TypeVar

from harmonia_py.seed import vocabulary as words

__all__ = ["COLUMNS", "NULL", "Row", "Rows", "Tenant", "uuids"]

Row = tuple[str, ...]
T = TypeVar("T")

#: How COPY's text format writes NULL.
NULL = r"\N"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_MILLISECONDS = int(EPOCH.timestamp() * 1000)
_DAYS = [f"{EPOCH + timedelta(days=n):%Y-%m-%d}" for n in range(300)]
_TIMES = [f"{n // 60:02}:{n % 60:02}:{n * 7 % 60:02}+00" for n in range(24 * 60)]


@dataclass(frozen=True, slots=True)
class Tenant:
    """One organization to fill; ``stages`` are pairs of id and kind."""

    id: str
    members: tuple[str, ...]
    pipeline: str
    stages: tuple[tuple[str, str], ...]
    index: int


COLUMNS = {
    "companies": (
    "organization_id", "id", "name", "status", "domain", "website_url", "industry", "city",
    "country", "owner_id", "created_at",
),
    "contacts": (
    "organization_id", "id", "company_id", "first_name", "last_name", "email", "phone",
    "job_title", "status", "source", "city", "country", "owner_id", "created_at",
),
    "deals": (
    "organization_id", "id", "pipeline_id", "stage_id", "company_id", "name", "status",
    "amount_minor", "currency", "expected_close_on", "closed_at", "owner_id", "created_at",
),
    "activities": (
    "organization_id", "id", "kind", "subject", "due_at", "contact_id", "owner_id", "created_at",
    ),
}  # fmt: skip


class Rows:
    """The rows of one organization, each table from its own random stream, column by column."""

    def __init__(self, seed: int, tenant: Tenant, counts: dict[str, int]) -> None:
        """Take how many rows of each table this organization gets."""
        self._tenant = tenant
        self._rng = random.Random(seed * 1_000_003 + tenant.index)  # noqa: S311
        self._companies, self._contacts = counts["companies"], counts["contacts"]
        self._deals, self._activities = counts["deals"], counts["activities"]
        self._company_ids = uuids(self._rng, self._companies)
        self._contact_ids = uuids(self._rng, self._contacts)

    def companies(self) -> Iterator[Row]:
        """Yield the companies."""
        count = self._companies
        names = [
            f"{first} {last} {n}"
            for n, first, last in zip(
                range(1, count + 1),
                self._pick(words.COMPANY_FIRST, count),
                self._pick(words.COMPANY_LAST, count),
                strict=True,
            )
        ]
        domains = [name.lower().replace(" ", "-") + ".example" for name in names]
        return zip(
            repeat(self._tenant.id, count),
            self._company_ids,
            names,
            self._pick(words.COMPANY_STATUSES, count),
            domains,
            [f"https://{domain}/" for domain in domains],
            self._pick(words.INDUSTRIES, count),
            self._pick(words.CITIES, count),
            self._pick(words.COUNTRIES, count),
            self._pick(self._tenant.members, count),
            self._when(count),
            strict=True,
        )

    def contacts(self) -> Iterator[Row]:
        """Yield the contacts; four in five work for a company."""
        count = self._contacts
        first = self._pick(words.FIRST_NAMES, count)
        last = self._pick(words.LAST_NAMES, count)
        return zip(
            repeat(self._tenant.id, count),
            self._contact_ids,
            self._perhaps(self._company_ids, count),
            first,
            last,
            [
                f"{a}.{b}.{n}@mail.example".lower()
                for n, a, b in zip(range(1, count + 1), first, last, strict=True)
            ],
            [f"+49{number}" for number in self._numbers(10**9, 10**10, count)],
            self._pick(words.JOB_TITLES, count),
            self._pick(words.CONTACT_STATUSES, count),
            self._pick(words.SOURCES, count),
            self._pick(words.CITIES, count),
            self._pick(words.COUNTRIES, count),
            self._pick(self._tenant.members, count),
            self._when(count),
            strict=True,
        )

    def deals(self) -> Iterator[Row]:
        """Yield the deals, spread over the stages of the pipeline."""
        count, tenant = self._deals, self._tenant
        stages = self._pick(tenant.stages, count)
        created = self._when(count)
        return zip(
            repeat(tenant.id, count),
            uuids(self._rng, count),
            repeat(tenant.pipeline, count),
            [stage for stage, _ in stages],
            self._perhaps(self._company_ids, count),
            [f"{name} {n}" for n, name in enumerate(self._pick(words.DEAL_NAMES, count), start=1)],
            [kind for _, kind in stages],
            [f"{number}00" for number in self._numbers(1, 500_000, count)],
            repeat("EUR", count),
            [when[:10] for when in created],
            [
                NULL if kind == "open" else when
                for (_, kind), when in zip(stages, created, strict=True)
            ],
            self._pick(tenant.members, count),
            created,
            strict=True,
        )

    def activities(self) -> Iterator[Row]:
        """Yield tasks, calls, meetings and notes about contacts."""
        count = self._activities
        return zip(
            repeat(self._tenant.id, count),
            uuids(self._rng, count),
            self._pick(("task", "call", "meeting", "note"), count),
            self._pick(words.SUBJECTS, count),
            self._when(count),
            self._perhaps(self._contact_ids, count),
            self._pick(self._tenant.members, count),
            self._when(count),
            strict=True,
        )

    def _pick(self, choices: Sequence[T], count: int) -> list[T]:
        return self._rng.choices(choices, k=count)

    def _perhaps(self, keys: Sequence[str], count: int) -> list[str]:
        if not keys:
            return [NULL] * count
        chosen = self._rng.choices(keys, k=count)
        chosen[::5] = [NULL] * len(chosen[::5])
        return chosen

    def _numbers(self, low: int, high: int, count: int) -> list[int]:
        span, uniform = high - low, self._rng.random
        return [low + int(uniform() * span) for _ in range(count)]

    def _when(self, count: int) -> list[str]:
        return [
            f"{day} {clock}"
            for day, clock in zip(self._pick(_DAYS, count), self._pick(_TIMES, count), strict=True)
        ]


def uuids(rng: random.Random, count: int) -> list[str]:
    """Return version 7 UUIDs whose time rises with their place."""
    # Version 7 of RFC 9562: the time rises with the index, as it would have in real use.
    bits = rng.getrandbits
    return [
        f"{n >> 16:08x}-{n & 0xFFFF:04x}-7{a >> 64:03x}-{0x8000 | a >> 48 & 0x3FFF:04x}"
        f"-{a & 0xFFFFFFFFFFFF:012x}"
        for n, a in ((_MILLISECONDS + index, bits(76)) for index in range(count))
    ]
