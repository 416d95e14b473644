"""Ways to break a project's protection, derived from its catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pglast
from pglast.stream import RawStream
from psycopg import sql

from harmonia_py.isolation.catalog import Function, Policy, Table
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.mutation import equivalence
from harmonia_py.isolation.mutation.bodies import Body, authority, bodies, is_and

__all__ = ["Mutant", "conjuncts", "mutants"]

_COMMANDS = ("select", "insert", "update", "delete")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: ``statements`` make it, ``objects`` and ``commands`` bound what it affects.

    ``equivalent`` is the reason why nobody can tell it from the original, where that is known;
    ``body`` the change of a function, so that two can be made together; ``term`` the condition of
    a policy that is left out, and what is left.
    """

    kind: str
    object: str
    description: str
    statements: tuple[str, ...]
    objects: frozenset[str]
    commands: frozenset[str]
    equivalent: str | None = None
    body: Body | None = None
    term: tuple[str, str] | None = None


def mutants(lab: Lab) -> Iterator[Mutant]:
    """Yield every mutant of the tables, views and functions that clients can reach."""
    for table in lab.catalog.reachable():
        if table.is_base and table.parent is None:
            if lab.model.of(table.key).kind in ("tenant", "root", "user"):
                yield from _table(lab, table)
        elif table.kind == "view":
            yield from _view(lab, table)
    for key in sorted(lab.refs.helpers):
        yield from _helper(lab, lab.catalog.functions[key])
    for function in lab.catalog.functions.values():
        if function.exposed and function.executors and not function.is_trigger:
            yield from _function(lab, function)


def _parse(text: str) -> Any:
    return pglast.parse_sql(text)


@cache
def _terms(expression: str) -> list[str]:
    """Return the top-level AND terms of an expression, one when there is no AND."""
    try:
        parsed: Any = _parse(f"select 1 where {expression}")
    except pglast.parser.ParseError:
        return []
    where: Any = parsed[0].stmt.whereClause
    return [RawStream()(t) for t in (where.args if is_and(where) else (where,))]


def conjuncts(expression: str) -> list[str]:
    """Return the expression once for each top-level AND term, without that term."""
    terms = _terms(expression)
    if len(terms) < 2:
        return []
    return [
        " and ".join(f"({t})" for i, t in enumerate(terms) if i != gone)
        for gone in range(len(terms))
    ]


def _make(
    lab: Lab,
    table: Table,
    kind: str,
    description: str,
    statement: sql.Composed,
    commands: frozenset[str] | None = None,
    *,
    equivalent: str | None = None,
) -> Mutant:
    return Mutant(
        kind,
        table.key,
        description,
        (lab.text(statement),),
        frozenset({table.key}),
        commands or frozenset(_COMMANDS),
        equivalent,
    )


def _table(lab: Lab, table: Table) -> Iterator[Mutant]:
    if table.rls:
        yield _make(
            lab,
            table,
            "rls off",
            "row level security disabled",
            sql.SQL("alter table {} disable row level security").format(table.sql),
        )
    if table.forced:
        yield _make(
            lab,
            table,
            "not forced",
            "no force row level security",
            sql.SQL("alter table {} no force row level security").format(table.sql),
            equivalent="only the table's owner is affected, and no client is the owner",
        )
    for policy in table.policies:
        if any(policy.is_for(role) for role in lab.catalog.roles):
            yield from _policy(lab, table, policy)
    for role in lab.catalog.roles:
        for command in _COMMANDS:
            yield from _grant(lab, table, role, command)
        if (role, "TRUNCATE") not in table.privileges:
            yield _make(
                lab,
                table,
                "grant widened",
                f"truncate to {role}",
                sql.SQL("grant truncate on {} to {}").format(table.sql, sql.Identifier(role)),
            )
    yield from _keys(lab, table)


def _grant(lab: Lab, table: Table, role: str, command: str) -> Iterator[Mutant]:
    if (role, command.upper()) in table.privileges:
        return
    if table.can(role, command.upper()):
        extra = [
            c for c in table.columns if (role, command.upper()) not in c.privileges and c.writable
        ]
        reason = "the other columns are generated" if not extra else None
        reason = reason or "the columns left out hold nothing of another tenant"
        yield _make(
            lab,
            table,
            "grant widened",
            f"{command} on all columns to {role}",
            sql.SQL("grant {} on {} to {}").format(
                sql.SQL(command), table.sql, sql.Identifier(role)
            ),
            frozenset({command}),
            equivalent=reason,
        )
        return
    applies = [p for p in table.policies_for(command, role) if p.permissive]
    reason = None
    if table.rls and not applies:
        reason = f"no policy lets {role} {command}"
    yield _make(
        lab,
        table,
        "grant widened",
        f"{command} to {role}",
        sql.SQL("grant {} on {} to {}").format(sql.SQL(command), table.sql, sql.Identifier(role)),
        frozenset({command}),
        equivalent=reason,
    )


