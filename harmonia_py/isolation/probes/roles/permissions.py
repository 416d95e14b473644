"""A project that keeps its permissions in tables is held to them, in both directions.

For every table, command and role of a tenant: what is allowed must equal what the permission
table says, row by row (all rows, those of one's teams, one's own), no more and no less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Cell, Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.model import TableModel
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.steps import Steps, together

__all__ = ["Reach", "compare", "held", "identity", "probe", "resolve", "teams_of"]


@dataclass(frozen=True, slots=True)
class Reach:
    """What one actor may do with one command: all rows, its teams' rows, its own rows."""

    every: bool
    team: bool
    own: bool
    user: str | None
    teams: frozenset[str]

    def covers(self, owner: str | None, team: str | None) -> bool:
        """Whether a row of this owner and team is within reach."""
        return (
            self.every
            or (self.own and owner is not None and owner == self.user)
            or (self.team and team is not None and team in self.teams)
        )


def held(lab: Lab) -> dict[str, set[str]]:
    """Read role -> permission keys of tenant A from the project's permission tables."""
    out: dict[str, set[str]] = {}
    for source in lab.model.permission_tables:
        table = lab.catalog.table(source.table)
        if table is None:
            continue
        query = sql.SQL("select {}::text, {}::text from {}").format(
            sql.Identifier(source.role), sql.Identifier(source.permission), table.sql
        )
        if source.tenant:
            query += sql.SQL(" where {} = {}").format(
                sql.Identifier(source.tenant), sql.Literal(lab.cast.a.id)
            )
        for role, key in lab.conn.execute(query).fetchall():
            out.setdefault(role, set()).add(key)
    return out


def probe(
    lab: Lab, cells: list[Cell], allowed: dict[tuple[str, str, str], set[str]]
) -> tuple[list[Signal], list[Cell]]:
    """Compare every cell the model has a say on; return signals and judged cells.

    What was allowed is added to ``allowed``, as the table channel does.
    """
    permissions = held(lab)
    signals: list[Signal] = []
    expected: dict[tuple[str, str, str], str] = {}
    mapped = [t for t in lab.tables() if lab.model.mapped(t.key)]
    pairs = [(t, actor) for t in mapped for actor in lab.cast.members("A")]
    stories = (
        _held_to(lab, t, actor, permissions.get(actor.tenants["A"], set()), allowed)
        for t, actor in pairs
    )
    names = [(t.key, actor.name) for t, actor in pairs]
    heard = dict(zip(names, together(lab, stories), strict=True))
    for table in lab.tables():
        model = lab.model.of(table.key)
        signals += _by_role(lab, table, model, allowed, expected)
        for actor in lab.cast.members("A") if lab.model.mapped(table.key) else ():
            keys = permissions.get(actor.tenants["A"], set())
            said = heard[table.key, actor.name]
            signals += said
            for command in ("select", "insert", "update", "delete"):
                reach = _reach(lab, model, actor, keys, command)
                may = reach.every or reach.team or reach.own
                key = table.key, command, actor.name
                expected[key] = "allow" if may else "deny"
                # No row within reach was ever tried with success: that is not a pass.
                tried = lab.tries(command) and not any(s.command == command for s in said)
                if may and tried and "A" not in allowed.get(key, ()):
                    signals.append(_missing(table, actor, command, "no row within its reach"))
    return signals, [_judged(lab, c, expected, allowed) for c in cells]


def _judged(
    lab: Lab,
    cell: Cell,
    expected: Mapping[tuple[str, str, str], str],
    allowed: Mapping[tuple[str, str, str], set[str]],
) -> Cell:
    if cell.scope != "own":
        return cell
    key = cell.table, cell.command, cell.actor
    if lab.model.mapped(cell.table) and "A" in allowed.get(key, ()):
        cell = replace(cell, actual="allow", detail="")
    return replace(cell, expected=expected.get(key, cell.expected))


def _by_role(
    lab: Lab,
    table: Table,
    model: TableModel,
    allowed: Mapping[tuple[str, str, str], set[str]],
    expected: dict[tuple[str, str, str], str],
) -> Iterable[Signal]:
    """Hold a table to the roles that the model lists for each command."""
    for command, roles in model.roles.items():
        if model.kind == "user" or not lab.tries(command):
            continue
        for actor in lab.cast.members("A"):
            should = actor.tenants["A"] in roles
            can = "A" in allowed.get((table.key, command, actor.name), ())
            expected[table.key, command, actor.name] = "allow" if should else "deny"
            if can and not should:
                yield Signal(
                    "permission.excess",
                    "escalation",
                    "high",
                    actor.name,
                    table.key,
                    command,
                    f"{actor.name} can {command}; the model lists {', '.join(roles) or 'nobody'}",
                    "A role can do more than the model says.",
                    f"Correct the {command} policy, or the roles in harmonia.toml.",
                    "",
                    actor,
                    (table.key,),
                    group=table.key,
                    title="{object}: a role can do more than the model says ({commands})",
                )
            elif should and not can:
                yield _missing(table, actor, command, f"{actor.name} cannot {command}")


