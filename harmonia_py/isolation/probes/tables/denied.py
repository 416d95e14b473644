"""Legitimate access that is denied: policies and grants that promise what nobody gets."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Cell, NotJudged, Signal
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import home
from harmonia_py.isolation.probes.roles.naming import named

__all__ = ["probe"]

#: What PostgreSQL says of policies that ask each other without end, as texts or in functions.
_ENDLESS = ("42P17", "54001")
_PRIVILEGE = {"select": "SELECT", "insert": "INSERT", "update": "UPDATE", "delete": "DELETE"}


def probe(
    lab: Lab, cells: Sequence[Cell], allowed: Mapping[tuple[str, str, str], set[str]]
) -> tuple[list[Signal], list[NotJudged]]:
    """Compare what is granted and written in a policy with what any member achieved."""
    signals: list[Signal] = []
    left: list[NotJudged] = []
    details: dict[tuple[str, str], list[str]] = defaultdict(list)
    others: dict[str, list[str]] = defaultdict(list)
    for cell in cells:
        if cell.scope == "own" and cell.actual == "deny":
            details[cell.table, cell.command].append(cell.detail)
    for table in lab.tables():
        if lab.model.of(table.key).kind not in ("tenant", "root", "user"):
            continue
        if table.key in lab.fixtures.errors:
            continue
        for command, privilege in _PRIVILEGE.items():
            if not _promised(table, command, privilege):
                continue
            if any(k[0] == table.key and k[1] == command and v for k, v in allowed.items()):
                continue
            said = sorted({d for d in details[table.key, command] if d})
            if command != "select" and not _refused_by_policy(said):
                others["; ".join(said)[:160]].append(f"{command} {table.key}")
                continue
            if command in ("update", "delete") and not any(
                k[0] == table.key and k[1] == "select" and v for k, v in allowed.items()
            ):
                continue
            if lab.standing.granted(table):
                # Rows that only somebody else can give: the cast is made of people without one.
                others["nobody of the cast is given a row"].append(f"{command} {table.key}")
                continue
            if (special := _special(lab, table, command)) and not any(
                code in d for d in said for code in _ENDLESS
            ):
                others[f"needs rights that {special} gives"].append(f"{command} {table.key}")
                continue
            if command != "select" and _hangs_on(lab, table, command):
                others["a policy wants other rows in a certain state"].append(
                    f"{command} {table.key}"
                )
                continue
            if command == "insert" and (shaped := _shaped(lab, table)):
                others[f"a policy wants {shaped} in a certain form"].append(
                    f"{command} {table.key}"
                )
                continue
            if command == "insert" and (
                lab.model.of(table.key).kind == "root"
                or (table.key, "A") not in lab.fixtures.spares
            ):
                continue
            if _if_named(lab, table, command):
                others["no row that decides names who may do it"].append(f"{command} {table.key}")
                continue
            if any(code in d for d in said for code in _ENDLESS):
                signals.append(_endless(table, command, said))
                continue
            signals.append(
                Signal(
                    "denied.everybody",
                    "denied",
                    "high" if command == "select" else "medium",
                    "every member",
                    table.key,
                    command,
                    "; ".join(said)[:300] or "0 rows",
                    f"A grant and a policy promise {command}, and no role of the tenant can.",
                    "Evaluate it with harmonia policies explain; often a status, a claim or the"
                    " EXECUTE grant of a helper is wrong.",
                    # One broken helper or grant denies many tables with the same words.
                    group=next((d for d in said if d.startswith("error")), table.key)
                    if table.name not in " ".join(said)
                    else table.key,
                    title="{object}: nobody can {commands} although policies say so",
                )
            )
    broken = {s.object for s in signals if s.command == "select" and s.rule == "denied.everybody"}
    if len(broken) >= 3:
        # One cause: a helper that is never true takes every table with it.
        signals = [
            replace(s, group="many", title="Nobody can use {count} tables although policies say so")
            if s.object in broken and not s.group.startswith("error")
            else s
            for s in signals
        ]
    for reason, what in others.items():
        text = f"nobody could do it, for another reason than the tenancy: {reason}"
        left.append(NotJudged(", ".join(what), text))
    signals += _outliers(lab, allowed)
    signals += _ungranted(lab)
    return signals, left


def _endless(table: Table, command: str, said: Sequence[str]) -> Signal:
    """Say that policies read tables whose policies read them back: no helper is to blame."""
    return Signal(
        "denied.recursion",
        "denied",
        "high",
        "every member",
        table.key,
        command,
        "; ".join(said)[:300],
        "Policies read tables whose own policies read the first ones again, and PostgreSQL gives"
        " up.",
        "Put one of the sub-queries into a security definer function: its reads ask no policy.",
        group="recursion",
        title="{object}: policies that ask each other without end let nobody in ({commands})",
    )


def _special(lab: Lab, table: Table, command: str) -> str | None:
    """Return the table of project-wide rights that every policy of the command asks for."""
    found: set[str] = set()
    for policy in table.policies_for(command, "authenticated"):
        if not policy.permissive:
            continue
        text = (policy.check if command == "insert" else None) or policy.using or ""
        asked = {
            key
            for key in lab.refs.reach(text)[0]
            if (other := lab.catalog.tables.get(key)) and lab.standing.describes(other)
        }
        if not asked or re.search(r"\sor\s", text, re.I):
            return None
        found |= asked
    return ", ".join(sorted(found)) or None


def _hangs_on(lab: Lab, table: Table, command: str) -> bool:
    """Whether every policy of a command looks for a word in rows of other tables than seats."""
    seats = {m.table for m in lab.model.memberships}
    texts = [
        (p.check if command == "insert" else None) or p.using or ""
        for p in table.policies_for(command, "authenticated")
        if p.permissive
    ]
    return bool(texts) and all(
        re.search(r"\bselect\b.*\bfrom\b.*=\s*'", text, re.I | re.S)
        and lab.refs.direct(text)[0] - seats - {table.key}
        for text in texts
    )


def _if_named(lab: Lab, table: Table, command: str) -> bool:
    """Whether a member can do it once the rows that decide name this member."""
    keys = {table.key, *lab.refs.by_table[table.key][0]}
    for actor in lab.cast.members("A"):
        with closing(named(lab, keys, actor.user)) as states:
            for _ in states:
                plan = [p for p in home.plan(lab, table, actor) if p.tag[1] == command]
                if any(home.reached(p, o) for p, o in zip(plan, lab.run(plan), strict=True)):
                    return True
    return False


def _shaped(lab: Lab, table: Table) -> str | None:
    """Name a text of the row that every INSERT policy takes apart: a path, a prefix, a suffix.

    What the fixtures wrote there followed the constraints; the policy wants more of it.
    """
    entry = lab.model.of(table.key)
    texts = [
        p.check or p.using or ""
        for p in table.policies_for("insert", "authenticated")
        if p.permissive
    ]
    for column in table.columns:
        if column.category != "S" or column.name in (*entry.path, *entry.users):
            continue
        name = rf"(?:\b{re.escape(table.name)}\.)?\b{re.escape(column.name)}\b"
        taken_apart = re.compile(
            rf"\w\(\(*{name}(?:\)*::\w+)?\s*[,)]|{name}\S*\s+(?:~~|~|LIKE)", re.I
        )
        if texts and all(taken_apart.search(text) for text in texts):
            return column.name
    return None


def _promised(table: Table, command: str, privilege: str) -> bool:
    if not table.can("authenticated", privilege):
        return False
    policies = [
        p
        for p in table.policies_for(command, "authenticated")
        # What names the service role promises nothing to anybody else.
        if p.permissive and "'service_role'" not in f"{p.using} {p.check}"
    ]
    return any((p.using or p.check) not in ("false", "(false)") for p in policies)


def _refused_by_policy(said: Sequence[str]) -> bool:
    return not said or all(
        d == "0 rows" or any(code in d for code in ("42501", *_ENDLESS))
        for text in said
        for d in text.split("; ")
    )


def _ungranted(lab: Lab) -> list[Signal]:
    """Find a policy written for one command of one role that holds no grant to go with it.

    A policy for all commands, or for everybody, promises less: it is often wider than the grants.
    """
    out: list[Signal] = []
    for table in lab.tables():
        if lab.model.of(table.key).kind not in ("tenant", "root", "user") or not table.rls:
            continue
        held = any(table.can("authenticated", p) for p in _PRIVILEGE.values())
        for policy in table.policies:
            privilege = _PRIVILEGE.get(policy.command)
            if policy.command == "all" and not held and "authenticated" in policy.roles:
                privilege = "SELECT"  # of all that it allows, nothing was granted
            roles = [r for r in policy.roles if r in lab.catalog.roles]
            if privilege is None or not policy.permissive or not roles:
                continue
            if any(table.can(role, privilege) for role in roles):
                continue
            out.append(
                Signal(
                    "denied.grant",
                    "denied",
                    "medium",
                    roles[0],
                    table.key,
                    policy.command,
                    f"policy {policy.name} lets {roles[0]} {policy.command}; the grant is missing",
                    "A policy without the grant lets nobody do anything.",
                    f"grant {policy.command} on {table.key} to {roles[0]}; or drop the policy.",
                    group=table.key,
                    title="{object}: a policy allows what no grant does ({commands})",
                )
            )
    return out


def _outliers(lab: Lab, allowed: Mapping[tuple[str, str, str], set[str]]) -> list[Signal]:
    """Find a role that is stronger than another, yet lacks what all the others may."""
    members = lab.cast.members("A")
    if len(members) < 3:
        return []
    can: dict[str, set[tuple[str, str]]] = {
        m.name: {(k[0], k[1]) for k, v in allowed.items() if k[2] == m.name and "A" in v}
        for m in members
    }
    out: list[Signal] = []
    seats = {m.table for m in lab.model.memberships}
    for member in members:
        others = [can[m.name] for m in members if m.name != member.name]
        missing = set.intersection(*others) - can[member.name]
        # The weakest role lacks things by design; one above another should lack nothing it has.
        # A role with a trade of its own (it may one thing more, and two less) is not above.
        above = any(
            can[member.name] > o - missing and len(can[member.name] - o) > len(missing)
            for o in others
        )
        for table, command in sorted(missing):
            if not above or not lab.wants(table):
                continue
            if lab.model.of(table).kind == "user" and not seats & lab.refs.by_table[table][0]:
                continue  # whose row it is tells people apart there, and no role
            out.append(
                Signal(
                    "denied.role",
                    "denied",
                    "medium",
                    member.name,
                    table,
                    command,
                    f"every other role of the tenant can {command}, {member.name} cannot",
                    "One role was left out of what all the others may do.",
                    "Compare the role list in the policies of this table.",
                    group=table,
                    title="{object}: one role is denied what all others may ({commands})",
                )
            )
    return out