def _policy(lab: Lab, table: Table, policy: Policy) -> Iterator[Mutant]:
    commands = frozenset(_COMMANDS if policy.command == "all" else {policy.command})
    held = [r for r in lab.catalog.roles if any(table.can(r, c.upper()) for c in commands)]
    reason = None if held else "no API role holds the privilege"
    reach = [r for r in held if policy.is_for(r)]
    reason = reason or (None if reach else "no role of the policy holds the privilege")

    def made(kind: str, what: str, body: sql.Composable, why: str | None = None) -> Mutant:
        head = sql.SQL("alter policy {} on {} ").format(sql.Identifier(policy.name), table.sql)
        return _make(
            lab,
            table,
            kind,
            f"{policy.name}: {what}",
            head + body,
            commands,
            equivalent=why or reason,
        )

    def repeated(terms: list[str]) -> str | None:
        using = _terms(policy.using) if policy.using else []
        return equivalence.held_by_using(lab, table, policy, terms, using)

    for clause, text in (("using", policy.using), ("with check", policy.check)):
        if text is None:
            continue
        form = sql.SQL(clause + " ({})")
        if policy.permissive and text not in ("true", "(true)"):
            yield made(
                "true",
                f"{clause} (true)",
                form.format(sql.SQL("true")),
                equivalence.keyed(lab, table, policy, clause)
                or (repeated(_terms(text)) if clause == "with check" else None),
            )
        for number, (term, shorter) in enumerate(
            zip(_terms(text), conjuncts(text), strict=False), 1
        ):
            left_out = made(
                "conjunct",
                f"{clause} without term {number}",
                form.format(sql.SQL(shorter)),
                repeated([term]) if clause == "with check" else None,
            )
            yield replace(left_out, term=(term, shorter))
    if (
        policy.using
        and policy.check
        and policy.using != policy.check
        and policy.command in ("all", "update")
    ):
        yield made(
            "swapped",
            "USING and WITH CHECK swapped",
            sql.SQL("using ({}) with check ({})").format(
                sql.SQL(policy.check), sql.SQL(policy.using)
            ),
        )
    if policy.check and policy.using and policy.command in ("all", "update"):
        same = "without WITH CHECK the same USING expression is checked"
        yield Mutant(
            "check dropped",
            table.key,
            f"{policy.name}: no WITH CHECK",
            tuple(_recreated(lab, table, policy, None, permissive=policy.permissive)),
            frozenset({table.key}),
            commands,
            same if policy.check == policy.using else reason,
        )
    if not policy.permissive:
        yield Mutant(
            "permissive",
            table.key,
            f"{policy.name}: restrictive made permissive",
            tuple(_recreated(lab, table, policy, policy.check, permissive=True)),
            frozenset({table.key}),
            commands,
            reason,
        )
    if "public" not in policy.roles:
        others = [r for r in held if not policy.is_for(r)]
        yield made(
            "to public",
            "to public",
            sql.SQL("to public"),
            None if others else "no other API role holds the privilege",
        )


def _recreated(
    lab: Lab, table: Table, policy: Policy, check: str | None, *, permissive: bool
) -> list[str]:
    name = sql.Identifier(policy.name)
    parts = [
        sql.SQL("create policy {} on {} as {} for {} to {}").format(
            name,
            table.sql,
            sql.SQL("permissive" if permissive else "restrictive"),
            sql.SQL(policy.command),
            sql.SQL(", ").join(
                sql.SQL("public") if r == "public" else sql.Identifier(r) for r in policy.roles
            ),
        )
    ]
    if policy.using:
        parts.append(sql.SQL("using ({})").format(sql.SQL(policy.using)))
    if check:
        parts.append(sql.SQL("with check ({})").format(sql.SQL(check)))
    return [
        lab.text(sql.SQL("drop policy {} on {}").format(name, table.sql)),
        lab.text(sql.SQL(" ").join(parts)),
    ]


