"""From signals to findings: grouped by what a person would fix, ranked, with a script."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Finding, Signal
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.verdict.causes import causes, family
from harmonia_py.isolation.verdict.echoes import without_echoes

__all__ = ["findings", "script"]

_TITLES = {
    "cross_tenant": "{object}: another tenant's rows can be reached ({commands})",
    "rls_off": "Row level security is off on {count} relation(s) that clients may use",
    "rpc": "{object}: a function reaches another tenant's rows",
    "lifecycle.rpc": "{object}: a function serves people who lost access",
    "user_rows.public": "{count} table(s) of user rows are readable by everybody",
    "lifecycle.access": "Access outlives the membership ({actors}) on {count} relation(s)",
    "role.everywhere": "Whoever is {group} in one tenant reaches {count} tables of every tenant",
    "rpc.helper": "{object}: what policies ask can be asked about anybody",
    "lifecycle.ignored": "Nothing asks for {group}: whoever it marks keeps {count} relation(s)",
    "lifecycle.own_rows": "Former members keep access to rows that name them ({count} table(s))",
    "shared.write": "{object}: shared rows can be changed by anybody ({commands})",
    "role.other_tenant": "{object}: a role held in one tenant counts in another ({commands})",
    "error.text": "{object}: an error message tells another tenant's values",
}
_BY_RULE = ("lifecycle.ignored", "role.everywhere")
_IGNORED = "The column looks like a membership's state, and no policy or function reads it."
_IGNORED_FIX = "Ask for it in the policies' helper; or say in harmonia.toml that it is no status."
_CAUSES = {
    "helper": "{group} lets other tenants in: {count} relations and functions trust it",
    "lifecycle.access": "{group} lets in who lost access ({actors}): {count} objects trust it",
    "lifecycle.closed": "{group} forgets that a tenant is closed: {count} objects trust it",
    "role.other_tenant": "{group} honours a role held in another tenant: {count} tables trust it",
    "permission.excess": "{group} gives a role more than the model says: {count} objects trust it",
    "function.excess": "{group} gives a role more than the model says: {count} objects trust it",
    "denied.everybody": "{group} lets nobody in: {count} tables ask it",
}
_FINGERPRINTS = re.compile(
    r"select pg_catalog\.jsonb_agg\(pg_catalog\.md5\(x::text\)\) from \((.*)\) as x", re.DOTALL
)
_MOST = 60  # rows of one table
_ORDER = ("critical", "high", "medium", "low")


def findings(lab: Lab, signals: Iterable[Signal]) -> list[Finding]:
    """Group signals into findings, the worst first."""
    groups: dict[tuple[str, str], list[Signal]] = defaultdict(list)
    kept = without_echoes(lab, list(signals))
    explained = causes(lab, kept)
    everywhere = _everywhere(lab, kept)
    places = [_place(lab, signal, explained) for signal in kept]
    for signal, place in zip(kept, places, strict=True):
        role = everywhere.get(signal.object)
        if place[0] == "cross_tenant" and role:
            place = "role.everywhere", role
        elif place[0] == "helper" and not role and signal.rule == "cross_tenant":
            # Where the helper lets one role in, what others reach as well has another cause.
            trusted = _trusted(kept, places, place, everywhere)
            if trusted and signal.actor.partition(".")[2] not in trusted:
                place = "cross_tenant", signal.group or signal.object
        elif signal.rule == "shared.rows" and (one := _held_by(signal, everywhere)):
            # What such a role does to the rows that all share is the same decision.
            near = [p for s, p in zip(kept, places, strict=True) if everywhere.get(s.object) == one]
            place = near[0] if near[0][0] == "helper" else ("role.everywhere", one)
        groups[place].append(signal)
    found = [_finding(lab, rule, group, items) for (rule, group), items in groups.items()]
    return sorted(found, key=lambda f: f.rank)


def _trusted(
    signals: Sequence[Signal],
    places: Sequence[tuple[str, str]],
    place: tuple[str, str],
    everywhere: dict[str, str],
) -> set[str]:
    """Return the roles that a helper lets in everywhere, where nobody else comes in by it."""
    objects = {s.object for s, p in zip(signals, places, strict=True) if p == place}
    roles = {everywhere[key] for key in objects if key in everywhere}
    apart = [key for key in objects if key not in everywhere]
    return roles if len(roles) == 1 and len(apart) == 1 else set()


def _held_by(signal: Signal, everywhere: dict[str, str]) -> str | None:
    """Return the role, counting in every tenant, that whoever gave the signal holds in one."""
    role = signal.actor.partition(".")[2]
    return role if role in everywhere.values() else None


def _everywhere(lab: Lab, signals: Sequence[Signal]) -> dict[str, str]:
    """Find the role that counts in every tenant: nobody but who holds it reaches these tables.

    Returns table -> role, where there are several such tables: it is one decision.
    """
    if len(lab.model.roles) < 2:
        return {}
    actors: dict[str, set[str]] = defaultdict(set)
    for signal in signals:
        # Who has moved held the usual role: its answer is that role's.
        if signal.rule == "cross_tenant" and not signal.actor.endswith(".moved"):
            actors[signal.object].add(signal.actor.partition(".")[2])
    found = {
        table: next(iter(roles))
        for table, roles in actors.items()
        if len(roles) == 1 and roles <= set(lab.model.roles)
    }
    common = {role for role in found.values() if list(found.values()).count(role) >= 2}
    return {table: role for table, role in found.items() if role in common}


def _place(lab: Lab, signal: Signal, explained: dict[tuple[str, str], str]) -> tuple[str, str]:
    """Decide which finding a signal belongs to: the cause, where it can be told."""
    table = lab.catalog.table(signal.object)
    if (
        signal.rule in ("cross_tenant", "shared.write")
        and table
        and table.is_base
        and (not table.rls)
    ):
        return "rls_off", table.schema
    if column := _ignored(lab, signal):
        return "lifecycle.ignored", column
    kin = family(signal.rule)
    if kin and (cause := explained.get((kin, signal.object))):
        return kin, cause
    if signal.rule == "rpc.differs" and signal.object in lab.refs.helpers:
        return "rpc.helper", "helpers"
    rule = "rpc" if signal.rule in ("rpc.reads", "rpc.writes", "rpc.differs") else signal.rule
    rule = "lifecycle.rpc" if rule.startswith("lifecycle.rpc") else rule
    return rule, signal.group or signal.object


def _ignored(lab: Lab, signal: Signal) -> str | None:
    """Name the column that looks like a membership's state although nothing ever asks for it."""
    if signal.who is None or not signal.rule.startswith(("lifecycle.", "escalation.self")):
        return None
    state = signal.who.state
    for m in lab.model.memberships:
        column = {
            "inactive": m.status,
            "deleted": m.deleted,
            "expired": m.expires,
        }.get(state.partition(":")[0])
        if column and column not in lab.refs.words(lab.refs.everything):
            return f"{m.table}.{column}"
    return None


