"""Tickets: staff on a grant and keys of machines get in, and no further or longer than they say.

An outsider holds a live ticket of tenant B, which must open something or nothing can be said.
Then the ticket is over, has not begun, is somebody else's, was made by somebody who has lost the
right, is for something else, or is for a tenant that was closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes.sight import look, sample
from harmonia_py.isolation.probes.tickets import records as ticket_records
from harmonia_py.isolation.probes.tickets import wording
from harmonia_py.isolation.probes.tickets.rows import Rows
from harmonia_py.isolation.tickets import Ticket, tickets

__all__ = ["probe"]

Counts = dict[str, int]


def probe(lab: Lab) -> list[Signal]:
    """Give an outsider each kind of ticket, good and not, and look what opens."""
    outsider = next((a for a in lab.cast.actors if a.state == "stranger"), None)
    if outsider is None or not lab.fixtures.replica:
        return []
    out: list[Signal] = []
    for ticket in _known(lab):
        table = lab.catalog.tables[ticket.table]
        if lab.fixtures.of(table.key, "B") and lab.fixtures.of(table.key, "A"):
            out += _Trial(lab, ticket, outsider).signals()
    return out


def _known(lab: Lab) -> list[Ticket]:
    key = "tickets"
    if key not in lab.memo:
        lab.memo[key] = tickets(lab.catalog, lab.model, lab.refs)
    found: list[Ticket] = lab.memo[key]
    return found


class _Trial:
    """One kind of ticket in the hands of one outsider."""

    def __init__(self, lab: Lab, ticket: Ticket, outsider: Actor) -> None:
        self.lab, self.ticket = lab, ticket
        self.rows = Rows(lab, ticket, outsider)
        self.holder = _holder(ticket, outsider, self.rows.key)
        self.tables = sample(lab, "B", {ticket.table, *(t.key for t in self.rows.children)})

    def signals(self) -> Iterator[Signal]:
        sight = look(self.lab, self.tables)
        if not sight:
            return
        live = self.rows.live()
        first = [self._probe(sight, ()), self._probe(sight, live)]
        alone, opened = (_counts(o) for o in self.lab.run(first))
        more = {k: n for k, n in opened.items() if n > alone.get(k, 0)}
        if not more:
            if self.ticket.said:
                yield self._denied(first[1])
            return
        yield from self._elsewhere(more, live)
        yield from self._refused(more, alone)
        yield from wording.signals(self.lab, self.ticket, self.holder, live, more)
        if self.ticket.seat.claim is None:
            yield from ticket_records.signals(self.lab, self.ticket, self.rows, self.holder, sight)

    def _elsewhere(self, more: Counts, live: tuple[str, ...]) -> Iterator[Signal]:
        """Look for rows of another tenant than the ticket's."""
        text = look(self.lab, [self.lab.catalog.tables[k] for k in more], beyond=self.lab.cast.b.id)
        if not text:
            return
        item = self._probe(text, live)
        (outcome,) = self.lab.run([item])
        if keys := {k for k, n in _counts(outcome).items() if n}:
            yield self._signal(item, keys, "a ticket of one tenant opens another")

    def _refused(self, more: Counts, alone: Counts) -> Iterator[Signal]:
        sight = look(self.lab, [self.lab.catalog.tables[k] for k in more])
        cases = [(what, self._probe(sight, pre)) for what, pre in self.rows.spoiled()]
        cases += [(what, self._probe(sight, pre)) for what, pre in self.rows.unvouched()]
        closed = [
            (what, self._probe(sight, (*self.rows.live(), *pre)), self._boss(sight, pre))
            for what, pre in self.rows.closed()
        ]
        other = self._purpose(more, sight)
        plan = [p for _, p in cases] + [p for _, p, boss in closed for p in (p, boss)]
        outcomes = iter(self.lab.run([*plan, *[p for _, p in other]]))
        for what, item in cases:
            outcome = next(outcomes)
            least = self.rows.least if what.startswith("whoever") else None
            kept = _kept(_counts(outcome), alone, more)
            if least is not None and what.endswith("demoted"):
                kept &= self._beyond(least, sight)
            if kept:
                yield self._signal(item, kept, what)
        for what, item, _ in closed:
            kept = _kept(_counts(next(outcomes)), alone, more)
            seen = _counts(next(outcomes))
            if kept := {k for k in kept if not seen.get(k)}:
                yield self._signal(item, kept, what)
        for key, item in other:
            if _kept(_counts(next(outcomes)), alone, more) & {key}:
                yield self._signal(item, {key}, "it is for something else")

    def _beyond(self, least: Actor, sight: str) -> set[str]:
        """Return the tables in which the weakest role sees nothing."""
        (outcome,) = self.lab.run([Probe(least, sight, rows=True)])
        return {k for k, n in _counts(outcome).items() if n == 0}

    def _purpose(self, more: Counts, sight: str) -> list[tuple[str, Probe]]:
        """For one table that names its permission: everything but that permission."""
        for key in more:
            model = self.lab.model.of(key)
            asked = {
                k
                for some in (model.permissions, model.team, model.own)
                for k in some.get("select", ())
            }
            if self.ticket.purpose and self.lab.model.mapped(key) and asked:
                return [(key, self._probe(sight, self.rows.live(without=asked)))]
        return []

    def _boss(self, sight: str, pre: tuple[str, ...]) -> Probe:
        boss = self.lab.cast.members("B")[0]
        return Probe(boss, sight, rows=True, pre=pre, replica=True)

    def _probe(self, text: str, pre: tuple[str, ...]) -> Probe:
        return Probe(self.holder, text, rows=True, pre=pre, replica=bool(pre))

    def _denied(self, item: Probe) -> Signal:
        return replace(
            self._signal(item, set(), ""),
            rule="ticket.denied",
            kind="denied",
            severity="medium",
            evidence="a live one opens no table",
            why="The model says that it lets its holder in, and the database does not.",
            fix="Look at what the helper asks of it, or correct the grant in harmonia.toml.",
            title="{object}: its holders do not get in",
        )

    def _signal(self, item: Probe, keys: set[str], what: str) -> Signal:
        key = self.ticket.table
        return Signal(
            "lifecycle.ticket", "breach", "high", self.holder.name, key, "select",
            f"{what}: {', '.join(sorted(keys)[:6])} open",
            "Somebody without a seat keeps access that has ended or was never given.",
            f"Ask every condition of {key} in the helper that lets its holders in.",
            item.sql, item.actor, (key,), key,
            "{object}: its holders get in when they must not", item.pre,
        )  # fmt: skip


def _holder(ticket: Ticket, outsider: Actor, key: str) -> Actor:
    """Return the outsider, or a token that carries the ticket's key and nobody's name."""
    if ticket.seat.claim is None:
        return replace(outsider, name="somebody with a ticket")
    claims = {"role": outsider.role, "aud": outsider.role, "aal": "aal1"}
    return replace(outsider, name="a key", user=None, claims=claims | {ticket.seat.claim: key})


def _counts(outcome: Outcome) -> Counts:
    return dict(outcome.result or {}) if outcome.ok else {}


def _kept(now: Counts, alone: Counts, more: Counts) -> set[str]:
    return {k for k in more if now.get(k, 0) > alone.get(k, 0)}