def _reach(lab: Lab, model: TableModel, actor: Actor, keys: set[str], command: str) -> Reach:
    return Reach(
        every=bool(keys & set(model.permissions.get(command, ()))),
        team=bool(keys & set(model.team.get(command, ()))),
        own=bool(keys & set(model.own.get(command, ()))),
        user=actor.user,
        teams=teams_of(lab, actor),
    )


def teams_of(lab: Lab, actor: Actor) -> frozenset[str]:
    """Return the teams the actor is in."""
    where = lab.model.teams
    rows = lab.fixtures.rows.get(where.get("table", ""), ())
    return frozenset(
        str(r.values.get(where["team"]))
        for r in rows
        if str(r.values.get(where["user"])) == actor.user
    )


def _held_to(
    lab: Lab,
    table: Table,
    actor: Actor,
    keys: set[str],
    allowed: dict[tuple[str, str, str], set[str]],
) -> Steps[list[Signal]]:
    model = lab.model.of(table.key)
    out: list[Signal] = []
    # As they are, not as they were seeded: triggers write rows of the tenant too.
    rows = [data for scope, data in lab.before(table).values() if scope == lab.cast.a.id]
    places = [
        (r, resolve(lab, table, r, model.owner), resolve(lab, table, r, model.team_column))
        for r in rows
    ]
    reads = _reach(lab, model, actor, keys, "select")
    visible = {identity(table, r) for r, owner, team in places if reads.covers(owner, team)}
    item = statements.select(lab, table, actor)
    if item is not None and lab.tries("select"):
        outcome = yield item
        known = lab.hashes(table, item.tag[2])
        seen = {
            identity(table, data)
            for mark in (outcome.result or ())
            if outcome.ok
            for scope, data in known.get(mark, ())
            if scope == lab.cast.a.id
        }
        if seen:
            allowed.setdefault((table.key, "select", actor.name), set()).add("A")
        out += compare(table, actor, "select", item, seen, visible, outcome)
    elif lab.tries("select") and visible:
        out.append(_missing(table, actor, "select", "no SELECT privilege"))
    everything = lab.where_keys(table, rows)
    for command in ("update", "delete"):
        if not lab.tries(command):
            continue
        reach = _reach(lab, model, actor, keys, command)
        wanted = {identity(table, r) for r, owner, team in places if reach.covers(owner, team)}
        wanted &= visible
        text = _write(lab, table, actor, command, everything)
        if text is None:
            if wanted and model.permissions.get(command):
                out.append(_missing(table, actor, command, f"no {command.upper()} privilege"))
            continue
        change = Probe(actor, text, watch=(table.key,), replica=True)
        outcome = yield change
        done = {
            identity(table, c.data)
            for c in outcome.changes
            if c.table == table.key and c.kind == "gone" and c.scope == lab.cast.a.id
        }
        if done:
            allowed.setdefault((table.key, command, actor.name), set()).add("A")
        out += compare(table, actor, command, change, done, wanted, outcome)
    if lab.tries("insert"):
        reach = _reach(lab, model, actor, keys, "insert")
        out += yield from _inserts(lab, table, model, actor, reach, allowed)
    return out


def _write(lab: Lab, table: Table, actor: Actor, command: str, where: str) -> str | None:
    if command == "delete":
        can = table.can(actor.role, "DELETE") and table.can(actor.role, "SELECT")
        return statements.erase(lab, table, where) if can else None
    column = statements.touch_column(lab, table, actor.role)
    if column is None or not table.can(actor.role, "SELECT"):
        return None
    return statements.touch(lab, table, column, where)


