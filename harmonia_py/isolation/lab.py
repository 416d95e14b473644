"""The laboratory: runs probes as real roles and reports what each saw and changed.

Many probes travel in one round trip: a temporary function runs each in a subtransaction of
its own, as the actor, and looks at the tables afterwards as the bypass role.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.errors import CouldNotVerify
from harmonia_py.isolation.actors import Actor, Cast
from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.fixtures import Fixtures
from harmonia_py.isolation.introspect import statement
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.ownership import Ownership
from harmonia_py.isolation.references import References
from harmonia_py.isolation.scopes import Scopes
from harmonia_py.isolation.shares import Share, shares
from harmonia_py.isolation.standing import Standing

__all__ = ["Change", "Lab", "Outcome", "Probe"]

_BATCH = 150
_RUN = "select * from pg_temp.hx_run($1) order by probe"


@dataclass(slots=True)
class Probe:
    """One statement of one actor. ``rows`` wants one jsonb back; ``watch`` lists tables.

    ``said`` are words that the client's statement has besides.
    """

    actor: Actor
    sql: str
    rows: bool = False
    watch: tuple[str, ...] = ()
    pre: tuple[str, ...] = ()
    replica: bool = False
    stay: bool = False
    session: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    said: str = ""
    tag: Any = None


@dataclass(frozen=True, slots=True)
class Change:
    """A row that vanished or changed (``gone``: as it was) or appeared (as it is now)."""

    table: str
    kind: str
    scope: str | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one probe; ``tried`` is false where what had to be done before it failed."""

    code: str
    message: str
    detail: str
    hint: str
    affected: int
    result: Any
    changes: tuple[Change, ...]
    notices: tuple[str, ...] = ()
    tried: bool = True

    @property
    def ok(self) -> bool:
        """Whether the statement ran without an error."""
        return self.code == "00000"

    @property
    def constraint(self) -> bool:
        """Whether a constraint, not a policy, refused the write."""
        return self.tried and self.code[:2] == "23"

    @property
    def text(self) -> str:
        """Everything the caller was told in words."""
        return " ".join(x for x in (self.message, self.detail, self.hint, *self.notices) if x)


