"""Guests and shares: they end when they say, reach no further than they say, and are not taken."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.infer import ends_of
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.sight import answering
from harmonia_py.isolation.probes.sight import look as counted
from harmonia_py.isolation.shares import Share, treaties

__all__ = ["probe", "sight"]

#: What people do to a share of their own, and may take back.
_OWN_CHOICE = re.compile(r"left|leav|archiv|hid|mut", re.I)


def probe(lab: Lab) -> list[Signal]:
    """Give an outsider each kind of share, live and ended, and look what opens."""
    out: list[Signal] = []
    outsider = next(
        (a for s in ("stranger", "fresh") for a in lab.cast.actors if a.state == s), None
    )
    look = sight(lab)
    if outsider is None or not look:
        return out
    for share in lab.shares.values():
        table = lab.catalog.tables[share.table]
        rows = lab.fixtures.of(share.table, "B")
        if rows and lab.wants(share.table):
            given = {share.user: outsider.user}
            out += _Trial(lab, share, table, rows[0].values | given, outsider, look).signals()
    return [*out, *_between(lab, look)]


def _between(lab: Lab, look: str) -> Iterator[Signal]:
    """Let tenant A in by what tenant B may open to it, in the name of A's weakest member."""
    people = lab.cast.members("A")
    root = lab.model.tenant_table
    for share in treaties(lab.catalog, lab.model, lab.refs) if people else ():
        table = lab.catalog.tables[share.table]
        rows = lab.fixtures.of(share.table, "B")
        if rows and lab.fixtures.replica and lab.wants(share.table):
            both = {fk.columns[0]: lab.cast.b.id for fk in table.foreign_keys if fk.target == root}
            values = rows[0].values | both | {share.user: lab.cast.a.id}
            yield from _Trial(lab, share, table, values, people[-1], look).signals()


def sight(lab: Lab) -> str:
    """Compose the statement that counts what is visible in every table that isolates rows."""
    tables = [
        t
        for t in lab.catalog.reachable()
        if t.is_base
        and not t.parent
        and lab.model.of(t.key).kind in ("tenant", "root", "user")
        and t.readable("authenticated")
    ]
    return counted(lab, answering(lab, tables))