def _inserts(
    lab: Lab,
    table: Table,
    model: TableModel,
    actor: Actor,
    reach: Reach,
    allowed: dict[tuple[str, str, str], set[str]],
) -> Steps[list[Signal]]:
    out: list[Signal] = []
    spare = lab.fixtures.spares.get((table.key, "A"))
    if spare is None:
        return out
    own = statements.with_user(lab, table, spare, actor)
    shapes = [own]
    other = next((m.user for m in lab.cast.members("A") if m.user != actor.user), None)
    if model.owner and "." not in model.owner and other:
        apart = own | {model.owner: other}
        if model.team_column and "." not in model.team_column:
            apart |= {model.team_column: None}
        shapes.append(apart)
        shapes.append(own | ({model.team_column: None} if model.team_column else {}))
    # Where the owner is not the client's to give, it is the parent's.
    if model.owner and (
        "." in model.owner or (actor.role, "INSERT") not in table.column(model.owner).privileges
    ):
        shapes += _under_other_parents(lab, table, own, actor)
    for values in shapes:
        text = statements.insert_sql(lab, table, actor, values)
        # A trigger may decide the owner: then the row that came out is what is judged.
        given = {c.name for c in table.columns if (actor.role, "INSERT") in c.privileges}
        told = all(
            (spec or "").split(".")[0] in given | {""} for spec in (model.owner, model.team_column)
        )
        expected = reach.every or (
            told
            and reach.covers(
                resolve(lab, table, values, model.owner),
                resolve(lab, table, values, model.team_column),
            )
        )
        if text is None:
            if expected:
                out.append(_missing(table, actor, "insert", "no INSERT privilege"))
            continue
        item = Probe(actor, text, watch=(table.key,))
        outcome = yield item
        made = [c.data for c in outcome.changes if c.kind == "new" and c.table == table.key]
        if made:
            expected = reach.covers(
                resolve(lab, table, made[0], model.owner),
                resolve(lab, table, made[0], model.team_column),
            )
        done = outcome.constraint or bool(made)
        if done:
            allowed.setdefault((table.key, "insert", actor.name), set()).add("A")
        if outcome.constraint and not told:
            continue
        mark = {"a row of the tenant"}
        out += compare(
            table,
            actor,
            "insert",
            item,
            mark if done else set(),
            mark if expected else set(),
            outcome,
        )
    return out


def _under_other_parents(
    lab: Lab, table: Table, own: dict[str, Any], actor: Actor
) -> list[dict[str, Any]]:
    """Offer the row under each kind of parent: the actor's, another's, a team's, nobody's."""
    out: list[dict[str, Any]] = []
    for fk in table.foreign_keys:
        if lab.model.of(fk.target).kind != "tenant" or own.get(fk.columns[-1]) is None:
            continue
        owner = lab.model.of(fk.target).owner or ""
        rows = lab.fixtures.of(fk.target, "A")
        by_owner = {str(r.values.get(owner, r.user)): r for r in rows}
        for name in sorted(by_owner, key=lambda name: name != actor.user)[:4]:
            out.append(own | {fk.columns[-1]: by_owner[name].values.get(fk.ref_columns[-1])})
    return out


def resolve(lab: Lab, table: Table, values: dict[str, Any], spec: str | None) -> str | None:
    """Follow ``column`` or ``fk_column.column`` from a row to a value."""
    if not spec:
        return None
    first, _, rest = spec.partition(".")
    value = values.get(first)
    if not rest or value is None:
        return None if value is None else str(value)
    for fk in table.foreign_keys:
        if first not in fk.columns or lab.model.of(fk.target).kind != "tenant":
            continue
        ref = fk.ref_columns[fk.columns.index(first)]
        target = lab.catalog.table(fk.target)
        for row in lab.fixtures.rows.get(fk.target, ()):
            if target is not None and str(row.values.get(ref)) == str(value):
                return resolve(lab, target, row.values, rest)
    return None


def identity(table: Table, row: dict[str, Any]) -> str:
    """Name a row by its key, for a person."""
    columns = table.primary_key or tuple(sorted(row))
    return ", ".join(f"{c}={row.get(c)}" for c in columns)


def compare(
    table: Table,
    actor: Actor,
    command: str,
    item: Probe,
    seen: set[str],
    wanted: set[str],
    outcome: Outcome,
) -> Iterable[Signal]:
    """Yield what was reached beyond ``wanted``, and what of it was not."""
    if excess := sorted(seen - wanted):
        yield Signal(
            "permission.excess",
            "escalation",
            "high",
            actor.name,
            table.key,
            command,
            f"{len(excess)} row(s) beyond its permissions, such as {excess[0]}",
            "A role can do more than the permission table says.",
            f"Let the {command} policy ask for the permission that harmonia.toml names.",
            item.sql,
            actor,
            (table.key,),
            group=table.key,
            title="{object}: a role can do more than its permissions ({commands})",
        )
    if missing := sorted(wanted - seen):
        said = f": {outcome.code} {outcome.message}" if not outcome.ok else ""
        yield _missing(table, actor, command, f"{len(missing)} row(s), such as {missing[0]}{said}")


def _missing(table: Table, actor: Actor, command: str, evidence: str) -> Signal:
    return Signal(
        "permission.denied",
        "denied",
        "medium",
        actor.name,
        table.key,
        command,
        evidence,
        "The permission table allows it and the database does not.",
        f"Compare the {command} policies and grants of {table.key} with harmonia.toml.",
        group=table.key,
        title="{object}: a role can do less than its permissions ({commands})",
    )
