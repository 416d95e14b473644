"""Conditions that are written down and decide nothing.

A policy that asks for a flag of the row must show some caller something else once the flag has
another value; a helper that policies ask with different words must answer some role differently.
Where nobody in the whole cast notices, an ``or`` stands where an ``and`` belongs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from typing import Any

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Column, Function, Policy, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import home, statements
from harmonia_py.isolation.probes.functions.arguments import is_tenant
from harmonia_py.isolation.probes.functions.uses import items
from harmonia_py.isolation.probes.roles.escalation import lists_of_rights
from harmonia_py.isolation.probes.roles.naming import named
from harmonia_py.isolation.references import literals

__all__ = ["probe", "values_of"]

_COMMANDS = ("select", "update", "delete")
#: What a helper that grants nothing answers, as a list of its rows.
_NOTHING = ("None", "[None]", "[False]")
_CONSTANT = re.compile(r"\(?(?:true|false|(?:ARRAY\[)?'[^']*'.*)$", re.I | re.DOTALL)


def probe(lab: Lab) -> list[Signal]:
    """Turn every flag that a policy names, and ask every helper all that policies ask it."""
    out: list[Signal] = []
    if lab.fixtures.replica:
        for table in lab.tables():
            if lab.model.of(table.key).kind in ("tenant", "root", "user"):
                out += _flags(lab, table)
    out += _helpers(lab)
    return out


# Flags of a row ------------------------------------------------------------------------------


def _flags(lab: Lab, table: Table) -> Iterator[Signal]:
    for column in table.columns:
        values = values_of(table, column)
        if len(values) < 2:
            continue
        for command in _COMMANDS:
            asking = _asking(lab, table, command, column)
            if lab.tries(command) and asking and not _apart(lab, table, command, column, asking):
                item = _unnoticed(lab, table, command, column, values)
                if (
                    item is not None
                    and _matters(lab, table, command, column, item)
                    and not _if_named(lab, table, command, column, values)
                ):
                    yield _flag(table, command, column, values, item)
                    break


def values_of(table: Table, column: Column) -> list[Any]:
    """Return the few values that a flag can have."""
    if not column.writable or column.name in table.primary_key:
        return []
    if column.category == "B":
        return [True, False]
    if column.category == "D":
        return [] if column.not_null else ["2026-01-02T00:00:00Z", None]
    listed = list(column.labels)
    for check in table.checks:
        if check.columns == (column.name,) and "~" not in check.expression:
            listed += literals(check.expression)
    return list(dict.fromkeys(listed))[:5]


def _asking(lab: Lab, table: Table, command: str, column: Column) -> list[Policy]:
    """Return the policies of the command that name the row's own column (no other table's)."""
    name = re.escape(column.name)
    own = re.compile(rf'(?<![\w."]){name}(?![\w"(])|\b{re.escape(table.name)}\."?{name}\b')
    return [
        policy
        for policy in table.policies_for(command, "authenticated")
        if own.search(re.sub(r"'[^']*'", "''", policy.using or ""))
    ]


def _apart(lab: Lab, table: Table, command: str, column: Column, asking: list[Policy]) -> bool:
    """Whether the flag stands in an alternative that asks a list of people no other one asks.

    Everybody of the cast may get in another way as well; then nobody can notice, and need not.
    """
    ways = [
        (policy in asking and column.name in lab.refs.words(way), lab.refs.reach(way)[0])
        for policy in table.policies_for(command, "authenticated")
        if policy.permissive
        for way in _alternatives(policy.using or "")
    ]
    others = [tables for flagged, tables in ways if not flagged]
    known = {table.key}.union(*others)
    return bool(others) and any(tables - known for flagged, tables in ways if flagged)


def _alternatives(text: str) -> list[str]:
    """Split a condition at the ``or``s that nothing else encloses."""
    text = text.strip()
    while text.startswith("(") and _closing(text) == len(text) - 1:
        text = text[1:-1].strip()
    out, depth, start = [], 0, 0
    for match in re.finditer(r"[()]|'(?:[^']|'')*'|\bor\b", text, re.I):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0 and match[0].lower() == "or":
            out.append(text[start : match.start()])
            start = match.end()
    return [*out, text[start:]]


def _closing(text: str) -> int:
    """Return where the bracket closes that the text begins with."""
    depth = 0
    for match in re.finditer(r"[()]|'(?:[^']|'')*'", text):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.start()
    return -1


def _matters(lab: Lab, table: Table, command: str, column: Column, shown: Probe) -> bool:
    """Whether anybody of the cast lives by these policies: else nothing could be noticed."""
    closing = tuple(
        lab.text(
            sql.SQL("alter policy {} on {} using (false)").format(
                sql.Identifier(policy.name), table.sql
            )
        )
        for policy in _asking(lab, table, command, column)
    )
    without = replace(shown, pre=(*shown.pre, *closing))
    before, after = lab.run([shown, without])
    return after.ok and home.weight(shown, after) < home.weight(shown, before)


def _unnoticed(
    lab: Lab, table: Table, command: str, column: Column, values: list[Any]
) -> Probe | None:
    """Return a probe when every caller gets the same with every value, and somebody something."""
    actors = [a for a in lab.cast.actors if a.state not in ("fresh", "moved")]
    seen: dict[str, set[int]] = defaultdict(set)
    shown: Probe | None = None
    for value in values:
        plan = _plan(lab, table, command, column, value, actors)
        if not plan:
            return None
        for item, outcome in zip(plan, lab.run(plan), strict=True):
            if outcome.code not in ("00000", "42501"):
                return None  # a constraint ties the flag to something else, or a trigger objects
            count = home.weight(item, outcome)
            seen[item.actor.name].add(count)
            home_of = item.actor.tenants if item.actor.is_member else ()
            if count and value == values[0] and "A" in home_of:
                shown = item  # the weakest member comes last, and the marked row first
    return shown if all(len(counts) == 1 for counts in seen.values()) else None


def _plan(
    lab: Lab, table: Table, command: str, column: Column, value: Any, actors: Sequence[Actor]
) -> list[Probe]:
    texts = (statements.change(lab, table, {column.name: value}),)
    plan = (p for actor in actors for p in home.plan(lab, table, actor, texts))
    return [p for p in plan if p.tag[1] == command]


def _if_named(lab: Lab, table: Table, command: str, column: Column, values: Sequence[Any]) -> bool:
    """Whether a member notices once the rows that decide name this member."""
    keys = {table.key, *lab.refs.by_table[table.key][0]}
    for actor in lab.cast.members("A"):
        with closing(named(lab, keys, actor.user)) as states:
            for _ in states:
                counts = set()
                for value in values:
                    plan = _plan(lab, table, command, column, value, [actor])
                    found = zip(plan, lab.run(plan), strict=True)
                    counts.add(tuple(home.weight(item, outcome) for item, outcome in found))
                if len(counts) > 1:
                    return True
    return False


def _flag(table: Table, command: str, column: Column, values: list[Any], item: Probe) -> Signal:
    said = ", ".join("null" if v is None else str(v).lower() for v in values)
    return Signal(
        "policy.inert",
        "exposure",
        "medium",
        item.actor.name,
        table.key,
        command,
        f"with {column.name} = {said}: nobody can {command} more rows, or fewer",
        f"A policy asks for {column.name}, and whatever it is, everybody gets the same: what it was"
        " meant to hide is open to all who see the rest.",
        f"Look at the {command} policies for an `or` where an `and` belongs, and for another policy"
        " that lets the same rows in.",
        item.sql,
        item.actor,
        (table.key,),
        group=f"{table.key} {column.name}",
        title="{object}: a policy asks for " + column.name + ", and it makes no difference",
        pre=item.pre,
    )


# Arguments of a helper -----------------------------------------------------------------------


def _helpers(lab: Lab) -> Iterator[Signal]:
    membership = lab.model.membership
    seats = lab.catalog.tables.get(membership.table) if membership else None
    if membership is None or seats is None:
        return
    ranked = membership.role is not None and len(lab.model.roles) > 1
    lists = {} if ranked else lists_of_rights(lab, seats, asked=False)
    if not ranked and not (lists and lab.fixtures.replica):
        return
    people = lab.cast.members("A")[-(len(lab.model.roles) if ranked else 1) :]
    # Where a seat lists rights, nobody has any: then no two things can both be granted.
    mine = lab.where(seats, {membership.user: people[-1].user}) if people else ""
    pre = (statements.change(lab, seats, {name: [] for name in lists}, mine),) if lists else ()
    for key in sorted(lab.refs.helpers):
        function = lab.catalog.functions[key]
        if not function.arguments or function.is_trigger or not lab.wants(key):
            continue
        asked = _asked(lab, function)
        if len(asked) < 2 or not _about_seats(lab, function, asked, ranked=ranked):
            continue
        plan = [
            Probe(actor, _answer(lab, text), rows=True, tag=text, pre=pre, replica=bool(pre))
            for text in sorted(asked)
            for actor in people
        ]
        answers: dict[str, list[str]] = defaultdict(list)
        outcomes = lab.run(plan)
        if not all(o.ok for o in outcomes):
            continue
        for item, outcome in zip(plan, outcomes, strict=True):
            answers[item.tag].append(str(outcome.result))
        same = {tuple(a) for a in answers.values()}
        if len(same) == 1 and any(a not in _NOTHING for a in next(iter(same))):
            yield _helper(function, sorted(asked), people[-1], plan[-1])


def _about_seats(lab: Lab, function: Function, asked: set[str], *, ranked: bool) -> bool:
    """Whether a helper answers by what the caller's seat says, and not by what the tenant has."""
    membership = lab.model.membership
    if membership is None or not ranked:
        return membership is not None and membership.table in lab.refs.reach(function.source)[0]
    return membership.role in lab.refs.words(function.source) or all(
        set(re.findall(r"[\w-]+", " ".join(literals(text)))) & set(lab.model.roles)
        for text in asked
    )