def _finding(lab: Lab, rule: str, group: str, items: Sequence[Signal]) -> Finding:
    worst = min(items, key=lambda s: (_ORDER.index(s.severity), s.object))
    objects = tuple(sorted({s.object for s in items}))
    commands = tuple(
        c
        for c in ("select", "insert", "update", "delete", "execute", "usage")
        if any(s.command == c for s in items)
    )
    commands += tuple(sorted({s.command for s in items} - set(commands)))
    if rule == "lifecycle.ignored":
        worst = replace(worst, kind="breach", severity="medium", why=_IGNORED, fix=_IGNORED_FIX)
    actors = tuple(dict.fromkeys(s.actor for s in items))
    evidence: list[str] = []
    for item in items:
        line = f"{item.actor}: {item.command} {item.object}: {item.evidence}"
        if not any(e.split(": ", 2)[1:2] == line.split(": ", 2)[1:2] for e in evidence):
            evidence.append(line[:400])
    title = (
        _CAUSES[worst.rule if worst.rule in _CAUSES else rule]
        if group in lab.catalog.functions and rule in _CAUSES and group != worst.object
        else (rule not in _BY_RULE and worst.title) or _TITLES.get(rule, "{object}: " + worst.why)
    ).format(
        object=objects[0] if len(objects) == 1 else f"{len(objects)} objects",
        commands=", ".join(commands),
        actors=", ".join(actors[:4]),
        count=len(objects),
        group=group,
    )
    return Finding(
        id=Finding.identify(rule, group),
        rule=rule,
        kind=worst.kind,
        severity=worst.severity,
        title=title,
        object=objects[0] if len(objects) == 1 else group,
        commands=commands,
        actors=actors,
        evidence=tuple(evidence[:12]),
        why=worst.why,
        fix=worst.fix,
        script=script(lab, worst),
        members=objects,
    )


