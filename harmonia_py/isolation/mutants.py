"""Ways to break a project's protection, derived from its catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pglast
from pglast import ast
from pglast.enums import BoolExprType
from pglast.stream import RawStream
from psycopg import sql

from harmonia_py.isolation.catalog import Function, Policy, Table
from harmonia_py.isolation.lab import Lab

__all__ = ["Mutant", "conjuncts", "mutants"]

_COMMANDS = ("select", "insert", "update", "delete")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: ``statements`` make it, ``objects`` and ``commands`` bound what it affects.

    ``equivalent`` is the reason why nobody can tell it from the original, where that is known.
    """

    kind: str
    object: str
    description: str
    statements: tuple[str, ...]
    objects: frozenset[str]
    commands: frozenset[str]
    equivalent: str | None = None


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


def conjuncts(expression: str) -> list[str]:
    """Return the expression once for each top-level AND term, without that term."""
    try:
        parsed: Any = _parse(f"select 1 where {expression}")
    except pglast.parser.ParseError:
        return []
    where: Any = parsed[0].stmt.whereClause
    if not _is_and(where):
        return []
    terms = [RawStream()(t) for t in where.args]
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
        if set(policy.roles) & {"public", *lab.catalog.roles}:
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
        reason = f"no policy of {table.key} lets {role} {command}"
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
    reach = [r for r in held if "public" in policy.roles or r in policy.roles]
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

    for clause, text in (("using", policy.using), ("with check", policy.check)):
        if text is None:
            continue
        form = sql.SQL(clause + " ({})")
        if policy.permissive and text not in ("true", "(true)"):
            yield made(
                "true",
                f"{clause} (true)",
                form.format(sql.SQL("true")),
                _keyed(lab, table, policy, clause),
            )
        for number, shorter in enumerate(conjuncts(text), 1):
            yield made("conjunct", f"{clause} without term {number}", form.format(sql.SQL(shorter)))
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
        others = [r for r in held if r not in policy.roles]
        yield made(
            "to public",
            "to public",
            sql.SQL("to public"),
            None if others else "no other API role holds the privilege",
        )


def _keyed(lab: Lab, table: Table, policy: Policy, clause: str) -> str | None:
    """Say why one clause alone protects a row whose key is its owner."""
    model = lab.model.of(table.key)
    if policy.command != "update" or not (policy.using and policy.check):
        return None
    if len(table.primary_key) == 1 and table.primary_key == model.path[-1:] == model.path:
        if clause == "using":
            return "the other clause still holds the key, and a key cannot be given twice"
        if model.kind == "root":
            return "a tenant's key can only be changed to one that is nobody's"
    return None


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
            reason or ("no API role may write the column" if blind else None),
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
    tables = {key for key, (_, used) in lab.refs.by_table.items() if function.key in used}
    return frozenset(tables & {t.key for t in lab.catalog.reachable()})


def _helper(lab: Lab, function: Function) -> Iterator[Mutant]:
    users = _users_of(lab, function)
    if not users:
        return
    for description, body in _bodies(function):
        yield Mutant("helper body", function.key, description, (body,), users, frozenset(_COMMANDS))


def _function(lab: Lab, function: Function) -> Iterator[Mutant]:
    for called in [function, *_inner(lab, function)]:
        for description, body in _bodies(called):
            name = "" if called is function else f"{called.key}: "
            yield Mutant(
                "function body",
                function.key,
                name + description,
                (body,),
                frozenset({function.key}),
                frozenset({"execute"}),
            )
    if not function.definer and function.language == "sql" and _reads_tables(lab, function):
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
        )


def _reads_tables(lab: Lab, function: Function) -> bool:
    return bool(lab.refs.direct(function.source)[0])


def _inner(lab: Lab, function: Function) -> list[Function]:
    """Find the function with owner rights behind a thin wrapper."""
    _, called = lab.refs.direct(function.source)
    found = [lab.catalog.functions[k] for k in called]
    return [f for f in found if f.definer and not f.exposed and f.name == function.name]


def _bodies(function: Function) -> Iterator[tuple[str, str]]:
    """Yield (description, create or replace statement) with one check taken out."""
    source, definition = function.source, function.definition
    if not definition or source not in definition:
        return
    if function.language == "sql":
        for number, shorter in enumerate(_queries(source), 1):
            yield f"without condition {number}", definition.replace(source, shorter)
        return
    for number, match in enumerate(
        re.finditer(
            r"\bif\b(.{1,600}?)\bthen\s+(?=raise\b|perform\s+private\.fail|return\s+(?:false|null|;))",
            source,
            re.S | re.I,
        ),
        1,
    ):
        changed = source[: match.start(1)] + " false " + source[match.end(1) :]
        yield f"check {number} never true", definition.replace(source, changed)
    for number, match in enumerate(
        re.finditer(
            r"perform\s+[\w.]*(?:require|check|assert|ensure|authorize)\w*\s*\([^;]*\);",
            source,
            re.I,
        ),
        1,
    ):
        changed = source[: match.start()] + "null;" + source[match.end() :]
        yield f"call {number} of a check left out", definition.replace(source, changed)
    for number, shorter in enumerate(_embedded(source), 1):
        yield f"query without condition {number}", definition.replace(source, shorter)


def _embedded(source: str) -> Iterator[str]:
    """Drop a term of each WHERE clause in procedural code: ``and term`` up to a line's end."""
    for match in re.finditer(r"\n\s+and\s+[^\n;]+(?=\n|;)", source, re.I):
        term = match.group(0)
        if term.count("(") == term.count(")"):
            yield source[: match.start()] + source[match.end() :]


def _queries(source: str) -> Iterator[str]:
    """Yield a SQL body once for each AND term of its WHERE clauses, without that term."""
    try:
        parsed = _parse(source)
    except pglast.parser.ParseError:
        return
    for place, number in _places(parsed):
        fresh = _parse(source)
        holders = list(_holders(fresh))
        where: Any = holders[place].whereClause
        if _is_and(where):
            kept = tuple(a for i, a in enumerate(where.args) if i != number)
            holders[place].whereClause = (
                kept[0] if len(kept) == 1 else ast.BoolExpr(BoolExprType.AND_EXPR, kept)
            )
        else:
            holders[place].whereClause = None
        yield "\n" + RawStream()(fresh) + "\n"


def _places(parsed: object) -> Iterator[tuple[int, int]]:
    for place, holder in enumerate(_holders(parsed)):
        where: Any = holder.whereClause
        if _is_and(where):
            for number in range(len(where.args)):
                yield place, number
        elif where is not None:
            yield place, 0


def _is_and(where: Any) -> bool:
    return isinstance(where, ast.BoolExpr) and where.boolop == BoolExprType.AND_EXPR


def _holders(node: object) -> Iterator[ast.SelectStmt]:
    """Walk a parse tree and yield every SELECT with a WHERE clause, in order."""
    if isinstance(node, tuple | list):
        for item in node:
            yield from _holders(item)
    elif isinstance(node, ast.Node):
        if isinstance(node, ast.SelectStmt) and node.whereClause is not None:
            yield node
        for name in node:
            yield from _holders(getattr(node, name))
