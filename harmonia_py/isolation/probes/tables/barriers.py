"""Views that filter with their owner's rights, and let the caller's own conditions run first.

Without ``security_barrier`` the planner may put a cheap condition of the caller before the view's
own; a function in it then sees the rows that the view goes on to hide. It is tried with one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Column, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe

__all__ = ["probe"]

_MOST = 300


def probe(lab: Lab, known: Collection[str]) -> list[Signal]:
    """Put a condition that tells what it sees before every such view; ``known`` are open anyway."""
    out: list[Signal] = []
    for view in lab.catalog.reachable():
        if view.kind != "view" or view.key in known or not lab.wants(view.key):
            continue
        if view.security_invoker or _is_barrier(view) or not lab.tries("select"):
            continue
        values = _values(lab, view)
        actors = [*lab.cast.members("A")[-1:]]
        actors += [a for a in lab.cast.actors if a.state == "stranger"]
        for actor in actors:
            plan = list(_plan(lab, view, actor, _hidden(lab, view, actor, values)))
            found = next(
                (
                    (item, value)
                    for item, outcome in zip(plan, lab.run(plan), strict=True)
                    for value in values
                    if not outcome.ok and f"saw {value}" in outcome.message
                ),
                None,
            )
            if found is not None:
                out.append(_signal(view, *found))
                break
    return out


def _hidden(lab: Lab, view: Table, actor: Actor, values: list[str]) -> list[str]:
    """Leave out what the view shows everybody anyway."""
    columns = [c.name for c in view.readable(actor.role)]
    if not columns or not values:
        return []
    text = sql.SQL("select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x)) from (select {} from {}) x")
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    (outcome,) = lab.run([Probe(actor, lab.text(text.format(names, view.sql)), rows=True)])
    shown = str(outcome.result)
    return [v for v in values if v not in shown] if outcome.ok else []


def _is_barrier(view: Table) -> bool:
    return any(
        option.partition("=")[0] == "security_barrier"
        and option.partition("=")[2] in ("true", "on", "1", "yes", "")
        for option in view.options
    )


def _values(lab: Lab, view: Table) -> list[str]:
    """Collect what is known to be B's in the tables behind the view."""
    reached, _ = lab.refs.reach(view.definition or "")
    found: dict[str, None] = {}
    for key in sorted(set(view.sources) | reached):
        for row in lab.fixtures.of(key, "B"):
            for value in row.values.values():
                if lab.fixtures.canaries.get(str(value)) == "B":
                    found[str(value)] = None
    return list(found)[:_MOST]


def _plan(lab: Lab, view: Table, actor: Actor, values: list[str]) -> Iterator[Probe]:
    """Make the spy, which fails with what it was not meant to see, and ask it about a column.

    Texts come first: another type is turned into one by a function that costs something.
    """
    if not values:
        return
    known = sql.SQL(", ").join(map(sql.Literal, values))
    columns: list[Column] = sorted(
        (c for c in view.readable(actor.role) if c.category in "SU"), key=lambda c: c.category
    )
    for column in columns[:8]:
        spy = sql.SQL(
            "create function pg_temp.hz_spy(seen {type}) returns boolean language plpgsql"
            " cost 0.0000001 as $hz$ begin if seen::text = any (array[{known}]) then raise"
            " exception 'saw %', seen; end if; return true; end $hz$;"
            " select pg_catalog.jsonb_agg(true) from {view} where pg_temp.hz_spy({column})"
        ).format(
            type=sql.SQL(column.type),
            known=known,
            view=view.sql,
            column=sql.Identifier(column.name),
        )
        yield Probe(actor, lab.text(spy), rows=True)


def _signal(view: Table, item: Probe, value: str) -> Signal:
    return Signal(
        "view.barrier",
        "breach",
        "medium",
        item.actor.name,
        view.key,
        "select",
        f"a function in the caller's condition saw {value}, a value of tenant B",
        "The view hides rows by its own condition alone, and is no barrier: a condition of the"
        " caller may run first and see them. It takes somebody who can run SQL, or a function that"
        " tells what it is given.",
        f"alter view {view.key} set (security_invoker = true), or set (security_barrier = true).",
        item.sql,
        item.actor,
        (view.key,),
        group="barriers",
        title="{object}: a condition of the caller sees the rows that the view hides",
    )
