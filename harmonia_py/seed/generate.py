"""Large, realistic tenants, written with COPY and the same for the same seed.

Every row goes through the constraints, foreign keys and triggers that a client's row goes
through; nothing is switched off. What is generated is spread evenly over the organizations.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import sql

from harmonia_py.errors import UsageError
from harmonia_py.seed import vocabulary as words

__all__ = ["GeneratePlan", "GenerateReport", "generate"]

Progress = Callable[[int, int], None]
Row = tuple[str, ...]

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_NULL = r"\N"
_BLOCK = 2000  # rows a COPY message holds: large enough to amortize, small enough to show progress
_ROLES = ("owner", "admin", "manager", "member", "viewer")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratePlan:
    """How much to make: totals over all organizations, and members per organization."""

    organizations: int
    contacts: int
    companies: int
    deals: int
    activities: int
    members: int = 5
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        if self.organizations < 1 or self.members < 1:
            raise UsageError("at least one organization with one member is needed")
        if min(self.contacts, self.companies, self.deals, self.activities) < 0:
            raise UsageError("a number of rows cannot be negative")

    @property
    def rows(self) -> int:
        """Rows of the CRM tables that will be written."""
        return self.contacts + self.companies + self.deals + self.activities


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateReport:
    """What was written: rows by table, and the seconds it took."""

    rows: dict[str, int]
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """All rows over all seconds, server and client work included."""
        return sum(self.rows.values()) / self.seconds


@dataclass(frozen=True, slots=True)
class _Tenant:
    id: str
    members: tuple[str, ...]
    pipeline: str
    stages: tuple[tuple[str, str], ...]  # id, kind
    index: int


def generate(
    dsn: str,
    plan: GeneratePlan,
    *,
    on_progress: Progress | None = None,
    connections: int = 2,
) -> GenerateReport:
    """Write the tenants of ``plan`` through ``connections`` parallel COPY streams.

    The organizations and their members are committed first; each stream then commits its share
    of the organizations whole, so an interrupted run leaves no half-filled organization.

    Raises ``UsageError`` when the same seed was generated before.
    """
    started = time.monotonic()
    with psycopg.connect(dsn) as connection:
        tenants = _tenants(connection, plan)
    counter = _Counter(plan.rows, on_progress)
    shares = [tenants[n::connections] for n in range(connections)]
    with ThreadPoolExecutor(connections) as pool:
        written = list(pool.map(lambda share: _fill(dsn, plan, share, counter), shares))
    with psycopg.connect(dsn, autocommit=True) as connection:
        # Fresh statistics and visibility maps: what a database that grew this large has.
        for table in ("contacts", "companies", "deals", "activities", "memberships"):
            connection.execute(sql.SQL("vacuum analyze {}").format(sql.Identifier("public", table)))
    totals = {"organizations": len(tenants), "memberships": sum(len(t.members) for t in tenants)}
    for part in written:
        for table, count in part.items():
            totals[table] = totals.get(table, 0) + count
    return GenerateReport(rows=totals, seconds=time.monotonic() - started)


class _Counter:
    def __init__(self, total: int, on_progress: Progress | None) -> None:
        self._total, self._done, self._tell = total, 0, on_progress

    def add(self, rows: int) -> None:
        self._done += rows
        if self._tell is not None:
            self._tell(self._done, self._total)


def _tenants(connection: psycopg.Connection, plan: GeneratePlan) -> list[_Tenant]:
    rng = random.Random(plan.seed)  # noqa: S311 - reproducible, not secret
    ids = [_uuid(rng, n) for n in range(plan.organizations)]
    users = [tuple(_uuid(rng, n) for _ in range(plan.members)) for n in range(plan.organizations)]
    try:
        _copy(connection, "auth.users", _USER_COLUMNS, _user_rows(plan, users))
        _copy(
            connection,
            "public.organizations",
            ("id", "name", "slug", "currency"),
            (
                (
                    org,
                    f"{rng.choice(words.COMPANY_FIRST)} {rng.choice(words.COMPANY_LAST)}",
                    f"generated-{plan.seed}-{n + 1}",
                    rng.choice(words.CURRENCIES),
                )
                for n, org in enumerate(ids)
            ),
        )
    except psycopg.errors.UniqueViolation as error:
        raise UsageError(
            f"seed {plan.seed} was already generated in this database",
            hint="choose another --seed, or start from an empty database",
        ) from error
    _copy(
        connection,
        "public.memberships",
        ("organization_id", "user_id", "role"),
        (
            (org, user, _ROLES[min(k, len(_ROLES) - 1)])
            for org, members in zip(ids, users, strict=True)
            for k, user in enumerate(members)
        ),
    )
    stages = _stages(connection, ids)
    return [_Tenant(org, users[n], stages[org][0], stages[org][1], n) for n, org in enumerate(ids)]


def _stages(
    connection: psycopg.Connection, ids: Sequence[str]
) -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    # A new organization comes with its default pipeline.
    found: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {}
    rows = connection.execute(
        """
        select s.organization_id::text, s.pipeline_id::text, s.id::text, s.kind
        from public.pipeline_stages as s
        inner join public.pipelines as p
            on s.organization_id = p.organization_id and s.pipeline_id = p.id
        where p.is_default and s.organization_id = any(%s::uuid[])
        order by s.organization_id, s.position
        """,
        (list(ids),),
    )
    for org, pipeline, stage, kind in rows:
        known = found.get(org, (pipeline, ()))
        found[org] = (pipeline, (*known[1], (stage, kind)))
    return found


def _fill(
    dsn: str, plan: GeneratePlan, tenants: Sequence[_Tenant], counter: _Counter
) -> dict[str, int]:
    written: dict[str, int] = {}
    with psycopg.connect(dsn) as connection:
        connection.execute("set synchronous_commit = off")
        for batch in (tenants[n : n + 50] for n in range(0, len(tenants), 50)):
            with connection.transaction():
                _fill_batch(connection, plan, batch, counter, written)
    return written


def _fill_batch(
    connection: psycopg.Connection,
    plan: GeneratePlan,
    batch: Sequence[_Tenant],
    counter: _Counter,
    written: dict[str, int],
) -> None:
    made = [_Made(plan, tenant) for tenant in batch]
    for table, columns, rows in (
        ("companies", _COMPANY_COLUMNS, (r for m in made for r in m.companies())),
        ("contacts", _CONTACT_COLUMNS, (r for m in made for r in m.contacts())),
        ("deals", _DEAL_COLUMNS, (r for m in made for r in m.deals())),
        ("activities", _ACTIVITY_COLUMNS, (r for m in made for r in m.activities())),
    ):
        count = _copy(connection, f"public.{table}", columns, rows, counter)
        written[table] = written.get(table, 0) + count


_USER_COLUMNS = (
    "instance_id", "id", "aud", "role", "email", "email_confirmed_at",
    "confirmation_token", "recovery_token", "email_change", "email_change_token_new",
    "created_at", "updated_at",
)  # fmt: skip
_COMPANY_COLUMNS = (
    "organization_id", "id", "name", "status", "domain", "website_url", "industry", "city",
    "country", "owner_id", "created_at",
)  # fmt: skip
_CONTACT_COLUMNS = (
    "organization_id", "id", "company_id", "first_name", "last_name", "email", "phone",
    "job_title", "status", "source", "city", "country", "owner_id", "created_at",
)  # fmt: skip
_DEAL_COLUMNS = (
    "organization_id", "id", "pipeline_id", "stage_id", "company_id", "name", "status",
    "amount_minor", "currency", "expected_close_on", "closed_at", "owner_id", "created_at",
)  # fmt: skip
_ACTIVITY_COLUMNS = (
    "organization_id", "id", "kind", "subject", "due_at", "contact_id", "owner_id", "created_at",
)  # fmt: skip


def _user_rows(plan: GeneratePlan, users: Sequence[Sequence[str]]) -> Iterator[Row]:
    now = _EPOCH.isoformat()
    zero = "00000000-0000-0000-0000-000000000000"
    for n, members in enumerate(users):
        for k, user in enumerate(members):
            email = f"user{k + 1}.org{n + 1}.seed{plan.seed}@generated.example"
            # Supabase Auth cannot read NULL in its token columns.
            yield (
                zero, user, "authenticated", "authenticated", email, now, "", "", "", "", now, now
            )  # fmt: skip


class _Made:
    """The rows of one organization, each from its own random stream."""

    def __init__(self, plan: GeneratePlan, tenant: _Tenant) -> None:
        self._tenant = tenant
        self._rng = random.Random(plan.seed * 1_000_003 + tenant.index)  # noqa: S311
        share = _share(plan, tenant.index)
        self._counts = share
        self._company_ids = [_uuid(self._rng, n) for n in range(share[0])]
        self._contact_ids = [_uuid(self._rng, n) for n in range(share[1])]

    def companies(self) -> Iterator[Row]:
        pick, org = self._rng.choice, self._tenant.id
        for n, key in enumerate(self._company_ids):
            name = f"{pick(words.COMPANY_FIRST)} {pick(words.COMPANY_LAST)} {n + 1}"
            domain = name.lower().replace(" ", "-") + ".example"
            yield (
                org, key, name, pick(words.COMPANY_STATUSES), domain, f"https://{domain}/",
                pick(words.INDUSTRIES), pick(words.CITIES), pick(words.COUNTRIES),
                pick(self._tenant.members), self._when(),
            )  # fmt: skip

    def contacts(self) -> Iterator[Row]:
        pick, rng, org = self._rng.choice, self._rng, self._tenant.id
        companies = self._company_ids
        for n, key in enumerate(self._contact_ids):
            first, last = pick(words.FIRST_NAMES), pick(words.LAST_NAMES)
            yield (
                org, key, pick(companies) if companies and n % 5 else _NULL, first, last,
                f"{first}.{last}.{n + 1}@mail.example".lower(),
                f"+49{rng.randrange(10**9, 10**10)}", pick(words.JOB_TITLES),
                pick(words.CONTACT_STATUSES), pick(words.SOURCES), pick(words.CITIES),
                pick(words.COUNTRIES), pick(self._tenant.members), self._when(),
            )  # fmt: skip

    def deals(self) -> Iterator[Row]:
        pick, rng, tenant = self._rng.choice, self._rng, self._tenant
        companies = self._company_ids
        for n in range(self._counts[2]):
            stage, kind = pick(tenant.stages)
            created = self._when()
            yield (
                tenant.id, _uuid(rng, n), tenant.pipeline, stage,
                pick(companies) if companies else _NULL,
                f"{pick(words.DEAL_NAMES)} {n + 1}", kind, str(rng.randrange(1, 500_000) * 100),
                "EUR", created[:10], _NULL if kind == "open" else created,
                pick(tenant.members), created,
            )  # fmt: skip

    def activities(self) -> Iterator[Row]:
        pick, org = self._rng.choice, self._tenant.id
        for n in range(self._counts[3]):
            yield (
                org, _uuid(self._rng, n), pick(("task", "call", "meeting", "note")),
                pick(words.SUBJECTS), self._when(),
                pick(self._contact_ids) if self._contact_ids else _NULL,
                pick(self._tenant.members), self._when(),
            )  # fmt: skip

    def _when(self) -> str:
        return (_EPOCH + timedelta(seconds=self._rng.randrange(25_000_000))).isoformat()


def _share(plan: GeneratePlan, index: int) -> tuple[int, int, int, int]:
    def part(total: int) -> int:
        return total // plan.organizations + (index < total % plan.organizations)

    return part(plan.companies), part(plan.contacts), part(plan.deals), part(plan.activities)


def _uuid(rng: random.Random, index: int) -> str:
    # Version 7 of RFC 9562: the time rises with the index, as it would have in real use.
    milliseconds = int(_EPOCH.timestamp() * 1000) + index
    bits = rng.getrandbits(74)
    value = milliseconds << 80 | 7 << 76 | (bits >> 62) << 64 | 2 << 62 | (bits & (1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _copy(
    connection: psycopg.Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterator[Row],
    counter: _Counter | None = None,
) -> int:
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(*table.split(".")), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    written = 0
    # Only words of our own vocabulary get here: nothing that COPY's text format would escape.
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        while block := [line for _, line in zip(range(_BLOCK), rows, strict=False)]:
            copy.write("".join("\t".join(line) + "\n" for line in block))
            written += len(block)
            if counter is not None:
                counter.add(len(block))
    return written
