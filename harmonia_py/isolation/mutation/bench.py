"""Try one mutant: change the database in a savepoint, look at what could notice, go back.

What the original shows is asked only where a mutant shows something, and only as far as needed:
most mutants of a sound project are compared with nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import psycopg
from psycopg.rows import dict_row

from harmonia_py.isolation import introspect
from harmonia_py.isolation.catalog import Catalog, Column
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.mutation import redundancy
from harmonia_py.isolation.mutation.bodies import authority, bodies
from harmonia_py.isolation.mutation.mutants import Mutant
from harmonia_py.isolation.probes import tables
from harmonia_py.isolation.probes.functions import (
    callers,
    dynamic,
    invitations,
    namesakes,
    retries,
    rpc,
    settings,
    totals,
)
from harmonia_py.isolation.probes.identity import accounts
from harmonia_py.isolation.probes.roles import permissions, reach, readers, same_team, selves
from harmonia_py.isolation.probes.tables import (
    closed,
    credentials,
    denied,
    grants,
    oracles,
    records,
    refusals,
    siblings,
    views,
)
from harmonia_py.isolation.probes.tickets import access, bearers, shares
from harmonia_py.isolation.proof import prove_table
from harmonia_py.isolation.references import References

__all__ = ["Bench"]

_Name = tuple[str, ...]
_Key = tuple[str, frozenset[str]]
#: What a helper decides wherever it is asked is looked at once, not table by table.
_ANYWHERE = ""
_BODIES = ("helper body", "function body", "definer")


@dataclass(slots=True)
class _Original:
    """What the original shows for one object and some commands, channel by channel."""

    channels: Iterator[list[Signal]]
    done: int = 0
    names: set[_Name] = field(default_factory=set)

    def upto(self, channel: int) -> set[_Name]:
        """Return what the channels up to a number show; the lab must be as it was."""
        while self.done <= channel:
            self.names |= {_name(s) for s in next(self.channels, [])}
            self.done += 1
        return self.names


class Bench:
    """One laboratory in which mutants are tried one after another."""

    def __init__(self, lab: Lab) -> None:
        """Start with nothing known about the original."""
        self.lab = lab
        self._originals: dict[_Key, _Original] = {}
        self._alone: dict[str, frozenset[_Name]] = {}
        self._kills: dict[str, int] = {}
        self._refused: dict[str, tuple[list[Probe], list[Outcome]]] = {}

    def tried(self, mutant: Mutant) -> tuple[str, str]:
        """Say whether a mutant is killed (and by which rule), survived, or does not count."""
        try:
            if mutant.kind == "grant widened" and self._gives_nothing(mutant):
                return "equivalent", "the role may not use the schema"
            for piece in self._pieces(mutant):
                if (verdict := self._tried_on(piece, mutant)) is not None:
                    self._kills[piece] = self._kills.get(piece, 0) + 1
                    return verdict
        except psycopg.Error as error:
            return "impossible", str(error).splitlines()[0]
        if mutant.kind == "to public":
            return "equivalent", "the expression is never true for the other API roles: all probed"
        return "survived", ""

    def _pieces(self, mutant: Mutant) -> list[str]:
        """Return the objects to look at: first those that gave others away, and small ones."""
        rows = self.lab.fixtures.rows
        found = sorted(
            mutant.objects, key=lambda k: (-self._kills.get(k, 0), len(rows.get(k, ())), k)
        )
        return [_ANYWHERE, *found] if mutant.kind == "helper body" else found

    def _gives_nothing(self, mutant: Mutant) -> bool:
        """Whether a grant changes no privilege that anybody can use."""
        with self.lab.rolled_back():
            for text in mutant.statements:
                self.lab.conn.execute(text.encode())
            return _same_grants(mutant, self.lab.catalog, _reread(self.lab, mutant))

    def _tried_on(self, piece: str, mutant: Mutant) -> tuple[str, str] | None:
        """Look at one object; the original is asked once there is something to compare."""
        known: set[_Name] = set()
        while True:
            number, signals = self._first(piece, mutant, known)
            if not signals:
                return None
            original = self._original(piece, mutant.commands)
            self._aim(piece, mutant.commands)
            known = set(original.upto(number))
            if new := next((s for s in signals if _name(s) not in known), None):
                return "killed", new.rule

    def _first(self, piece: str, mutant: Mutant, known: set[_Name]) -> tuple[int, list[Signal]]:
        """Return the first channel, by number, that shows what is not known, and what it shows."""
        lab = self.lab
        catalog, refs = lab.catalog, lab.refs
        try:
            with lab.rolled_back():
                for text in mutant.statements:
                    lab.conn.execute(text.encode())
                lab.catalog = _reread(lab, mutant)
                if lab.catalog is not catalog:
                    lab.refs = References(lab.catalog)
                self._aim(piece, mutant.commands)
                for attempt in range(2):
                    late = lab.timeouts
                    for number, signals in enumerate(_channels(lab, piece, mutant.commands)):
                        if any(_name(s) not in known for s in signals):
                            if lab.timeouts > late and not attempt:
                                break  # perhaps only the machine was slow: once more
                            return number, signals
                    else:
                        break
        finally:
            lab.catalog, lab.refs = catalog, refs
        return 0, []

    def _original(self, piece: str, commands: frozenset[str]) -> _Original:
        key = piece, commands
        if key not in self._originals:
            self._originals[key] = _Original(_channels(self.lab, piece, commands))
        return self._originals[key]

    def _aim(self, piece: str, commands: frozenset[str]) -> None:
        everything = piece == _ANYWHERE
        self.lab.only = None if everything else frozenset({piece})
        self.lab.commands = None if everything or commands == {"execute"} else commands

    def doubled(self, mutant: Mutant, others: Sequence[Mutant]) -> str | None:
        """Say which other check of the function refuses the same callers.

        Without both, the harness sees what it sees without neither of them alone: so it does
        reach the check, and the other one is why it makes no difference.
        """
        for mate in (*others, *self._called(mutant)):
            if mate is mutant or mate.object != mutant.object or not (mate.body and mutant.body):
                continue
            if mate.body.function.key == mutant.body.function.key:
                both = mutant.body.together(mate.body)
                if both is None:
                    continue
                pair = replace(mutant, statements=(both,))
            else:
                pair = replace(mutant, statements=(*mutant.statements, *mate.statements))
            for piece in self._pieces(mutant):
                # What the mate alone shows counts for nothing here.
                key = f"{piece} {mate.kind} {mate.description}"
                if key not in self._alone:
                    self._alone[key] = self._shown(piece, mate)
                more = self._shown(piece, pair) - self._alone[key] - self._shown_now(piece, mutant)
                # Seen twice: what a slow machine shows once is no reason.
                if more and more & self._shown(piece, pair) - self._shown(piece, mate):
                    return "another check refuses the same; without both it is noticed"
                if len(mutant.objects) > 1 and piece == self._pieces(mutant)[2]:
                    break
        return None

    def held_twice(self, mutant: Mutant) -> str | None:
        """Say why an update policy needs no WITH CHECK, if that was seen.

        Without one, USING holds for the new row too. So every update must end as it did, and of
        each column that the check reads and clients may change, a change must be refused still.
        """
        table = self.lab.catalog.tables.get(mutant.object)
        if mutant.commands != {"update"} or table is None:
            return None
        if mutant.kind not in ("check dropped", "swapped", "true"):
            return None
        before, after = (self._ends(mutant, some) for some in ((), mutant.statements))
        if before != after:
            return None
        policies = [p for p in table.policies if p.command == "update"]
        words = {w for p in policies for w in self.lab.refs.words(p.check or "")}
        changed = [c for c in table.columns if c.name in words and _client_writes(self.lab, c)]
        if not changed:
            return "no client can change what it reads, and USING asks as much"
        refused = [text for text, said, _ in after if "row-level security" in said]
        tried = all(any(f'"{c.name}" = ' in text for text in refused) for c in changed)
        if mutant.kind == "true" or not tried:
            return None
        return "USING, which then holds for new rows, refuses the same"

    def isolated_anyway(self, mutant: Mutant) -> str | None:
        """Say why a condition on the tenant need not be said, if the others isolate by themselves.

        What is left must be proven, and ask all that the condition asks; every probe must end as
        it did.
        """
        lab = self.lab
        if mutant.term is None or not redundancy.repeated(lab, mutant.object, *mutant.term):
            return None
        with lab.rolled_back():
            for text in mutant.statements:
                lab.conn.execute(text.encode())
            catalog = _reread(lab, mutant)
        proofs = prove_table(catalog, lab.model, catalog.tables[mutant.object])
        if any(p.status != "proven" for p in proofs if p.command in mutant.commands):
            return None
        before, after = (self._ends(mutant, some) for some in ((), mutant.statements))
        return redundancy.PROVEN if before == after else None

    def _ends(self, mutant: Mutant, statements: Sequence[str]) -> list[tuple[str, str, int]]:
        """Return how every probe of the mutant's object ends, once statements were run."""
        lab, seen, real = self.lab, list[tuple[str, str, int]](), self.lab.run

        def heard(
            probes: Sequence[Probe], *, single: bool = False, counted: bool = True
        ) -> list[Outcome]:
            outcomes = real(probes, single=single, counted=counted)
            ends = zip(probes, outcomes, strict=True)
            seen.extend((p.sql, o.code + o.message, len(o.changes)) for p, o in ends)
            return outcomes

        with lab.rolled_back():
            for text in statements:
                lab.conn.execute(text.encode())
            lab.run = heard  # type: ignore[method-assign]
            try:
                self._all(mutant.object, mutant.commands)
            finally:
                del lab.run
        return seen

    def _called(self, mutant: Mutant) -> Iterator[Mutant]:
        """Yield the checks of the functions that the changed one calls, each taken out."""
        lab = self.lab
        if mutant.body is None or mutant.commands != {"execute"}:
            return
        for key in sorted(lab.refs.direct(mutant.body.function.source)[1] - lab.refs.helpers):
            called = lab.catalog.functions[key]
            if called.key == mutant.body.function.key or called.exposed:
                continue
            for body in bodies(called, authority(lab)):
                what = f"{called.key}: {body.description}"
                yield replace(mutant, description=what, statements=(body.statement,), body=body)

    def refused_anyway(self, mutant: Mutant) -> str | None:
        """Say what refuses the same calls once a check of a function is gone, if that was seen."""
        if mutant.commands != {"execute"}:
            return None
        if mutant.object not in self._refused:
            self._refused[mutant.object] = redundancy.refused(self.lab, mutant.object)
        calls, before = self._refused[mutant.object]
        with self.lab.rolled_back():
            for text in mutant.statements:
                self.lab.conn.execute(text.encode())
            after = self.lab.run(calls)
        return redundancy.refused_anyway(before, after)

    def read_anyway(self, mutant: Mutant) -> str | None:
        """Say why a condition protects nothing: the policies of the caller decide what is read.

        So it is where a function runs as its caller, cannot write, asks no other function and is
        called by none, which might have other rights.
        """
        if mutant.body is None or mutant.commands != {"execute"}:
            return None
        function, refs = mutant.body.function, self.lab.refs
        keys, called = refs.reach(function.source)
        read = [self.lab.catalog.tables[k] for k in keys]
        callers = [f for f in self.lab.catalog.functions.values() if f.key != function.key]
        if function.definer or function.volatility not in "si" or called or not read:
            return None
        if not all(t.is_base and t.rls for t in read):
            return None
        if any(function.key in refs.direct(f.source)[1] for f in callers):
            return None
        return "it only reads, and what it reads the policies of its caller decide"

    def _shown(self, piece: str, mutant: Mutant) -> frozenset[_Name]:
        """Return all that the probes of an object show after a change of a function."""
        try:
            with self.lab.rolled_back():
                for text in mutant.statements:
                    self.lab.conn.execute(text.encode())
                return self._all(piece, mutant.commands)
        except psycopg.Error:
            return frozenset()

    def _shown_now(self, piece: str, mutant: Mutant) -> set[_Name]:
        self._aim(piece, mutant.commands)
        return self._original(piece, mutant.commands).upto(_LAST)

    def _all(self, piece: str, commands: frozenset[str]) -> frozenset[_Name]:
        self._aim(piece, commands)
        return frozenset(_name(s) for some in _channels(self.lab, piece, commands) for s in some)


