"""A write that is refused only because another tenant has rows: it tells that they exist.

USING lets the rows of others in, WITH CHECK then refuses them: nothing is changed, but an update
without a condition, which the caller's own rows would pass, fails.
"""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements

__all__ = ["probe"]


def probe(lab: Lab, allowed: Mapping[tuple[str, str, str], set[str]]) -> list[Signal]:
    """Update everything in reach, with and without the other tenant's rows in the table."""
    if not lab.fixtures.replica or not lab.tries("update"):
        return []
    out: list[Signal] = []
    for table in lab.tables():
        if lab.model.of(table.key).kind in ("tenant", "root", "user"):
            out += _blind(lab, table, allowed)
    return out


def _blind(
    lab: Lab, table: Table, allowed: Mapping[tuple[str, str, str], set[str]]
) -> list[Signal]:
    actor = next(
        (a for a in lab.cast.members("A") if "A" in allowed.get((table.key, "update", a.name), ())),
        None,
    )
    rows = lab.fixtures.of(table.key, "A")
    if actor is None or not rows:
        return []
    text = statements.overwrite(lab, table, actor.role, rows[0])
    if text is None:
        return []
    (outcome,) = lab.run([Probe(actor, text)])
    if outcome.code != "42501":
        return []
    clear = statements.erase(
        lab,
        table,
        lab.text(
            sql.SQL("ctid in (select t.ctid from {} as t where {} is distinct from {})").format(
                table.sql,
                sql.SQL(lab.scopes.sql(table)),
                sql.Literal(
                    actor.user if lab.model.of(table.key).kind == "user" else lab.cast.a.id
                ),
            )
        ),
    )
    (alone,) = lab.run([Probe(actor, text, pre=(clear,), replica=True)])
    if not alone.ok:
        return []
    return [
        Signal(
            "refusal.tells",
            "oracle",
            "low",
            actor.name,
            table.key,
            "update",
            f"{outcome.message}; without the rows of others it works",
            "USING lets in rows of another tenant that WITH CHECK then refuses: whoever updates"
            " without a condition is told that they exist, and cannot change one's own rows so.",
            "Say in USING what WITH CHECK says.",
            text,
            actor,
            (table.key,),
            group="refusals",
            title="{count} table(s) refuse an update because of another tenant's rows",
        )
    ]
