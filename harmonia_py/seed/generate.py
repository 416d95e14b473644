"""Large, realistic tenants, written with COPY and the same for the same seed.

Every row goes through the constraints, foreign keys and triggers that a client's row goes
through; nothing is switched off. What is generated is spread evenly over the organizations.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from queue import Empty, SimpleQueue
from threading import Event
from typing import LiteralString

import psycopg
from psycopg import sql

from harmonia_py.connection import Connection, session
from harmonia_py.errors import UsageError
from harmonia_py.seed import vocabulary as words
from harmonia_py.seed.rows import COLUMNS, EPOCH, Row, Rows, Tenant, uuids

__all__ = ["GeneratePlan", "GenerateReport", "generate"]

Progress = Callable[[int, int], None]

_BLOCK = 2000  # rows a COPY message holds: large enough to amortize, small enough to show progress
_BATCH = 20  # organizations a stream takes and commits at a time
#: The smaller tables are tidied beside the largest.
_LARGEST_FIRST = ("contacts", "activities", "deals", "companies", "memberships")
#: Seconds for which others' snapshots are waited out, and between two looks. Who needs longer keeps
#: some rows off the visibility map, which is slower to read and nothing else.
_PATIENCE, _PAUSE = 5.0, 0.1
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


def generate(
    dsn: str,
    plan: GeneratePlan,
    *,
    on_progress: Progress | None = None,
    connections: int = 2,
) -> GenerateReport:
    """Write the tenants of ``plan`` through ``connections`` parallel COPY streams.

    The organizations and their members are committed first; each stream then commits one batch of
    whole organizations after another, so an interrupted run leaves no half-filled organization.

    Raises ``UsageError`` when the same seed was generated before, and what ``session`` raises
    for a database that does not answer, lacks the schema or refuses the rows.
    """
    started = time.monotonic()
    with session(dsn) as connection, connection.transaction():
        tenants = _tenants(connection, plan)
    counter = _Counter(plan.rows, on_progress)
    # One queue for all: a stream that sorts the words of all in takes fewer organizations.
    waiting: SimpleQueue[Sequence[Tenant]] = SimpleQueue()
    for n in range(0, len(tenants), _BATCH):
        waiting.put(tenants[n : n + _BATCH])
    with ThreadPoolExecutor(connections) as pool:
        streams = [pool.submit(_fill, dsn, plan, waiting, counter) for _ in range(connections)]
        try:
            written = [stream.result() for stream in as_completed(streams)]
        except BaseException:
            # Leaving the pool waits for its threads: Ctrl-C, or the failure of one, stops them all.
            counter.stop()
            raise
    _tidy(dsn, connections)
    totals = {"organizations": len(tenants), "memberships": sum(len(t.members) for t in tenants)}
    for part in written:
        for table, count in part.items():
            totals[table] = totals.get(table, 0) + count
    return GenerateReport(rows=totals, seconds=time.monotonic() - started)


def _tidy(dsn: str, connections: int) -> None:
    """Leave fresh statistics and visibility maps: what a database that grew this large has."""
    with ExitStack() as sessions:
        idle: SimpleQueue[Connection] = SimpleQueue()
        for _ in range(connections):
            connection = sessions.enter_context(session(dsn))
            connection.execute("set maintenance_work_mem = '512MB'")
            idle.put(connection)

        @contextmanager
        def lent() -> Iterator[Connection]:
            connection = idle.get()
            try:
                yield connection
            finally:
                idle.put(connection)

        def tidy(statement: LiteralString, *tables: str) -> None:
            names = sql.SQL(", ").join(sql.Identifier("public", table) for table in tables)
            with lent() as connection:
                connection.execute(sql.SQL(statement).format(names))

        def all_visible() -> bool:
            with lent() as connection:
                row = connection.execute(
                    "select pg_catalog.bool_and(c.relallvisible >= c.relpages)"
                    " from pg_catalog.pg_class as c"
                    " where c.oid = any((%s::text[])::regclass[])",
                    ([f"public.{table}" for table in _LARGEST_FIRST],),
                ).fetchone()
            return row is not None and row[0]

        with ThreadPoolExecutor(connections) as pool:
            # What takes long is the indexes.
            list(pool.map(partial(tidy, "vacuum {}"), _LARGEST_FIRST))
            # A session that begins, reads the catalog or analyzes holds a snapshot as old as the
            # oldest transaction of the whole server, and a vacuum that starts beside it may call
            # no page visible to all. So another follows, beside none of ours, and while somebody
            # else's snapshot is in the way (autovacuum comes by as well), some more. What is
            # visible already they skip.
            patient_until = time.monotonic() + _PATIENCE
            while True:
                tidy("vacuum (index_cleanup off) {}", *_LARGEST_FIRST)
                if all_visible() or time.monotonic() > patient_until:
                    break
                time.sleep(_PAUSE)
            list(pool.map(partial(tidy, "analyze {}"), _LARGEST_FIRST))
        # Every statement of a client reads these, by keys: what is estimated decides how.
        with lent() as connection:
            connection.execute("analyze private.seats")


class _Counter:
    def __init__(self, total: int, on_progress: Progress | None) -> None:
        self._total, self._done, self._tell = total, 0, on_progress
        self._stopped = Event()

    def add(self, rows: int) -> None:
        if self._stopped.is_set():
            raise CancelledError
        self._done += rows
        if self._tell is not None:
            self._tell(self._done, self._total)

    def stop(self) -> None:
        self._stopped.set()


def _tenants(connection: psycopg.Connection, plan: GeneratePlan) -> list[Tenant]:
    rng = random.Random(plan.seed)  # noqa: S311 - reproducible, not secret
    ids = uuids(rng, plan.organizations)
    users = [tuple(uuids(rng, plan.members)) for _ in ids]
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
    return [Tenant(org, users[n], stages[org][0], stages[org][1], n) for n, org in enumerate(ids)]


def _stages(
    connection: psycopg.Connection, ids: Sequence[str]
) -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    connection.execute(
        "select private.provision_crm(o.id) from unnest(%s::uuid[]) as o (id)", (list(ids),)
    )
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
    dsn: str, plan: GeneratePlan, waiting: SimpleQueue[Sequence[Tenant]], counter: _Counter
) -> dict[str, int]:
    written: dict[str, int] = {}
    with session(dsn) as connection:
        # Every commit waits for the log: vacuum cannot tell rows as committed before that, and
        # would leave the visibility map empty. There is one commit for each batch.
        connection.execute("set synchronous_commit = on")
        # The words of the search indexes are collected and sorted in where the list is full: by
        # one stream while the others go on, so that vacuum does not do it all alone at the end.
        connection.execute("set gin_pending_list_limit = '16MB'")
        connection.execute("set work_mem = '64MB'")
        while True:
            try:
                batch = waiting.get_nowait()
            except Empty:
                break
            with connection.transaction():
                _fill_batch(connection, plan, batch, counter, written)
    return written


def _fill_batch(
    connection: psycopg.Connection,
    plan: GeneratePlan,
    batch: Sequence[Tenant],
    counter: _Counter,
    written: dict[str, int],
) -> None:
    made = [Rows(plan.seed, tenant, _share(plan, tenant.index)) for tenant in batch]
    for table, columns in COLUMNS.items():
        rows = chain.from_iterable(getattr(m, table)() for m in made)
        count = _copy(connection, f"public.{table}", columns, rows, counter)
        written[table] = written.get(table, 0) + count


_USER_COLUMNS = (
    "instance_id", "id", "aud", "role", "email", "email_confirmed_at",
    "confirmation_token", "recovery_token", "email_change", "email_change_token_new",
    "created_at", "updated_at",
)  # fmt: skip


def _user_rows(plan: GeneratePlan, users: Sequence[Sequence[str]]) -> Iterator[Row]:
    now = EPOCH.isoformat()
    zero = "00000000-0000-0000-0000-000000000000"
    for n, members in enumerate(users):
        for k, user in enumerate(members):
            email = f"user{k + 1}.org{n + 1}.seed{plan.seed}@generated.example"
            # Supabase Auth cannot read NULL in its token columns.
            yield (
                zero, user, "authenticated", "authenticated", email, now, "", "", "", "", now, now
            )  # fmt: skip


def _share(plan: GeneratePlan, index: int) -> dict[str, int]:
    totals = {table: getattr(plan, table) for table in COLUMNS}
    return {
        table: total // plan.organizations + (index < total % plan.organizations)
        for table, total in totals.items()
    }


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
        while block := list(islice(rows, _BLOCK)):
            copy.write("\n".join(map("\t".join, block)) + "\n")
            written += len(block)
            if counter is not None:
                counter.add(len(block))
    return written
