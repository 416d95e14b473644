"""Rights one gives oneself: a role, an active status, a flag on one's own profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Column, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tickets.shares import sight

__all__ = ["lists_of_rights", "probe"]


Allowed = Mapping[tuple[str, str, str], set[str]]


def probe(lab: Lab, allowed: Allowed) -> list[Signal]:
    """Try to rise through one's own membership row and one's own user rows."""
    return [*_memberships(lab, allowed), *_profiles(lab)]


def _memberships(lab: Lab, allowed: Allowed) -> list[Signal]:
    out: list[Signal] = []
    for m in lab.model.memberships:
        table = lab.catalog.tables.get(m.table)
        if table is None or not lab.wants(m.table):
            continue
        for actor in lab.cast.actors:
            if actor.user is None or actor.state in ("fresh", "both", "stranger", "anonymous"):
                continue
            if "B" in actor.tenants:
                continue
            if actor.is_member and m.role:
                own = actor.tenants.get("A")
                manages = _manages(lab, table, m, actor)
                for role in m.roles:
                    # Where the least may change anybody's role, the roles mean nothing.
                    excused = manages and (own != m.roles[-1] or _alike(lab, allowed))
                    if own and role != own and not excused and _more(lab, allowed, role, own):
                        out += _set(lab, table, m, actor, m.role, role, f"role {role}")
            elif actor.state.startswith("inactive:") and m.status and m.active:
                out += _set(lab, table, m, actor, m.status, m.active, f"status {m.active}")
            elif actor.state == "deleted" and m.deleted:
                out += _set(lab, table, m, actor, m.deleted, None, "no deletion mark")
            elif actor.state.startswith("ended:"):
                column = actor.state.removeprefix("ended:")
                out += _set(lab, table, m, actor, column, None, f"no {column}")
            elif actor.state == "expired" and m.expires:
                out += _set(lab, table, m, actor, m.expires, "2099-01-01", "a later expiry")
        out += _listed(lab, table, m)
    return out


def _listed(lab: Lab, table: Table, m: Any) -> list[Signal]:
    """Let a member whose seat lists no rights put some on the list."""
    actor = next(reversed(lab.cast.members("A")), None)
    if actor is None or not lab.fixtures.replica:
        return []
    for column, rights in lists_of_rights(lab, table).items():
        none = statements.change(lab, table, {column: []}, lab.where(table, {m.user: actor.user}))
        if found := _set(lab, table, m, actor, column, rights, f"all of {column}", (none,)):
            return found
    return []


def lists_of_rights(lab: Lab, table: Table, *, asked: bool = True) -> dict[str, list[Any]]:
    """Return the columns of a seat that list what a person may do, and all that they may list.

    With ``asked`` only those that policies look into.
    """
    words = lab.refs.consulted(table)
    found = {}
    for column in table.columns:
        if column.category == "A" and column.writable and (column.name in words or not asked):
            held = [r.values.get(column.name) for r in lab.fixtures.rows[table.key]]
            if rights := max((v for v in held if v), key=len, default=None):
                found[column.name] = list(rights)
    return found


def _more(lab: Lab, allowed: Allowed, role: str, own: str) -> bool:
    """Whether ``role`` may do something ``own`` may not, or nothing tells the roles apart."""
    can = _by_role(lab, allowed)
    return _alike(lab, allowed) or bool(can.get(role, set()) - can.get(own, set()))


def _alike(lab: Lab, allowed: Allowed) -> bool:
    """Whether nothing tells the roles apart."""
    return len({frozenset(c) for c in _by_role(lab, allowed).values()}) == 1


def _by_role(lab: Lab, allowed: Allowed) -> dict[str, set[tuple[str, str]]]:
    return {
        role: {(k[0], k[1]) for k, v in allowed.items() if k[2] == f"A.{role}" and "A" in v}
        for role in lab.model.roles
    }


def _manages(lab: Lab, table: Table, m: Any, actor: Actor) -> bool:
    """Whether the actor may change other people's roles: then its own is the same right."""
    other = next((a for a in reversed(lab.cast.members("A")) if a.user != actor.user), None)
    if other is None:
        return False
    (outcome,) = lab.run([_update(lab, table, m, actor, m.role, m.roles[-1], other.user)])
    return any(c.kind == "gone" for c in outcome.changes)


def _update(
    lab: Lab, table: Table, m: Any, actor: Actor, column: str, value: Any, user: str | None
) -> Probe:
    text = statements.change(lab, table, {column: value}, lab.where(table, {m.user: user}))
    return Probe(actor, text, watch=(table.key,))


def _set(
    lab: Lab,
    table: Table,
    m: Any,
    actor: Actor,
    column: str,
    value: Any,
    what: str,
    pre: tuple[str, ...] = (),
) -> list[Signal]:
    item = _update(lab, table, m, actor, column, value, actor.user)
    blind = statements.change(lab, table, {column: value})
    plan = [item, Probe(actor, blind, watch=(table.key,))]
    plan = [replace(p, pre=pre, replica=bool(pre)) for p in plan]
    for tried, outcome in zip(plan, lab.run(plan), strict=True):
        rose = [
            c for c in outcome.changes if c.kind == "new" and str(c.data.get(m.user)) == actor.user
        ]
        if rose:
            return [
                Signal(
                    "escalation.self",
                    "escalation",
                    "critical",
                    actor.name,
                    table.key,
                    "update",
                    f"{actor.name} gave itself {what}",
                    "Whoever may write one's own membership decides one's own rights.",
                    "Let memberships change only through a function, or take the column out of the"
                    " update grant.",
                    tried.sql,
                    actor,
                    (table.key,),
                    group=table.key,
                    title="{object}: members can change their own rights",
                )
            ]
    return []