class Lab:
    """Everything a channel needs: the catalog, the model, the cast, the rows and ``run``."""

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        catalog: Catalog,
        model: TenancyModel,
        cast: Cast,
        fixtures: Fixtures,
        *,
        timeout: float = 2.0,
    ) -> None:
        """Set the bench up in the open transaction of ``conn``."""
        self.conn = conn
        self.catalog = catalog
        self.model = model
        self.cast = cast
        self.fixtures = fixtures
        self.refs = References(catalog)
        self.shares: dict[str, Share] = shares(catalog, model)
        self.standing = Standing(catalog, model, self.refs)
        self.scopes = Scopes(catalog, model)
        self.ownership = Ownership(conn, catalog, model, cast, fixtures, self.refs, self.before)
        self.timeout = timeout
        self.count = 0
        #: How many probes took too long: on a slow machine that may say nothing of the project.
        self.timeouts = 0
        #: Set from another thread: whatever runs is of no use any more.
        self.given_up = False
        self.only: frozenset[str] | None = None
        #: What channels work out once from the catalog and the rows as seeded.
        self.memo: dict[Any, Any] = {}
        self.commands: frozenset[str] | None = None
        self._sessions: dict[int, tuple[Actor, dict[str, str]]] = {}
        self._states: dict[str, str] = {}
        self._before: dict[str, dict[str, tuple[str | None, dict[str, Any]]]] = {}
        self._all = False
        self._notices: list[str] = []
        conn.add_notice_handler(
            lambda d: self._notices.append(f"{d.message_primary or ''} {d.message_detail or ''}")
        )
        conn.execute("select pg_catalog.set_config('client_min_messages', 'notice', true)")
        # Policies that ask each other without end fill the stack before they fail, at every
        # statement; a quarter of it holds whatever a policy may ask.
        conn.execute(
            "select pg_catalog.set_config('max_stack_depth', '512kB', true)"
            " where pg_catalog.current_setting('is_superuser') = 'on'"
        )
        conn.execute(statement("lab").encode())

    def wants(self, key: str) -> bool:
        """Whether the run is about this object (a mutation run looks at few)."""
        return self.only is None or key in self.only

    def tries(self, command: str) -> bool:
        """Whether the run is about this command (a mutation run looks at few)."""
        return self.commands is None or command in self.commands

    def tables(self) -> list[Table]:
        """Return the base tables that may be judged, by name."""
        return [
            t
            for t in self.catalog.reachable()
            if t.is_base and t.parent is None and self.wants(t.key)
        ]

    def text(self, composed: sql.Composable | str) -> str:
        """Render composed SQL."""
        return composed if isinstance(composed, str) else composed.as_string(self.conn)

    def speaking(self, actor: Actor) -> tuple[str, ...]:
        """Return what makes the rest of a transaction's statements the actor's, but for the role.

        Defaults of what is written before a probe may ask who is calling.
        """
        call = sql.SQL("select pg_catalog.set_config({}, {}, true)")
        return tuple(
            self.text(call.format(sql.Literal(name), sql.Literal(value)))
            for name, value in actor.session().items()
            if name.startswith("request.jwt")
        )

    # State -----------------------------------------------------------------------------

    def state_sql(self, table: Table) -> str:
        """Return the query (mark, scope, data) that fingerprints every row of a table."""
        if table.key not in self._states:
            self._states[table.key] = self.text(
                sql.SQL(
                    # Every probe is a subtransaction of its own, so a row that was written again
                    # has another xmin; what it holds need not be looked at.
                    "select pg_catalog.concat(t.tableoid, t.ctid, t.xmin)"
                    " as mark, {} as scope, pg_catalog.to_jsonb(t) as data from {} as t"
                ).format(sql.SQL(self.scopes.sql(table)), table.sql)
            )
        return self._states[table.key]

    def before(self, table: Table) -> dict[str, tuple[str | None, dict[str, Any]]]:
        """Return mark -> (scope, row) of the table as seeded; taken once."""
        if table.key not in self._before:
            rows = self.conn.execute(self.state_sql(table).encode()).fetchall()
            self._before[table.key] = {mark: (scope, data) for mark, scope, data in rows}
            self.conn.execute(
                "insert into pg_temp.hx_before select %s, m from unnest(%s::text[]) as m "
                "on conflict do nothing",
                (table.key, list(self._before[table.key])),
            )
            self.conn.execute(
                "insert into pg_temp.hx_state values (%s, %s, %s::oid[])",
                (table.key, self.state_sql(table), self._leaves(table)),
            )
        return self._before[table.key]

    def forget(self, key: str) -> None:
        """Drop the state of a table whose rows were changed; it is taken anew when watched."""
        self._before.pop(key, None)
        self._all = False
        self.conn.execute("delete from pg_temp.hx_before where relation = %s", (key,))
        self.conn.execute("delete from pg_temp.hx_state where relation = %s", (key,))

    def watch_all(self) -> None:
        """Take the state of every seeded table, so that ``watch=("*",)`` sees any change."""
        if not self._all:
            self._all = True
            for table in self.catalog.tables.values():
                if table.is_base and table.parent is None:
                    self.before(table)

    def hashes(self, table: Table, columns: Sequence[str]) -> dict[str, list[tuple[Any, Any]]]:
        """Return md5 of the given columns -> [(scope, row)], read as the bypass role."""
        inner = sql.SQL(", ").join(sql.Identifier("t", c) for c in columns)
        query = sql.SQL(
            "select pg_catalog.md5(row({})::text), {}, pg_catalog.to_jsonb(t) from {} as t"
        ).format(inner, sql.SQL(self.scopes.sql(table)), table.sql)
        out: dict[str, list[tuple[Any, Any]]] = {}
        for mark, scope, data in self.conn.execute(query.as_string(self.conn).encode()):
            out.setdefault(mark, []).append((scope, data))
        return out

    # Running ---------------------------------------------------------------------------

    @contextmanager
    def rolled_back(self) -> Iterator[None]:
        """Undo all that is done in the block, and what is noted of the tables with it."""
        before, everything = dict(self._before), self._all
        try:
            with self.conn.transaction(force_rollback=True):
                yield
        finally:
            self._before, self._all = before, everything

    @contextmanager
    def after(self, statements: Sequence[str], watch: Iterable[str] = ()) -> Iterator[bool]:
        """Run statements once, triggers and foreign keys off, for all probes in the block.

        Much cheaper than the same statements before each probe; they must not change the tables
        that are watched. Yields whether they could be run.
        """
        for table in filter(None, map(self.catalog.table, watch)):
            self.before(table)  # as it was seeded
        with self.rolled_back():
            try:
                with self.conn.transaction():
                    self.conn.execute("set local session_replication_role = replica")
                    for text in statements:
                        self.conn.execute(text.encode())
                    self.conn.execute("set local session_replication_role = origin")
            except psycopg.Error:
                yield False
            else:
                yield True

    def run(
        self, probes: Sequence[Probe], *, single: bool = False, counted: bool = True
    ) -> list[Outcome]:
        """Run the probes and return one outcome each, in order; nothing they did remains.

        Those that want the same done before them run together, which is then done once. ``single``
        makes one round trip per probe, so that notices can be told apart. What only says how to
        probe, and is asked once in each laboratory, is not ``counted``.
        """
        places = _together(probes)
        outcomes = self._run([probes[n] for n in places], 1 if single else _BATCH)
        self.count += len(probes) if counted else 0
        return [outcome for _, outcome in sorted(zip(places, outcomes, strict=True), key=_place)]

    def _run(self, probes: Sequence[Probe], size: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        position = 0
        while position < len(probes):
            if self.given_up:
                raise CouldNotVerify("another part of the run failed")
            batch = _alike(probes[position : position + size])
            done = self._batch(batch)
            if len(done) > 1 and done[-1].code == "57014":
                # Those before it took the time: it is tried again, at the head of the next batch.
                done.pop()
            self.timeouts += sum(o.code == "57014" for o in done)
            outcomes += done
            position += len(done)
        return outcomes

    def run_once(self, probes: Sequence[Probe]) -> list[Outcome]:
        """Run them as ``run`` does, and of those that are alike only the first.

        All find the same rows. It is not for who asks twice to see whether an answer is chance.
        """
        first: dict[tuple[object, ...], Probe] = {}
        for probe in probes:
            first.setdefault(_what(probe), probe)
        outcomes = dict(zip(first, self.run(list(first.values())), strict=True))
        return [outcomes[_what(probe)] for probe in probes]

    def _batch(self, probes: Sequence[Probe]) -> list[Outcome]:
        for key in {k for p in probes for k in p.watch}:
            if key == "*":
                self.watch_all()
            elif table := self.catalog.table(key):
                self.before(table)
        payload = self._payload(probes)
        self._notices.clear()
        limit = int(1000 * (self.timeout + 0.01 * len(probes)))
        try:
            with self.conn.transaction():
                self.conn.execute(
                    "select pg_catalog.set_config('statement_timeout', %s, true)", (str(limit),)
                )
                rows = self.conn.execute(
                    self.statement(probes[0].said)
                    .replace("%", "%%")
                    .replace("$1", "%s", 1)
                    .encode(),
                    (Jsonb(payload),),
                ).fetchall()
        except psycopg.OperationalError as error:
            if self.conn.closed or self.conn.broken:
                raise CouldNotVerify(
                    "the connection was lost while probing",
                    hint="the database was dropped or restarted; run again",
                ) from error
            rows = [(0, error.sqlstate or "XX000", str(error), *[None] * 5, False)]
        except psycopg.Error as error:
            if len(probes) > 1:
                return [o for p in probes for o in self._batch([p])]
            rows = [(0, error.sqlstate or "XX000", str(error), *[None] * 5, False)]
        notices = tuple(self._notices)
        return [self._outcome(row, notices if len(probes) == 1 else ()) for row in rows]

    def _stored(self, keys: tuple[str, ...]) -> str:
        """Return where the rows of some relations are, as an array of the server's."""
        key = ("stored", keys)
        if key not in self.memo:
            tables = filter(None, map(self.catalog.table, keys))
            places = [str(oid) for table in tables for oid in self._leaves(table)]
            self.memo[key] = "{" + ",".join(places) + "}"
        text: str = self.memo[key]
        return text

    @staticmethod
    def statement(said: str = "") -> str:
        """Return the text in which the server sees a probe come; ``$1`` holds the probes."""
        words = f" -- {' '.join(said.split())}" if said else ""
        return _RUN + words

    def _leaves(self, table: Table) -> list[int]:
        if table.kind != "partitioned":
            return [table.oid]
        out: list[int] = []
        for child in (*self.catalog.tables.values(), *self.catalog.platform.values()):
            if child.parent == table.key:
                out += self._leaves(child)
        return out or [table.oid]

    def _session(self, actor: Actor) -> dict[str, str]:
        """Return the settings of an actor; the few there are come with every probe."""
        known = self._sessions.get(id(actor))
        if known is None or known[0] is not actor:
            settings = {"search_path": ", ".join([*self.catalog.schemas, "extensions"])}
            known = self._sessions[id(actor)] = (actor, settings | actor.session())
        return known[1]

    def _payload(self, probes: Sequence[Probe]) -> dict[str, Any]:
        # Few actors speak: what makes a session theirs is sent once.
        actors = {id(probe.actor): probe.actor for probe in probes}
        places = {key: place for place, key in enumerate(actors)}
        return {
            "actors": [{"role": a.role, "session": self._session(a)} for a in actors.values()],
            "probes": [self._statement(probe, places[id(probe.actor)]) for probe in probes],
        }

    def _statement(self, probe: Probe, actor: int) -> dict[str, Any]:
        out: dict[str, Any] = {
            "actor": actor,
            "sql": probe.sql,
            "rows": probe.rows,
            "replica": probe.replica and self.fixtures.replica,
            "stay": probe.stay,
        }
        if probe.session:
            out["session"] = probe.session
        if probe.watch:
            out["watch"] = list(probe.watch)
            if "*" not in probe.watch:
                out["stored"] = self._stored(probe.watch)
        if probe.pre:
            out["pre"] = list(probe.pre)
        return out

    def _outcome(self, row: Sequence[Any], notices: tuple[str, ...]) -> Outcome:
        _, code, message, detail, hint, affected, result, changes, tried = row
        found: list[Change] = []
        changes = changes or {}
        ignored = set(changes.pop("", None) or ())
        for key, change in changes.items():
            known = self._before.get(key, {})
            for mark in change["gone"] or ():
                if mark in known and mark not in ignored:
                    scope, data = known[mark]
                    found.append(Change(key, "gone", scope, data))
            for mark, scope, data in change["new"] or ():
                if mark not in ignored:
                    found.append(Change(key, "new", scope, data))
        # In one order, whatever plan the server chose: the first is the evidence.
        found.sort(key=lambda change: (change.table, change.kind, str(change.data)))
        if isinstance(result, list):
            result.sort(key=str)
        return Outcome(
            code,
            message or "",
            detail or "",
            hint or "",
            affected or 0,
            result,
            tuple(found),
            notices,
            tried,
        )

    def where(self, table: Table, values: Mapping[str, Any]) -> str:
        """Return a condition (without ``where``): each column has its value, which none is null."""
        parts = (
            sql.SQL("{} = {}").format(sql.Identifier(c), self.literal(table, c, value))
            for c, value in values.items()
        )
        return self.text(sql.SQL(" and ").join(parts))

    def where_keys(self, table: Table, rows: Iterable[dict[str, Any]]) -> str:
        """Return a condition (without ``where``) that names the given rows."""
        columns = table.primary_key or tuple(c.name for c in table.columns if c.category in "USN")
        return " or ".join(self._where_key(table, columns, row) for row in rows) or "false"

    def _where_key(self, table: Table, columns: tuple[str, ...], row: dict[str, Any]) -> str:
        present = [c for c in columns if row.get(c) is not None]
        key = ("where", table.key, tuple((c, str(row[c])) for c in present))
        if key not in self.memo:
            self.memo[key] = f"({self.where(table, {c: row[c] for c in present})})"
        text: str = self.memo[key]
        return text

    def literal(self, table: Table, column: str, value: Any) -> sql.Composable:
        """Return a typed literal of a column."""
        kind = table.column(column).type
        if value is None:
            return sql.SQL("null")
        if isinstance(value, dict | list) and table.column(column).base in ("json", "jsonb"):
            value = Jsonb(value)
        elif not isinstance(value, list):
            value = str(value)
        return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(kind))


def _what(probe: Probe) -> tuple[object, ...]:
    """Return all of a probe that the server gets to see."""
    session = tuple(probe.session.items())
    how = probe.rows, probe.watch, probe.pre, probe.replica, probe.stay, probe.said
    return id(probe.actor), probe.sql, session, *how


def _together(probes: Sequence[Probe]) -> list[int]:
    """Return the places of the probes, those side by side that want the same done before them."""
    parts: dict[tuple[object, ...], list[int]] = {}
    for n, probe in enumerate(probes):
        parts.setdefault((probe.said, probe.pre, probe.replica, probe.stay), []).append(n)
    return list(itertools.chain.from_iterable(parts.values()))


def _place(pair: tuple[int, Outcome]) -> int:
    return pair[0]


def _alike(probes: Sequence[Probe]) -> list[Probe]:
    """Return the first probes, as far as one statement of the client can carry them."""
    said = probes[0].said
    return list(itertools.takewhile(lambda p: p.said == said, probes))