@lru_cache(maxsize=8)
def _calls(text: str) -> dict[str, list[int]]:
    """Return where in a text the parentheses of each function begin, by its name."""
    found: dict[str, list[int]] = defaultdict(list)
    for match in re.finditer(r'(?<![\w"])(\w++)"?\s*\(', text):
        found[match[1].lower()].append(match.end())
    return found


def _asked(lab: Lab, function: Function) -> set[str]:
    """Collect the calls of a helper: with constants, and with the tenant in place of a column."""
    found: set[str] = set()
    everything = lab.refs.everything
    for place in _calls(everything).get(function.name.lower(), ()):
        given = [i.strip() for i in items(everything, place) if i.strip()]
        written = []
        for argument, text in zip(function.arguments, given, strict=False):
            if _CONSTANT.match(text):
                written.append(text)
            elif is_tenant(lab, argument, function) or _names_tenant(lab, text):
                tenant = sql.SQL("{}::{}").format(
                    sql.Literal(lab.cast.a.id), sql.SQL(argument.type)
                )
                written.append(lab.text(tenant))
            else:
                break
        else:
            if len(given) <= len(function.arguments):
                found.add(f"{lab.text(function.sql)}({', '.join(written)})")
    return found


def _names_tenant(lab: Lab, text: str) -> bool:
    """Whether a policy hands over the column that names the tenant of its own rows."""
    column = re.fullmatch(r'\(?(?:\w+\.)*"?(\w+)"?\)?', text)
    heads = {
        m.path[0] for m in lab.model.tables.values() if m.kind == "tenant" and len(m.path) == 1
    }
    return column is not None and column[1] in heads


def _answer(lab: Lab, call: str) -> str:
    text = "select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) order by x::text) from {} as x"
    return lab.text(sql.SQL(text).format(sql.SQL(call)))


def _helper(function: Function, asked: list[str], actor: Actor, item: Probe) -> Signal:
    return Signal(
        "helper.inert",
        "escalation",
        "high",
        actor.name,
        function.key,
        "execute",
        f"{' and '.join(asked[:4])} answer every role the same",
        "Policies ask this helper for different things, and it gives the same answer: the weakest"
        " role passes where only a stronger one should.",
        f"Look in {function.key} for an `or` where an `and` belongs around its arguments.",
        item.sql,
        actor,
        (),
        group=function.key,
        title="{object}: what it is asked for makes no difference to any role",
    )