def _keys(lab: Lab, table: Table) -> Iterator[Mutant]:
    """Narrow composite foreign and unique keys to their part without the tenant."""
    path = lab.model.of(table.key).path
    writes = frozenset({"insert", "update"})
    reason = None
    if not any(table.can(r, c) for r in lab.catalog.roles for c in ("INSERT", "UPDATE")):
        reason = "no API role may write the table"
    for fk in table.foreign_keys:
        target = lab.catalog.tables.get(fk.target)
        if target is None or len(fk.columns) != 2 or not path or fk.columns[0] != path[0]:
            continue
        if lab.model.of(fk.target).kind != "tenant" or any(
            m.table == fk.target for m in lab.model.memberships
        ):
            continue
        column, ref = fk.columns[1], fk.ref_columns[1]
        if target.column(ref).base != "uuid":
            continue
        blind = not any(
            (r, p) in table.column(column).privileges
            for r in lab.catalog.roles
            for p in ("INSERT", "UPDATE")
        )
        yield Mutant(
            "foreign key",
            table.key,
            f"{fk.name}: without the tenant",
            (
                lab.text(
                    sql.SQL("alter table {} add unique ({})").format(
                        target.sql, sql.Identifier(ref)
                    )
                ),
                lab.text(
                    sql.SQL("alter table {} drop constraint {}").format(
                        table.sql, sql.Identifier(fk.name)
                    )
                ),
                lab.text(
                    sql.SQL(
                        "alter table {} add constraint {} foreign key ({}) references {} ({})"
                        " not valid"
                    ).format(
                        table.sql,
                        sql.Identifier(fk.name),
                        sql.Identifier(column),
                        target.sql,
                        sql.Identifier(ref),
                    )
                ),
            ),
            frozenset({table.key}),
            writes,
            reason
            or ("no API role may write the column" if blind else None)
            or equivalence.held_elsewhere(lab, table, fk, path[0]),
        )
    for unique in table.uniques:
        rest = [c for c in unique.columns if c not in path]
        if unique.primary or unique.exclusion or unique.has_expressions or unique.predicate:
            continue
        if not rest or len(rest) == len(unique.columns):
            continue
        if any(table.column(c).base == "uuid" or table.column(c).labels for c in rest):
            continue
        yield Mutant(
            "unique key",
            table.key,
            f"{unique.name}: without the tenant",
            (
                lab.text(
                    sql.SQL("create unique index {} on {} ({})").format(
                        sql.Identifier(unique.name + "_hx"),
                        table.sql,
                        sql.SQL(", ").join(map(sql.Identifier, rest)),
                    )
                ),
            ),
            frozenset({table.key}),
            writes,
            reason,
        )


def _view(lab: Lab, view: Table) -> Iterator[Mutant]:
    if view.security_invoker:
        yield _make(
            lab,
            view,
            "view",
            "security_invoker off",
            sql.SQL("alter view {} set (security_invoker = false)").format(view.sql),
        )


def _users_of(lab: Lab, function: Function) -> frozenset[str]:
    """Return the tables whose policies call the function, directly or not."""
    key = "called by policies"
    if key not in lab.memo:
        lab.memo[key] = {
            t.key: _called(lab, lab.refs.policy_text(t)) for t in lab.catalog.reachable()
        }
    return frozenset(table for table, called in lab.memo[key].items() if function.key in called)


def _called(lab: Lab, text: str) -> set[str]:
    found: set[str] = set()
    todo = [text]
    while todo:
        bare = re.sub(r"--[^\n]*|'(?:[^']|'')*'", " ", todo.pop())
        names = set(re.findall(r'(\w+)"?\s*\(', bare))
        for function in lab.catalog.functions.values():
            if function.name in names and function.key not in found:
                found.add(function.key)
                todo.append(function.source)
    return found


def _helper(lab: Lab, function: Function) -> Iterator[Mutant]:
    users = _users_of(lab, function)
    if not users:
        return
    for body in bodies(function, authority(lab)):
        yield Mutant(
            "helper body",
            function.key,
            body.description,
            (body.statement,),
            users,
            frozenset(_COMMANDS),
            body=body,
        )


def _function(lab: Lab, function: Function) -> Iterator[Mutant]:
    for called in [function, *_inner(lab, function)]:
        for body in bodies(called, authority(lab)):
            if body.first:
                continue  # so far of helpers only: see docs/explanation/isolation-harness.md
            name = "" if called is function else f"{called.key}: "
            yield Mutant(
                "function body",
                function.key,
                name + body.description,
                (body.statement,),
                frozenset({function.key}),
                frozenset({"execute"}),
                body=body,
            )
    if not function.definer and function.language == "sql":
        same = "it reads no row that is somebody's, and what it calls decides for itself"
        yield Mutant(
            "definer",
            function.key,
            "security definer",
            (
                lab.text(
                    sql.SQL("alter function {}({}) security definer").format(
                        function.sql,
                        sql.SQL(", ").join(sql.SQL(a.type) for a in function.arguments),
                    )
                ),
            ),
            frozenset({function.key}),
            frozenset({"execute"}),
            same if equivalence.reads_only_shared(lab, function) else None,
        )


def _inner(lab: Lab, function: Function) -> list[Function]:
    """Find the function with owner rights behind a thin wrapper."""
    _, called = lab.refs.direct(function.source)
    found = [lab.catalog.functions[k] for k in called]
    return [f for f in found if f.definer and not f.exposed and f.name == function.name]
