"""What is done on a ticket is recorded as such, under this ticket and no other."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tickets.rows import Rows
from harmonia_py.isolation.tickets import Ticket

__all__ = ["signals"]


def signals(lab: Lab, ticket: Ticket, rows: Rows, holder: Actor, look: str) -> Iterator[Signal]:
    """Use a live ticket beside others that are no good, and see which one the records name."""
    places = _places(lab, ticket)
    if places:
        yield from _Trial(lab, ticket, rows, holder, look, places).signals()


def _places(lab: Lab, ticket: Ticket) -> dict[str, str]:
    """Table -> the column that names a ticket: by a foreign key, or by the ticket's own name."""
    schema, name = ticket.table.split(".", 1)
    del schema
    words = {f"{w}_id" for w in (name, name.removesuffix("s"), name.removesuffix("es"))}
    out = {}
    for table in lab.catalog.tables.values():
        tied = {
            c for fk in table.foreign_keys if fk.target == ticket.table for c in fk.columns[-1:]
        }
        found = [c.name for c in table.columns if c.name in words | tied]
        if table.is_base and table.parent is None and found and table.key != ticket.table:
            out[table.key] = found[0]
    return out


class _Trial:
    def __init__(
        self, lab: Lab, ticket: Ticket, rows: Rows, holder: Actor, look: str, places: dict[str, str]
    ) -> None:
        self.lab, self.ticket, self.rows, self.holder = lab, ticket, rows, holder
        self.look, self.places = look, places

    def signals(self) -> Iterator[Signal]:
        live, decoys = self.rows.live(), self._decoys()
        member = next((a for a in self.lab.cast.members("A")), None)
        plan = [self._use(self.holder, live, self.look)]
        if decoys:
            plan.append(self._use(self.holder, (*live, *decoys), self.look))
        if member is not None:
            plan.append(self._use(member, self.rows.held_by(member), self.look))
        for item, outcome in zip(plan, self.lab.run(plan), strict=True):
            for table, named in self._named(outcome):
                if named is None:
                    yield self._signal(item, table, "the use of a ticket is not recorded as such")
                elif named not in self.rows.keys():
                    yield self._signal(item, table, "the record names a ticket that is no good")
        yield from self._members()

    def _members(self) -> Iterator[Signal]:
        """Whoever has a seat acts by the seat, where a ticket opens no more to them."""
        least, boss = self.rows.least, self.rows.boss
        plan = [
            Probe(least, self.look, rows=True),
            self._use(least, self.rows.held_by(least), self.look),
        ]
        before, after = self.lab.run(plan)
        if not (before.ok and after.ok) or before.result != after.result:
            return
        held = self.rows.held_by(boss)
        acts = [
            Probe(boss, text, watch=tuple(self.places))
            for table in self.lab.catalog.reachable()
            for text in self._acts(table, boss)
        ]
        with self.lab.after(held, self.places) as possible:
            outcomes = self.lab.run(acts) if possible else []
        for item, outcome in zip(acts, outcomes, strict=False):
            for table, named in self._named(outcome):
                if named is not None:
                    item.pre = held  # for whoever repeats it
                    yield self._signal(item, table, "what a member does is recorded under a ticket")
                    return

    def _acts(self, table: Table, boss: Actor) -> list[str]:
        spare = self.lab.fixtures.spares.get((table.key, "B"))
        if spare is None or self.lab.model.of(table.key).kind != "tenant":
            return []
        row = statements.with_user(self.lab, table, spare, boss)
        text = statements.insert_sql(self.lab, table, boss, row)
        return [text] if text else []

    def _decoys(self) -> tuple[str, ...]:
        """Tickets beside the live one, begun after it: over, to come, another's, of elsewhere."""
        seat, out = self.ticket.seat, []
        cases: list[dict[str, Any]] = [
            self.rows.values() | {mark: self.rows.marked(mark)} for mark in self.ticket.marks
        ]
        cases.append(
            self.rows.values() | {seat.user: str(uuid.uuid5(uuid.NAMESPACE_OID, "somebody else"))}
        )
        cases.append(self.rows.values(label="A"))
        if seat.starts:
            later = self.rows.values(delay=timedelta(seconds=30))[seat.starts]
            cases = [c | {seat.starts: later} for c in cases]
            cases.append(self.rows.values(shift=1))
        for number, case in enumerate(cases):
            fresh = {
                n: str(uuid.uuid5(uuid.NAMESPACE_OID, f"decoy {number}"))
                for n in self.rows.table.primary_key
                if str(case.get(n)) == self.rows.key
            }
            out.append(self.rows.insert(self.rows.table, [case | fresh]))
        return tuple(out)

    def _use(self, actor: Actor, pre: tuple[str, ...], text: str) -> Probe:
        return Probe(
            actor, text, rows=text == self.look, pre=pre, replica=True, watch=tuple(self.places)
        )

    def _named(self, outcome: Outcome) -> Iterator[tuple[str, str | None]]:
        for change in outcome.changes:
            mine = change.scope in (None, self.lab.cast.b.id)
            if change.kind == "new" and change.table in self.places and mine:
                value = change.data.get(self.places[change.table])
                yield change.table, None if value is None else str(value)

    def _signal(self, item: Probe, table: str, what: str) -> Signal:
        key = self.ticket.table
        return Signal(
            "record.ticket", "breach", "medium", item.actor.name, key, "select",
            f"{what} ({table}.{self.places[table]})",
            "The record of who was let in, and on what grounds, says what is not so.",
            f"Let what writes {table} look for the ticket of {key} that really let the caller in.",
            item.sql, item.actor, (key, table), key,
            "{object}: the record of its use is wrong", item.pre,
        )  # fmt: skip