class _Trial:
    """One kind of share, offered to one outsider."""

    def __init__(
        self,
        lab: Lab,
        share: Share,
        table: Table,
        values: dict[str, Any],
        outsider: Actor,
        look: str,
    ) -> None:
        self.lab, self.share, self.table, self.outsider, self.look = (
            lab, share, table, outsider, look,
        )  # fmt: skip
        self.values = dict(values)
        for name in table.primary_key if len(table.primary_key) == 1 else ():
            if table.column(name).base == "uuid":
                self.values[name] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"share {table.key}"))
            elif table.column(name).identity or table.column(name).default:
                del self.values[name]  # the next number

    def signals(self) -> Iterator[Signal]:
        """Yield what is wrong; nothing can be said of a share that opens nothing."""
        alone = self._seen(None)
        opened = self._more(self._seen(self.share.live()), alone)
        if not opened:
            return
        ended = True
        for column, how in self.share.states().items():
            item = self._probe(self.share.over(column), self.look)
            still = self._more(self.lab.run([item])[0], alone) & opened
            if still:
                ended = False
                yield self._signal(
                    "lifecycle.share", "select", item, f"{column} {how}: {_list(still)} open",
                    "A share that is over still opens rows.",
                    f"Compare {column} of {self.table.key} wherever a policy reads it.",
                    "{object}: a share stays open after its end",
                )  # fmt: skip
        if ended:  # a policy that asks nothing of the share asks nothing of the thing either
            yield from self._deleted(alone, opened)
        yield from self._beyond(alone)
        yield from self._flags(opened)
        yield from self._taken(alone)
        if ended:
            yield from self._prolonged()

    def _prolonged(self) -> Iterator[Signal]:
        """Let whom a share let in bring it back once it is over."""
        lab, keys = self.lab, list(self.table.primary_key)
        if any(self.values.get(k) is None for k in keys):  # told apart by what it names, then
            named = dict.fromkeys(c for fk in self.table.foreign_keys for c in fk.columns)
            keys = [c for c in named if self.values.get(c) is not None]
        if not keys:
            return
        for column, how in self.share.states().items():
            if _OWN_CHOICE.search(column):
                continue
            over = self.share.over(column)
            where = lab.where(self.table, {k: (self.values | over)[k] for k in keys})
            text = statements.change(lab, self.table, {column: self.share.live()[column]}, where)
            item = self._probe(over, text, watch=(self.table.key,))
            (outcome,) = lab.run([item])
            if outcome.ok and outcome.affected:
                yield self._signal(
                    "escalation.share", "update", item,
                    f"with {column} {how}, whom it let in sets it back",
                    "The end of a share is up to whom it lets in.",
                    "Let only the owner of what is shared change shares.",
                    "{object}: who was let in for a while can stay",
                )  # fmt: skip
                return

    def _beyond(self, alone: Outcome) -> Iterator[Signal]:
        """Count the rows of what was shared: one share opens one of them."""
        lab = self.lab
        things = {
            fk.target
            for fk in self.table.foreign_keys
            if lab.model.of(fk.target).kind == "tenant"
            and not any(fk.target == m.table for m in lab.model.memberships)
        }
        if len(things) != 1:
            return
        (key,) = things
        thing = lab.catalog.tables[key]
        if any(fk.target == key for fk in thing.foreign_keys):
            return  # a folder opens what is in it
        item = self._probe(self.share.live(), self.look)
        spare = lab.fixtures.spares.get((key, "B"))
        if len(lab.fixtures.of(key, "B")) < 2 and spare is not None:
            item.pre = (*item.pre, self._stored(thing, spare.values))
        (outcome,) = lab.run([item])
        opened = (outcome.result or {}).get(key, 0) - (alone.result or {}).get(key, 0)
        if opened > 1:
            yield self._signal(
                "share.beyond", "select", item,
                f"a share of one row of {key} opens {opened} of them",
                "A share of one thing opens other things of the same owner.",
                f"Compare the key of {key} with what {self.table.key} names.",
                "{object}: a share opens more than it names",
                objects=(key,),
            )  # fmt: skip

    def _deleted(self, alone: Outcome, opened: set[str]) -> Iterator[Signal]:
        """Mark as deleted what was shared: it is gone for whom it was shared with."""
        for fk in self.table.foreign_keys:
            thing = self.lab.catalog.tables.get(fk.target)
            if thing is None or self.lab.model.of(fk.target).kind not in ("tenant", "user"):
                continue
            for column in ends_of(thing)[0]:
                ends = zip(fk.columns, fk.ref_columns, strict=True)
                key = self.lab.where(thing, {there: self.values.get(here) for here, there in ends})
                mark = statements.change(self.lab, thing, {column: "2026-01-02"}, key)
                if self._kept_by_members(thing, mark):
                    continue
                item = self._probe(self.share.live(), self.look)
                item.pre = (mark, *item.pre)
                if still := self._more(self.lab.run([item])[0], alone) & opened:
                    yield self._signal(
                        "lifecycle.shared", "select", item,
                        f"with {column} of {thing.key} set: {_list(still)} open through"
                        f" {self.table.key}",
                        "What its owner deleted stays open for those it was shared with.",
                        f"Ask {column} of {thing.key} wherever a policy reads {self.table.key}.",
                        "{object}: a share opens what was deleted",
                        objects=(thing.key,),
                    )  # fmt: skip

    def _kept_by_members(self, thing: Table, mark: str) -> bool:
        """Whether a marked row stays visible to the least of the tenant: archived, not deleted.

        The strongest may look into a bin, and so may everybody into one's own.
        """
        member = next(reversed(self.lab.cast.members("B")), None)
        if member is None or self.lab.model.of(thing.key).kind != "tenant":
            return False
        # Not by a share of their own.
        alone = self.lab.text(sql.SQL("delete from {}").format(self.table.sql))
        before, after = self.lab.run(
            [
                Probe(member, self.look, rows=True, pre=(alone, *pre), replica=True)
                for pre in ((), (mark,))
            ]
        )
        seen = (before.result or {}).get(thing.key, 0)
        return bool(seen) and (after.result or {}).get(thing.key, 0) >= seen

    def _flags(self, opened: set[str]) -> Iterator[Signal]:
        """Find a flag that policies mention, and without which rows are written all the same."""
        for flag in self.share.flags:
            for key in sorted(opened):
                written: dict[bool, bool] = {}
                for value in (True, False):
                    item = self._write(key, self.share.live() | {flag: value})
                    if item is not None:
                        (outcome,) = self.lab.run([item])
                        written[value] = any(c.kind == "gone" for c in outcome.changes)
                if item is not None and written == {True: True, False: True}:
                    yield self._signal(
                        "share.flag", "update", item,
                        f"rows of {key} can be changed with {flag} false as with {flag} true",
                        f"The column {flag} is meant to say how far a share goes, and nothing asks"
                        " it.",
                        f"Ask {flag} in the update policy of {key}.",
                        "{object}: a share allows more than it says",
                        objects=(key,),
                    )  # fmt: skip

    def _taken(self, alone: Outcome) -> Iterator[Signal]:
        """Let the outsider make the share for itself."""
        live = self.values | self.share.live()
        text = statements.insert_sql(self.lab, self.table, self.outsider, live)
        if text is None:
            return
        item = Probe(self.outsider, f"{text}; {self.look}", rows=True)
        (outcome,) = self.lab.run([item])
        if opened := self._more(outcome, alone):
            yield self._signal(
                "escalation.share", "insert", item,
                f"after naming oneself in {self.table.key}: {_list(opened)} open",
                "The person a row opens doors for may write that row.",
                "Let only the owner of what is shared insert shares.",
                "{object}: people can share other people's rows with themselves",
            )  # fmt: skip

    def _seen(self, changes: dict[str, Any] | None) -> Outcome:
        return self.lab.run([self._probe(changes, self.look)])[0]

    def _more(self, outcome: Outcome, alone: Outcome) -> set[str]:
        before = alone.result or {}
        return {
            k
            for k, n in (outcome.result or {}).items()
            if outcome.ok and k != self.table.key and n > before.get(k, 0)
        }

    def _probe(self, changes: dict[str, Any] | None, text: str, **more: Any) -> Probe:
        pre = () if changes is None else (self._insert(changes),)
        return Probe(self.outsider, text, rows=not more, pre=pre, replica=bool(pre), **more)

    def _write(self, key: str, changes: dict[str, Any]) -> Probe | None:
        table = self.lab.catalog.tables[key]
        usual = statements.touch_column(self.lab, table, self.outsider.role)
        column = statements.constant_column(table, self.outsider.role, usual)
        rows = self.lab.fixtures.of(key, "B")
        if column is None or not rows:
            return None
        text = statements.change(self.lab, table, {column.name: rows[0].values.get(column.name)})
        return self._probe(changes, text, watch=(key,))

    def _insert(self, changes: dict[str, Any]) -> str:
        return self._stored(self.table, self.values | changes)

    def _stored(self, table: Table, row: dict[str, Any]) -> str:
        return statements.store(self.lab, table, row)

    def _signal(
        self, rule: str, command: str, item: Probe, evidence: str, why: str, fix: str, title: str,
        objects: tuple[str, ...] = (),
    ) -> Signal:  # fmt: skip
        return Signal(
            rule, "breach", "high", "a guest", self.table.key, command, evidence, why, fix,
            item.sql, item.actor, (self.table.key, *objects), self.table.key, title, item.pre,
        )  # fmt: skip


def _list(keys: set[str]) -> str:
    return ", ".join(sorted(keys)[:6])
