"""Roles that nobody holds yet: one that reaches its own rows only, one that reaches its teams'.

Where an organization makes its own roles, the built-in ones do not show whether a policy keeps
the reach of a permission. So a member is given a role with just those permissions, in the
probe's own subtransaction, and reads, writes, deletes and hands over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.model import PermissionTable, TableModel
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.roles.permissions import (
    Reach,
    compare,
    identity,
    resolve,
    teams_of,
)

__all__ = ["given", "possible", "probe"]

ROLE = "hz_reach"
OTHER = "hz_other"
_COMMANDS = ("select", "insert", "update", "delete")


def probe(lab: Lab) -> list[Signal]:
    """Try both partial reaches on every table that has them."""
    source = next((s for s in lab.model.permission_tables if s.tenant), None)
    members = lab.cast.members("A")
    if source is None or not members or not lab.fixtures.replica:
        return []
    out: list[Signal] = []
    for table in lab.tables():
        model = lab.model.of(table.key)
        for name, keys in (("own", model.own), ("team", model.team)):
            held = frozenset(k for some in keys.values() for k in some)
            if not held:
                continue
            pre = given(lab, source, members[-1], held)
            if pre is None or not possible(lab, members[-1], pre):
                continue
            part = _Part(lab, table, model, members[-1], name, held, pre)
            out += part.signals()
    return out


def given(
    lab: Lab, source: PermissionTable, actor: Actor, keys: frozenset[str]
) -> tuple[str, ...] | None:
    """Compose what gives the actor a role that holds the keys and nothing else."""
    seats = lab.model.membership
    table = lab.catalog.table(source.table)
    members = lab.catalog.table(seats.table) if seats else None
    if seats is None or seats.role is None or table is None or members is None:
        return None
    tenant = sql.Literal(lab.cast.a.id)
    own_seat = lab.where(members, {seats.user: actor.user, seats.tenant: lab.cast.a.id})
    seat = statements.change(lab, members, {seats.role: ROLE}, own_seat)
    names = sql.SQL(", ").join(
        sql.Identifier(n) for n in (source.tenant or "", source.role, source.permission)
    )
    # And a role that holds everything, and that nobody has: it must count for nobody.
    every = {k for t in lab.model.tables.values() for some in t.permissions.values() for k in some}
    # So must a role of the same name in the other tenant.
    theirs = sql.Literal(lab.cast.b.id)
    held = [(tenant, ROLE, key) for key in sorted(keys)]
    held += [(tenant, OTHER, key) for key in sorted(every)]
    held += [(theirs, ROLE, key) for key in sorted(every)]
    rows = sql.SQL(", ").join(
        sql.SQL("({}, {}, {})").format(whose, sql.Literal(name), sql.Literal(key))
        for whose, name, key in held
    )
    grant = sql.SQL("insert into {} ({}) values {}").format(table.sql, names, rows)
    return seat, lab.text(grant)


def possible(lab: Lab, actor: Actor, pre: tuple[str, ...]) -> bool:
    """Whether an organization can have such a role at all (roles may be fixed)."""
    key = ("reach", actor.name)
    if key not in lab.memo:
        text = "select pg_catalog.to_jsonb(true)"
        (outcome,) = lab.run([Probe(actor, text, rows=True, pre=pre, replica=True)])
        lab.memo[key] = outcome.ok
    return bool(lab.memo[key])


@dataclass(frozen=True, slots=True)
class _Part:
    """One partial reach on one table."""

    lab: Lab
    table: Table
    model: TableModel
    actor: Actor
    name: str
    keys: frozenset[str]
    pre: tuple[str, ...]

    def signals(self) -> Iterator[Signal]:
        lab, table = self.lab, self.table
        rows = [r.values for r in lab.fixtures.of(table.key, "A")]
        everything = lab.where_keys(table, rows)
        plan: list[tuple[str, Probe]] = []
        if (look := statements.select(lab, table, self.actor)) is not None:
            plan.append(("select", look))
        stored = lab.fixtures.of(table.key, "A")
        if stored and lab.tries("update"):
            text = statements.overwrite(lab, table, self.actor.role, stored[0])
            if text is not None:
                plan.append(("update", self._probe(text)))
            plan += [("hand over", self._probe(text)) for text in self._handovers()]
        if table.can(self.actor.role, "DELETE") and lab.tries("delete"):
            if table.can(self.actor.role, "SELECT"):
                plan.append(("delete", self._probe(statements.erase(lab, table, everything))))
        if lab.tries("insert"):
            plan += [("insert", p) for p in self._inserts()]
        for (what, item), outcome in zip(plan, self._run(plan), strict=True):
            item.pre = self.pre  # for whoever repeats it
            yield from self._judged(what, item, outcome, rows)

    def _run(self, plan: list[tuple[str, Probe]]) -> list[Outcome]:
        """Run the probes once the role is given: for all together, if they do not look at it."""
        lab, changed = self.lab, {s.table for s in self.lab.model.permission_tables}
        changed |= {m.table for m in lab.model.memberships}
        # Triggers have their say where one hands over or adds, and not where rows are counted.
        quiet = [what not in ("hand over", "insert") for what, _ in plan]
        probes = [item for _, item in plan]
        for item, counted in zip(probes, quiet, strict=True):
            item.replica = counted
        if self.table.key not in changed:
            with lab.after(self.pre, {self.table.key}) as done:
                if done:
                    return lab.run_once(probes)
        for item, counted in zip(probes, quiet, strict=True):
            item.pre, item.replica, item.stay = self.pre, True, counted
        return lab.run_once(probes)

    def _probe(self, text: str) -> Probe:
        return Probe(self.actor, text, watch=(self.table.key,))

    def _reach(self, command: str) -> Reach:
        return Reach(
            every=bool(self.keys & set(self.model.permissions.get(command, ()))),
            team=bool(self.keys & set(self.model.team.get(command, ()))),
            own=bool(self.keys & set(self.model.own.get(command, ()))),
            user=self.actor.user,
            teams=teams_of(self.lab, self.actor),
        )

    def _covers(self, command: str, row: dict[str, Any]) -> bool:
        owner = resolve(self.lab, self.table, row, self.model.owner)
        team = resolve(self.lab, self.table, row, self.model.team_column)
        return self._reach(command).covers(owner, team)

    def _handovers(self) -> Iterator[str]:
        """Give all one can reach to a colleague, and take it out of its team."""
        lab, table = self.lab, self.table
        other = next((m.user for m in lab.cast.members("A") if m.user != self.actor.user), None)
        settings = []
        for name, value in ((self.model.owner, other), (self.model.team_column, None)):
            if (
                not name
                or "." in name
                or (self.actor.role, "UPDATE") not in table.column(name).privileges
                or (value is None and table.column(name).not_null)
            ):
                continue
            settings.append(
                sql.SQL("{} = {}").format(sql.Identifier(name), lab.literal(table, name, value))
            )
        for some in [[s] for s in settings] + ([settings] if len(settings) > 1 else []):
            yield lab.text(sql.SQL("update {} set {}").format(table.sql, sql.SQL(", ").join(some)))

    def _inserts(self) -> Iterator[Probe]:
        """Add a row of one's own, one of a colleague's, and one of nobody's."""
        lab, table, model = self.lab, self.table, self.model
        spare = lab.fixtures.spares.get((table.key, "A"))
        if spare is None:
            return
        own = statements.with_user(lab, table, spare, self.actor)
        other = next((m.user for m in lab.cast.members("A") if m.user != self.actor.user), None)
        shapes = [own]
        for name, value in ((model.owner, other), (model.owner, None)):
            if name and "." not in name:
                apart = own | {name: value}
                if model.team_column and "." not in model.team_column:
                    apart |= {model.team_column: None}
                shapes.append(apart)
        shapes += self._parents(own)
        for values in shapes:
            text = statements.insert_sql(lab, table, self.actor, values)
            if text is not None:
                yield Probe(self.actor, text, watch=(table.key,), values=values)

    def _parents(self, own: dict[str, Any]) -> list[dict[str, Any]]:
        """Offer the row under each parent, whose owner a trigger may copy."""
        out = []
        for fk in self.table.foreign_keys:
            target = self.lab.model.of(fk.target)
            if target.kind != "tenant" or not target.owner or len(fk.columns) < 2:
                continue
            for row in self.lab.fixtures.of(fk.target, "A")[:6]:
                out.append(
                    own
                    | {
                        c: row.values.get(r)
                        for c, r in zip(fk.columns, fk.ref_columns, strict=True)
                    }
                )
        return out

    def _judged(
        self, what: str, item: Probe, outcome: Outcome, rows: list[dict[str, Any]]
    ) -> Iterator[Signal]:
        lab, table = self.lab, self.table
        command = {"hand over": "update"}.get(what, what)
        if what == "select":
            known = lab.hashes(table, item.tag[2])
            seen = {
                identity(table, data)
                for mark in (outcome.result or ())
                if outcome.ok
                for scope, data in known.get(mark, ())
                if scope == lab.cast.a.id
            }
            wanted = {identity(table, r) for r in rows if self._covers("select", r)}
        elif what in ("update", "delete"):
            changes = [c for c in outcome.changes if c.table == table.key and c.kind == "gone"]
            seen = {identity(table, c.data) for c in changes}
            wanted = {identity(table, r) for r in rows if self._covers(command, r)}
        else:
            made = [c.data for c in outcome.changes if c.table == table.key and c.kind == "new"]
            seen = {identity(table, r) for r in made if not self._covers(command, r)}
            wanted = set()
        for signal in compare(table, self.actor, command, item, seen, wanted, outcome):
            if signal.kind == "denied" and what != "select":
                continue  # the built-in roles show what one may write; this is about too much
            yield _told(signal, self.name, what)


def _told(signal: Signal, name: str, what: str) -> Signal:
    who = "own rows" if name == "own" else "the rows of one's teams"
    return replace(
        signal,
        actor=f"{signal.actor} with a role for {who}",
        evidence=f"{what}: {signal.evidence}",
    )