def script(lab: Lab, signal: Signal) -> str:
    """Write the SQL that shows the finding on an empty copy of the project, and rolls back."""
    if not signal.statement or signal.who is None:
        return ""
    needed: list[str] = []
    for key in (
        "auth.users",
        lab.model.tenant_table,
        *(m.table for m in lab.model.memberships),
        *signal.tables,
    ):
        if key:
            _with_parents(lab, key, needed)
    out = [
        "-- Run as a superuser on a database with the same migrations; it rolls back.",
        "begin;",
        "set local session_replication_role = replica;",
    ]
    for key in needed:
        table = lab.catalog.table(key)
        rows = lab.fixtures.rows.get(key, ())
        if table is None or not rows:
            continue
        # Everybody's: whose rows matter depends on who looks.
        keep = sorted(rows, key=lambda r: r.variant)[:_MOST]
        out.append(_insert(lab, table, [r.values for r in keep]))
    out += [f"{text};" for text in signal.pre]
    out.append("set local session_replication_role = origin;")
    for name, value in signal.who.session().items():
        if value:
            out.append(
                lab.text(
                    sql.SQL("select set_config({}, {}, true);").format(
                        sql.Literal(name), sql.Literal(value)
                    )
                )
            )
    out.append(f"set local role {signal.who.role};")
    # A person wants to see the rows, where the harness compares their fingerprints.
    marks = _FINGERPRINTS.fullmatch(signal.statement)
    out.append(f"{marks[1] if marks else signal.statement};")
    out.append("reset role;")
    out += [
        lab.text(sql.SQL("table {};").format(t.sql))
        for key in signal.tables
        if (t := lab.catalog.table(key)) and t.is_base
    ]
    out.append("rollback;")
    return "\n".join(out) + "\n"


def _with_parents(lab: Lab, key: str, needed: list[str], depth: int = 0) -> None:
    table = lab.catalog.table(key)
    if table is None or key in needed or depth > 6:
        return
    if key not in lab.catalog.platform:
        for fk in table.foreign_keys:
            if fk.target != key:
                _with_parents(lab, fk.target, needed, depth + 1)
        for source in table.sources:
            _with_parents(lab, source, needed, depth + 1)
    if key not in needed:
        needed.append(key)


def _insert(lab: Lab, table: Table, rows: Sequence[dict[str, object]]) -> str:
    # What is empty in every row and has no default need not be said.
    columns = [
        c.name
        for c in table.columns
        if (c.writable or c.identity == "a")
        and (c.default is not None or any(r.get(c.name) is not None for r in rows))
    ]
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    kept = [{k: v for k, v in row.items() if k in columns} for row in rows]
    return lab.text(
        sql.SQL(
            "insert into {t} ({n}) overriding system value select {n} from "
            "jsonb_populate_recordset(null::{t}, {rows}) {skip};"
        ).format(
            t=table.sql,
            n=names,
            rows=sql.Literal(Jsonb(kept, dumps=_dumps)),
            skip=sql.SQL(table.skip_present),
        )
    )


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=True)
