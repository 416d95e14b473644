"""A team of one's own that has the id of another tenant's: the id alone says nothing.

Where a team is known by its tenant and its id together, two tenants can have the same id: by an
import, by a restored copy, or because whoever makes a team may choose it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.roles.permissions import identity, resolve
from harmonia_py.isolation.probes.roles.reach import given, possible

__all__ = ["probe"]


def probe(lab: Lab) -> list[Signal]:
    """Try what a member who reaches the rows of teams reaches of a tenant that he is not in."""
    source = next((s for s in lab.model.permission_tables if s.tenant), None)
    actor = next((m for m in reversed(lab.cast.members("A")) if "B" not in m.tenants), None)
    people = lab.catalog.table(lab.model.teams.get("table", ""))
    teams = _teams(lab, people) if people else None
    if source is None or actor is None or people is None or teams is None:
        return []
    out: list[Signal] = []
    for table in lab.tables():
        keys = frozenset(k for some in lab.model.of(table.key).team.values() for k in some)
        places = _places(lab, table)
        if not keys or not places or table.key in (people.key, teams.key, source.table):
            continue
        role, joined = given(lab, source, actor, keys), _joined(lab, people, teams, actor, places)
        if role is None or not joined or not possible(lab, actor, role):
            continue
        with lab.after([*role, *joined], {table.key}) as done:
            if done:
                plan = list(_plan(lab, table, actor, places))
                for item, outcome in zip(plan, lab.run(plan), strict=True):
                    out += _judged(lab, table, item, outcome, (*role, *joined))
    return out


def _places(lab: Lab, table: Table) -> list[str]:
    """Return a team of the other tenant that rows are of, and one of what they belong to."""
    found = []
    for key in dict.fromkeys((table.key, *(fk.target for fk in table.foreign_keys))):
        home, column = lab.catalog.table(key), lab.model.of(key).team_column
        rows = lab.fixtures.of(key, "B") if home and column else ()
        teams = {resolve(lab, home, row.values, column) for row in rows if home} - {None}
        found += sorted(map(str, teams))[:1]
    return list(dict.fromkeys(found))


def _teams(lab: Lab, people: Table) -> Table | None:
    """Return the teams, if two tenants can have one of the same id."""
    column = lab.model.teams["team"]
    step = next((fk for fk in people.foreign_keys if column in fk.columns), None)
    teams = lab.catalog.table(step.target) if step else None
    path = lab.model.of(teams.key).path if teams else ()
    if step is None or teams is None or len(path) != 1 or path[0] not in step.ref_columns:
        return None
    ref = step.ref_columns[step.columns.index(column)]
    return None if any(u.is_key and u.columns == (ref,) for u in teams.uniques) else teams


def _joined(lab: Lab, people: Table, teams: Table, actor: Actor, places: list[str]) -> list[str]:
    """Compose what makes such teams in the actor's tenant, and the actor one of their people."""
    names = lab.model.teams
    made = lab.fixtures.spares.get((teams.key, "A"))
    seat = lab.fixtures.spares.get((people.key, "A"))
    step = next(fk for fk in people.foreign_keys if names["team"] in fk.columns)
    if made is None or seat is None:
        return []
    ref = step.ref_columns[step.columns.index(names["team"])]
    keyed = {c for u in teams.uniques for c in u.columns if teams.column(c).category == "S"}
    out = []
    for number, team in enumerate(places):
        apart = {c: f"{made.values.get(c)}{number}" for c in keyed}
        mine = {names["team"]: team, names["user"]: actor.user}
        out += [
            statements.store(lab, teams, made.values | apart | {ref: team}),
            statements.store(lab, people, seat.values | mine),
        ]
    return out


def _plan(lab: Lab, table: Table, actor: Actor, places: list[str]) -> Iterator[Probe]:
    rows = lab.fixtures.of(table.key, "B")
    if (look := statements.select(lab, table, actor)) is not None:
        yield look
    watch = (table.key,)
    # Nothing is read, so that only the policies of the command are asked.
    if rows and lab.tries("update"):
        text = statements.overwrite(lab, table, actor.role, rows[0])
        if text is not None:
            yield Probe(actor, text, watch=watch, replica=True, tag=("update",))
    if lab.tries("delete") and table.can(actor.role, "DELETE"):
        text = statements.erase(lab, table)
        yield Probe(actor, text, watch=watch, replica=True, tag=("delete",))
    if lab.tries("insert"):
        yield from _inserts(lab, table, actor, places)


def _inserts(lab: Lab, table: Table, actor: Actor, teams: list[str]) -> Iterator[Probe]:
    """Add a row of the other tenant to such a team, or to what belongs to it."""
    spare, model = lab.fixtures.spares.get((table.key, "B")), lab.model.of(table.key)
    if spare is None or model.team_column is None:
        return
    own = statements.with_user(lab, table, spare, actor)
    # Nobody's: a foreign key may ask for an owner of the tenant.
    shapes = [own, own | {model.owner: None}] if model.owner in own else [own]
    places: list[dict[str, Any]] = []
    if (actor.role, "INSERT") in table.column(model.team_column.split(".")[0]).privileges:
        places += [{model.team_column: team} for team in teams]
    taken = {identity(table, data) for _, data in lab.before(table).values()}
    for fk in table.foreign_keys:
        target, column = lab.catalog.table(fk.target), lab.model.of(fk.target).team_column
        for row in lab.fixtures.of(fk.target, "B") if target and column else ():
            pairs = zip(fk.columns, fk.ref_columns, strict=True)
            place = {c: row.values.get(ref) for c, ref in pairs}
            free = identity(table, own | place) not in taken
            if target and free and resolve(lab, target, row.values, column) in teams:
                places.append(place)
                break
    for shape, place in product(shapes, places):
        values = shape | place
        text = statements.insert_sql(lab, table, actor, values)
        if text is not None:
            yield Probe(actor, text, watch=(table.key,), values=values, tag=("insert",))


def _judged(
    lab: Lab, table: Table, item: Probe, outcome: Outcome, pre: tuple[str, ...]
) -> Iterator[Signal]:
    theirs, command = lab.cast.b.id, item.tag[0]
    if command == "select":
        known = lab.hashes(table, item.tag[2])
        marks = outcome.result or () if outcome.ok else ()
        found = [data for mark in marks for scope, data in known.get(mark, ()) if scope == theirs]
    else:
        kind = "new" if command == "insert" else "gone"
        changes = [c for c in outcome.changes if c.table == table.key and c.kind == kind]
        found = [c.data for c in changes if c.scope == theirs]
    if not found:
        return
    first = min(identity(table, data) for data in found)
    yield Signal(
        "cross_tenant.team",
        "breach",
        "high",
        item.actor.name,
        table.key,
        command,
        f"{len(found)} row(s) of another tenant, such as {first}",
        "A policy compares the id of a team, and not the tenant whose team it is.",
        f"Let the {command} policy compare the tenant of the row as well.",
        item.sql,
        item.actor,
        (table.key,),
        group="teams",
        title="{object}: a team with the id of another tenant's reaches its rows ({commands})",
        pre=pre,
    )
