"""The rows of a ticket: as it holds, and in every way in which it must not."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.identity.accounts import endings
from harmonia_py.isolation.probes.times import moved, times
from harmonia_py.isolation.tickets import Ticket

__all__ = ["Rows"]

#: A role that holds nothing in the tenant, and everything in another.
_EMPTY = "hz_empty"
_SPACE = uuid.UUID("5d0a8f0e-8a54-4b62-9c1e-0d6b2f4f6c11")


class Rows:
    """Composes the statements that store a ticket for the outsider, or one that is no good."""

    def __init__(self, lab: Lab, ticket: Ticket, outsider: Actor) -> None:
        """Take a seeded row of tenant B as the pattern: its values honour every constraint."""
        self.lab, self.ticket, self.outsider = lab, ticket, outsider
        self.table = lab.catalog.tables[ticket.table]
        self.key = str(uuid.uuid5(_SPACE, f"{ticket.table} {ticket.seat.user}"))
        members = lab.cast.members("B")
        self.boss, self.least = members[0], members[-1]
        self.children = [
            t
            for t in lab.catalog.tables.values()
            if t.is_base and any(fk.target == self.table.key for fk in t.foreign_keys)
        ]  # fmt: skip

    def live(self, *, without: Collection[str] = ()) -> tuple[str, ...]:
        """Return the statements that give the outsider a ticket that holds."""
        return self.stored(self.values(), without=without)

    def held_by(self, actor: Actor) -> tuple[str, ...]:
        """Return the statements that give the live ticket to another person."""
        return self.stored(self.values() | {self.ticket.seat.user: actor.user})

    def keys(self) -> set[str]:
        """Return the keys of the rows that make the live ticket."""
        purpose = self.ticket.purpose
        several = purpose is not None and purpose.table == self.table.key
        numbers = range(len(self._purposes()) if several else 1)
        return {str(uuid.uuid5(_SPACE, f"{self.key} {n}")) if n else self.key for n in numbers}

    def spoiled(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield each way in which a ticket of its holder is no good."""
        seat = self.ticket.seat
        for mark in self.ticket.marks:
            yield f"{mark} is set", self.stored(self.values() | {mark: self.marked(mark)})
        if seat.expires:
            yield f"{seat.expires} is past", self.stored(self.values(shift=-1))
        if seat.starts:
            yield f"{seat.starts} is to come", self.stored(self.values(shift=1))
        if seat.status:
            for value in seat.inactive:
                yield f"{seat.status} is {value}", self.stored(self.values() | {seat.status: value})
        if seat.claim is None:
            for column, ended in endings(self.lab, self.outsider):
                yield f"{column} of its holder's account is set", (*self.live(), ended)
        other = str(uuid.uuid5(_SPACE, "somebody else"))
        yield "it is somebody else's", self.stored(self.values() | {seat.user: other})

    def unvouched(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield what takes the right away from the person whom a ticket comes from."""
        seats = self.lab.model.membership
        if self.ticket.seat.maker is None or seats is None:
            return
        table = self.lab.catalog.tables[seats.table]
        place = {seats.user: self.boss.user, seats.tenant: self._seat(seats.tenant)}
        theirs = self.lab.where(table, place)
        gone = statements.erase(self.lab, table, theirs)
        yield "whoever made it was removed", (*self.live(), gone)
        elsewhere = {seats.tenant: self._seat(seats.tenant, "A")}
        away = statements.change(self.lab, table, elsewhere, theirs)
        yield "whoever made it belongs elsewhere", (*self.live(), away)
        changes: list[tuple[str, str, Any]] = []
        if seats.status and seats.inactive:
            changes.append((seats.inactive[0], seats.status, seats.inactive[0]))
        if seats.role and len(self.lab.model.roles) > 1:
            changes.append(("demoted", seats.role, self.lab.model.roles[-1]))
            if self._idle():
                changes.append(("given an empty role", seats.role, _EMPTY))
        for what, column, value in changes:
            changed = statements.change(self.lab, table, {column: value}, theirs)
            pre = (*self.live(), *self._idle(), changed)
            yield f"whoever made it was {what}", pre

    def closed(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield each way of closing the tenant."""
        model = self.lab.model
        root = self.lab.catalog.tables.get(model.tenant_table or "")
        if root is None or model.tenant_status is None:
            return
        column = root.column(model.tenant_status)
        for value in model.tenant_closed:
            shown = "2020-01-01T00:00:00Z" if column.category == "D" else value
            keys = self.lab.where(root, {model.tenant_key: self.lab.cast.b.id})
            closed = statements.change(self.lab, root, {column.name: shown}, keys)
            yield f"the tenant is {value}", (closed,)

    def values(
        self, *, shift: int = 0, label: str = "B", delay: timedelta = timedelta()
    ) -> dict[str, Any]:
        """Return a ticket for the outsider whose time is now (-1: past, 1: to come)."""
        seat = self.ticket.seat
        row = dict(self.lab.fixtures.of(self.table.key, label)[0].values)
        for name in self.table.primary_key:
            if self.table.column(name).base == "uuid" and name != seat.tenant:
                row[name] = self.key
        row.update(dict.fromkeys(self.ticket.marks))
        row[seat.user] = self.key if seat.claim else self.outsider.user
        if seat.status and seat.active is not None:
            row[seat.status] = {"true": True, "false": False}.get(seat.active, seat.active)
        if seat.maker:
            row[seat.maker] = self.lab.cast.members(label)[0].user
        return row | self._times(row, shift, delay)

    def stored(self, values: dict[str, Any], *, without: Collection[str] = ()) -> tuple[str, ...]:
        """Return the inserts of a ticket, for every purpose there is but ``without``."""
        purpose = self.ticket.purpose
        if purpose is None:
            return (self.insert(self.table, [values]),)
        texts = [t for t in self._purposes() if t not in without]
        if purpose.table == self.table.key:
            rows = [
                values | {purpose.column: text} | self._fresh(values, number)
                for number, text in enumerate(texts)
            ]
            return (self.insert(self.table, rows),)
        child = self.lab.catalog.tables[purpose.table]
        pattern = next(iter(self.lab.fixtures.of(child.key, "B")), None)
        if pattern is None:
            return (self.insert(self.table, [values]),)
        link = next(fk for fk in child.foreign_keys if fk.target == self.table.key)
        tie = {c: values.get(r) for c, r in zip(link.columns, link.ref_columns, strict=True)}
        rows = [
            pattern.values | tie | {purpose.column: text} | self._own(child, purpose.column, text)
            for text in texts
        ]
        return self.insert(self.table, [values]), self.insert(child, rows)

    def _seat(self, column: str, label: str = "B") -> str:
        """Return what the seats of a tenant name: the tenant itself, or a group of it."""
        seats, boss = self.lab.model.membership, self.lab.cast.members(label)[0]
        assert seats is not None and column == seats.tenant  # noqa: S101 - see unvouched()
        return next(
            str(r.values[column])
            for r in self.lab.fixtures.rows[seats.table]
            if str(r.values.get(seats.user)) == boss.user
        )

    def _idle(self) -> tuple[str, ...]:
        """Make a role that holds everything and that nobody has, and a namesake elsewhere."""
        source = next((s for s in self.lab.model.permission_tables if s.tenant), None)
        if source is None:
            return ()
        table = self.lab.catalog.tables[source.table]
        names = [source.tenant or "", source.role, source.permission]
        places = ((self.lab.cast.b.id, "hz_idle"), (self.lab.cast.a.id, _EMPTY))
        rows = [
            dict(zip(names, (*place, text), strict=True))
            for place in places
            for text in self._purposes()
        ]
        return (self.insert(table, rows),)

    def _purposes(self) -> list[str]:
        purpose = self.ticket.purpose
        if purpose is None:
            return []
        key = ("purposes", purpose.source)
        if key not in self.lab.memo:
            table, column = purpose.source
            query = sql.SQL("select {}::text from {} order by 1 limit 200").format(
                sql.Identifier(column), self.lab.catalog.tables[table].sql
            )
            self.lab.memo[key] = [row[0] for row in self.lab.conn.execute(query)]
        return list(self.lab.memo[key])

    def _fresh(self, values: dict[str, Any], number: int) -> dict[str, Any]:
        """One key for each row of a ticket that is stored purpose by purpose."""
        names = [n for n in self.table.primary_key if str(values.get(n)) == self.key]
        return {n: str(uuid.uuid5(_SPACE, f"{self.key} {number}")) for n in names if number}

    @staticmethod
    def _own(child: Table, column: str, text: str) -> dict[str, Any]:
        names = [n for n in child.primary_key if n != column and child.column(n).default]
        return {n: str(uuid.uuid5(_SPACE, text)) for n in names if child.column(n).base == "uuid"}

    def marked(self, mark: str) -> Any:
        """Return what a mark holds that has ended a ticket."""
        column = self.table.column(mark)
        return True if column.category == "B" else str(datetime.now(UTC) - timedelta(minutes=1))

    def _times(self, row: dict[str, Any], shift: int, delay: timedelta) -> dict[str, Any]:
        """Move every time of the row alike, so that what checks say of their order stays true."""
        seat = self.ticket.seat
        found = times(self.table, row)
        ends = found.get(seat.expires or "")
        if ends is None:
            return {}
        begin = found.get(seat.starts or "") or max(
            (t for t in found.values() if t < ends), default=ends - timedelta(hours=2)
        )
        span = ends - begin
        by = datetime.now(UTC) + span / 2 - ends + shift * (span + timedelta(minutes=5)) + delay
        return moved(self.table, row, by)

    def insert(self, table: Table, rows: list[dict[str, Any]]) -> str:
        """Compose the insert of some rows."""
        names = [c.name for c in table.columns if c.writable and c.name in rows[0]] if rows else []
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        return self.lab.text(
            sql.SQL(
                "insert into {t} ({c}) select {c} from "
                "pg_catalog.jsonb_populate_recordset(null::{t}, {r})"
            ).format(t=table.sql, c=columns, r=sql.Literal(Jsonb(rows)))
        )