#: More than there are channels.
_LAST = 20


def _name(signal: Signal) -> _Name:
    return signal.rule, signal.object, signal.command, signal.actor


def _channels(lab: Lab, piece: str, commands: frozenset[str]) -> Iterator[list[Signal]]:
    """Run the channels that look at the lab's objects and commands, likely killers first."""
    if piece == _ANYWHERE:
        yield access.probe(lab)
        yield accounts.probe(lab)
        yield from callers.channels(lab, helpers=True)
        return
    if commands == {"execute"}:
        yield from callers.channels(lab)
        taken, opened = invitations.probe(lab)
        yield taken
        yield bearers.probe(lab)
        yield rpc.probe(lab, opened)[0]
        told = set(lab.model.public_functions)
        yield retries.probe(lab, told)[0]
        yield namesakes.probe(lab)
        yield dynamic.probe(lab, told)
        yield totals.probe(lab, told)
        yield settings.probe(lab)
        return
    yield grants.probe(lab)
    found = tables.probe(lab)
    yield found.signals
    signals, _ = permissions.probe(lab, found.cells, found.allowed)
    yield signals
    yield selves.probe(lab)
    yield reach.probe(lab)
    yield same_team.probe(lab)
    yield closed.probe(lab, found.allowed)[0]
    yield refusals.probe(lab, found.allowed)
    yield views.probe(lab)[0]
    if commands & {"insert", "update"}:
        yield oracles.probe(lab, found.allowed)
        yield records.probe(lab, found.allowed)
    if "select" in commands:
        yield credentials.probe(lab, found.allowed)
        yield readers.probe(lab)
        yield shares.probe(lab)
        yield siblings.probe(lab)
    if commands >= {"select", "insert", "update", "delete"}:
        yield denied.probe(lab, found.cells, found.allowed)[0]


def _client_writes(lab: Lab, column: Column) -> bool:
    return any((role, "UPDATE") in column.privileges for role in lab.catalog.roles)


def _same_grants(mutant: Mutant, before: Catalog, now: Catalog) -> bool:
    """Whether a grant gave nobody anything."""
    old, new = before.tables.get(mutant.object), now.tables.get(mutant.object)
    return (
        old is not None
        and new is not None
        and old.privileges == new.privileges
        and old.columns == new.columns
    )


def _reread(lab: Lab, mutant: Mutant) -> Catalog:
    """Read again what the mutant changed, and nothing else."""
    catalog = lab.catalog
    if mutant.kind == "definer":
        function = replace(catalog.functions[mutant.object], definer=True)
        return replace(catalog, functions=dict(catalog.functions) | {mutant.object: function})
    changed = {mutant.object, *mutant.objects}
    oids = [t.oid for k in changed if (t := catalog.tables.get(k))]
    if mutant.kind in _BODIES or not oids:
        return catalog
    with lab.conn.cursor(row_factory=dict_row) as cur:
        fresh = introspect.relations(cur, catalog.roles, oids)
    return replace(catalog, tables=dict(catalog.tables) | {t.key: t for t in fresh})
