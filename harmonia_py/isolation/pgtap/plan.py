"""Which assertions hold a table to its verdict: who cannot, and who can.

Each is tried in the laboratory first. One that says "cannot" and does not hold there is written
only when the report has a finding for the table, which it will then show. Statements that only
a constraint stopped say nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Report
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import statements

__all__ = ["Assertion", "plan"]

_WRITES = ("insert", "update", "delete")
_OUTSIDE = ("stranger", "anonymous", "anon")


@dataclass(frozen=True, slots=True)
class Assertion:
    """Somebody can or cannot run ``command`` on rows of ``scopes`` (None: of anybody).

    ``kind`` is reads, reaches or privilege; ``known`` is the query that knows what there is.
    """

    kind: str
    actor: str
    command: str
    text: str
    statements: tuple[str, ...] = ()
    scopes: tuple[str, ...] | None = None
    mine: tuple[str, ...] = ()
    known: str = ""
    allowed: bool = False


def plan(lab: Lab, table: Table, report: Report) -> list[Assertion]:
    """List the assertions on one table, or none where nothing was judged."""
    kind = lab.model.of(table.key).kind
    if kind not in ("tenant", "root", "user", "public") or table.key in lab.fixtures.errors:
        return []
    planner = _Planner(lab, table, report)
    found = list(planner.privileges())
    found += planner.shared() if kind == "public" else planner.isolated()
    return found


class _Planner:
    def __init__(self, lab: Lab, table: Table, report: Report) -> None:
        self.lab = lab
        self.table = table
        self.found = {
            (actor, command)
            for finding in report.findings
            for command in finding.commands
            for actor in finding.actors
            if table.key in (finding.object, *finding.members)
        }
        model = lab.model.of(table.key)
        members = {m.table: (m.user,) for m in lab.model.memberships}
        self.mine = model.users if model.kind == "user" else members.get(table.key, ())
        self.name = " ".join(table.key.removeprefix("public.").split())

    def privileges(self) -> Iterator[Assertion]:
        """Say which commands a role holds no privilege for, whatever the policies are."""
        for role in ("anon", "authenticated"):
            if role not in self.lab.catalog.roles:
                continue
            for command in ("select", *_WRITES, "truncate"):
                privilege = command.upper()
                columns = any((role, privilege) in c.privileges for c in self.table.columns)
                if not self.table.can(role, privilege) and not columns:
                    text = f"{role} holds no privilege to {command} {self.name}"
                    yield Assertion("privilege", role, command, text)

    def isolated(self) -> Iterator[Assertion]:
        """Say who reaches whose rows of a table whose rows belong to somebody."""
        can: dict[tuple[str, str], bool] = {}
        own: list[Assertion] = []
        for actor in self.lab.cast.actors:
            if actor.state == "fresh":
                continue
            yield from self._reads(actor)
            if actor.state == "both" or (actor.is_member and "B" in actor.tenants):
                continue
            victim = actor.former or "B"
            attacks = self._attacks(actor, victim)
            yield from self._cannot(actor, attacks, self._foreign(actor), self._whose(actor))
            for label in actor.tenants:
                for assertion in self._own(actor, label):
                    can[assertion.command, label] = (
                        can.get((assertion.command, label), False) or assertion.allowed
                    )
                    own.append(assertion)
        # That nobody can at all is no verdict of ours; that others can makes it one.
        yield from (a for a in own if a.allowed or can.get((a.command, "A")))

    def shared(self) -> Iterator[Assertion]:
        """Say who reads rows of nobody, and that outsiders do not change them."""
        for actor in self.lab.cast.actors:
            if actor.state not in ("active", *_OUTSIDE) or "B" in actor.tenants:
                continue
            yield from self._reads(actor)
            if actor.state not in _OUTSIDE:
                continue
            spare = self.lab.fixtures.spares.get((self.table.key, None))
            probes: list[Probe] = []
            texts = (
                [statements.insert_sql(self.lab, self.table, actor, spare.values)] if spare else []
            )
            column = statements.touch_column(self.lab, self.table, actor.role)
            if column is not None:
                texts.append(statements.touch(self.lab, self.table, column))
            texts.append(statements.erase(self.lab, self.table))
            for text in texts:
                if text:
                    tag = (text.split()[0], "shared", None)
                    probes.append(Probe(actor, text, watch=(self.table.key,), tag=tag))
            yield from self._cannot(actor, probes, None, "the shared rows")

    def _reads(self, actor: Actor) -> Iterator[Assertion]:
        probe = statements.select(self.lab, self.table, actor)
        if probe is None:
            return
        (outcome,) = self.lab.run([probe])
        seen = set(outcome.result or ()) if outcome.ok else set()
        rows = self.lab.hashes(self.table, probe.tag[2])
        known = self._known(probe.tag[2])
        public = self.lab.model.of(self.table.key).kind == "public"
        foreign = self._foreign(actor)
        for allowed, scopes, whose in (
            (False, foreign, self._whose(actor)),
            (
                True,
                None if public else self._home(actor),
                "the shared rows" if public else "rows of their own",
            ),
        ):
            if scopes is not None and not scopes:
                continue
            if not allowed and public:
                continue
            hit = any(
                mark in seen and all(self._wanted(actor, s, d, scopes) for s, d in items)
                for mark, items in rows.items()
            )
            if hit == allowed or (not allowed and (actor.name, "select") in self.found):
                verb = "reads" if allowed else "reads none of"
                yield Assertion(
                    "reads", actor.name, "select", f"{actor.name} {verb} {whose}",
                    (probe.sql,), scopes, self._mine(allowed=allowed), known, allowed=allowed,
                )  # fmt: skip

    def _attacks(self, actor: Actor, victim: str) -> list[Probe]:
        lab, table = self.lab, self.table
        out = statements.inserts(lab, table, actor, victim)
        out += statements.updates(lab, table, actor, victim)
        out += statements.deletes(lab, table, actor, victim)
        if actor.is_member:
            own = next(iter(actor.tenants))
            out += statements.moves(lab, table, actor, own, victim)
            out += statements.upserts(lab, table, actor, own, victim)
        return out

    def _cannot(
        self, actor: Actor, probes: list[Probe], scopes: tuple[str, ...] | None, whose: str
    ) -> Iterator[Assertion]:
        if not probes or scopes == ():
            return
        outcomes = self.lab.run(probes)
        for command in _WRITES:
            kept, holds = [], True
            for probe, outcome in zip(probes, outcomes, strict=True):
                if probe.tag[0] != command or _vague(outcome):
                    continue
                kept.append(probe.sql)
                holds = holds and not self._touched(actor, outcome, scopes, allowed=False)
            if kept and (holds or (actor.name, command) in self.found):
                text = f"{actor.name} does not {command} {whose}"
                yield Assertion(
                    "reaches", actor.name, command, text, tuple(dict.fromkeys(kept)),
                    scopes, self._mine(allowed=False),
                )  # fmt: skip

    def _own(self, actor: Actor, label: str) -> Iterator[Assertion]:
        lab, table = self.lab, self.table
        probes = statements.inserts(lab, table, actor, label)
        column = statements.touch_column(lab, table, actor.role)
        rows = lab.fixtures.of(table.key, label)
        mine = [r for r in rows if r.user == actor.user and not r.variant]
        for some in (mine[:1], rows):
            if not some or not table.can(actor.role, "SELECT"):
                continue
            keys = lab.where_keys(table, [r.values for r in some])
            texts = [statements.touch(lab, table, column, keys)] if column else []
            if table.can(actor.role, "DELETE"):
                texts.append(statements.erase(lab, table, keys))
            for text in texts:
                tag = (text.split()[0], "own", label)
                probes.append(Probe(actor, text, watch=(table.key,), tag=tag))
        outcomes = lab.run(probes)
        scopes = self._home(actor)
        for command in _WRITES:
            some_ = [
                (p.sql, o)
                for p, o in zip(probes, outcomes, strict=True)
                if p.tag[0] == command and not _vague(o)
            ]
            if not some_ or not scopes:
                continue
            good = next((s for s, o in some_ if self._touched(actor, o, scopes, allowed=True)), "")
            text = f"{actor.name} can {command} rows of tenant {label}"
            if good:
                yield Assertion("reaches", actor.name, command, text, (good,), scopes, allowed=True)
            else:
                yield Assertion(
                    "reaches", actor.name, command, text.replace("can", "cannot", 1),
                    tuple(dict.fromkeys(s for s, _ in some_)), scopes,
                )  # fmt: skip

    def _touched(
        self, actor: Actor, outcome: Outcome, scopes: tuple[str, ...] | None, *, allowed: bool
    ) -> bool:
        return any(
            change.table == self.table.key
            and self._wanted(actor, change.scope, change.data, scopes, allowed=allowed)
            for change in outcome.changes
        )

    def _wanted(
        self,
        actor: Actor,
        scope: str | None,
        data: dict[str, object],
        scopes: tuple[str, ...] | None,
        *,
        allowed: bool = False,
    ) -> bool:
        own = any(str(data.get(c)) == actor.user for c in self._mine(allowed=allowed))
        return (scopes is None or scope in scopes) and not own

    def _mine(self, *, allowed: bool) -> tuple[str, ...]:
        return () if allowed else tuple(self.mine)

    def _foreign(self, actor: Actor) -> tuple[str, ...]:
        rows = self.lab.before(self.table).values()
        away = {s for s, d in rows if s and self.lab.ownership.foreign(actor, self.table.key, s, d)}
        return tuple(sorted(away - set(self._home(actor))))

    def _home(self, actor: Actor) -> tuple[str, ...]:
        rows = self.lab.before(self.table).values()
        return tuple(
            sorted(
                {
                    s
                    for s, d in rows
                    if s and not self.lab.ownership.foreign(actor, self.table.key, s, d)
                }
            )
        )

    def _whose(self, actor: Actor) -> str:
        if actor.state in _OUTSIDE:
            return "rows of any tenant"
        if actor.former:
            return "rows of the tenant they left"
        return "rows of another tenant"

    def _known(self, columns: tuple[str, ...]) -> str:
        inner = sql.SQL(", ").join(sql.Identifier("t", c) for c in columns)
        return self.lab.text(
            sql.SQL(
                "select pg_catalog.md5(row({})::text), {}, pg_catalog.to_jsonb(t) from {} as t"
            ).format(inner, sql.SQL(self.lab.scopes.sql(self.table)), self.table.sql)
        )


def _vague(outcome: Outcome) -> bool:
    """Whether only a constraint or a broken statement stopped it, which says nothing."""
    return not outcome.ok and not (
        outcome.code == "42501" or outcome.code.startswith("PT") or outcome.code == "P0001"
    )