def _profiles(lab: Lab) -> list[Signal]:
    """Change a column of one's own row, then look again at everything."""
    words = lab.refs.words(lab.refs.everything)
    out: list[Signal] = []
    look = sight(lab)
    if not look:
        return []
    outsider = next((a for a in lab.cast.actors if a.state == "stranger"), None)
    member = next(iter(reversed(lab.cast.members("A"))), None)
    for table in lab.tables():
        if not (lab.model.of(table.key).kind == "user" or _is_profile(lab, table)):
            continue
        for actor in [a for a in (outsider, member) if a]:
            users = [
                c
                for c in lab.model.of(table.key).users or lab.model.of(table.key).path
                if table.has(c)
            ]
            if not users:
                continue
            plan = [Probe(actor, look, rows=True, tag=None)]
            for column in table.columns:
                if column.name in users or (actor.role, "UPDATE") not in column.privileges:
                    continue
                if column.name not in words or not column.writable:
                    continue
                for value in _wanted(lab, table, column):
                    own = lab.where(table, {users[0]: actor.user})
                    change = statements.change(lab, table, {column.name: value}, own)
                    plan.append(
                        Probe(
                            actor,
                            f"{change}; {look}",
                            rows=True,
                            watch=("*",),
                            tag=(column.name, value),
                        )
                    )
            plan += _arrivals(lab, table, actor, users, look)
            if len(plan) == 1:
                continue
            outcomes = lab.run(plan)
            before = outcomes[0].result or {}
            for item, outcome in zip(plan[1:], outcomes[1:], strict=True):
                # What a trigger wrote meanwhile (a history, say) was not there to be hidden.
                made = Counter(c.table for c in outcome.changes if c.kind == "new")
                made.subtract(c.table for c in outcome.changes if c.kind == "gone")
                grown = [
                    k
                    for k, n in (outcome.result or {}).items()
                    if outcome.ok and n > before.get(k, 0) + max(0, made[k])
                ]
                if grown:
                    name, value = item.tag[:2]
                    command = item.tag[2] if len(item.tag) > 2 else "update"
                    how = f"setting {name} to {value} on one's own row"
                    if command == "insert":
                        how = f"inserting one's own row with {name} = {value}"
                    out.append(
                        Signal(
                            "escalation.profile",
                            "escalation",
                            "critical",
                            actor.name,
                            table.key,
                            command,
                            f"after {how} more rows of {', '.join(grown[:4])} are visible",
                            "A column that decides access is written by the person it is about.",
                            f"revoke {command} ({name}) on {table.key} from {actor.role};",
                            item.sql,
                            actor,
                            (table.key,),
                            pre=item.pre,
                            group=f"{table.key}.{name}",
                            title="{object}: users can raise their own rights",
                        )
                    )
                    break
    return out


def _arrivals(lab: Lab, table: Table, actor: Actor, users: list[str], look: str) -> list[Probe]:
    """Write one's own row anew, as at sign-up, with a value that could mean more rights."""
    if not lab.standing.describes(table) or not table.can(actor.role, "INSERT"):
        return []
    own = [r for r in lab.fixtures.rows.get(table.key, ()) if r.user == actor.user]
    base = own[0] if own else lab.fixtures.spares.get((table.key, "A"))
    if base is None or not lab.fixtures.replica:
        return []
    values = dict(base.values) | dict.fromkeys(users, actor.user)
    for column in table.columns:
        if column.default and column.name not in users and column.name in table.primary_key:
            values.pop(column.name, None)
    # The row that is there already would only be in the way.
    clear = statements.erase(lab, table, lab.where_keys(table, [own[0].values])) if own else ""
    out = []
    for column in lab.standing.privileged(table):
        if column.name in users or not column.writable:
            continue
        for value in _wanted(lab, table, column):
            text = statements.insert_sql(lab, table, actor, values | {column.name: value})
            if text:
                tag = (column.name, value, "insert")
                pre = (clear,) if clear else ()
                item = Probe(actor, f"{text}; {look}", rows=True, watch=("*",), pre=pre, tag=tag)
                item.replica = True  # what refers to the old row stays
                out.append(item)
    return out


def _is_profile(lab: Lab, table: Table) -> bool:
    model = lab.model.of(table.key)
    return model.kind == "tenant" and any(
        set(u.columns) <= set(model.users) and u.columns for u in table.uniques
    )


def _wanted(lab: Lab, table: Table, column: Column) -> list[Any]:
    """Values that could mean more rights."""
    if column.category == "B":
        return [True, False]
    if column.labels:
        return list(column.labels)[:8]
    for fk in table.foreign_keys:
        if column.name in fk.columns:
            rows = lab.fixtures.of(fk.target, "B")
            ref = fk.ref_columns[fk.columns.index(column.name)]
            return [r.values.get(ref) for r in rows[:2]]
    if column.category == "S":
        from harmonia_py.isolation.references import literals

        found = [
            v for k in table.checks if column.name in k.columns for v in literals(k.expression)
        ]
        near = [v for v in literals(lab.refs.everything) if v.isalpha() and len(v) < 24]
        return list(dict.fromkeys([*found, *near]))[:16]
    if column.base == lab.model.tenant_type:
        return [lab.cast.b.id]
    if column.category == "N":
        return [0, 1, 10, 100, 999]
    return []
