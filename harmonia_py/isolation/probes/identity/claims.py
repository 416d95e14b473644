"""Forge what a user can write: user_metadata, headers, a missing or malformed ``sub``.

A read or a write that works only after such a change is a finding: the project trusts what
its users tell it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.actors import Actor, carrying
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.infer.claims import claims_in
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import home, tables
from harmonia_py.isolation.references import literals

__all__ = ["beyond", "forged", "probe", "rise"]

_RULES = ("cross_tenant", "user_rows.public")


def probe(lab: Lab) -> list[Signal]:
    """Repeat the attacks with forged input; :func:`beyond` tells what only then works."""
    out: list[Signal] = []
    for actor, what, why, fix in forged(lab):
        fix += _readers(lab, what)
        for signal in tables.attack(lab, actor).signals:
            if signal.rule == "rows.published":
                continue  # what rows say of themselves hangs on no claim
            out.append(
                replace(
                    signal,
                    rule="claims.forged",
                    kind="breach",
                    severity="critical",
                    evidence=f"with {what}: {signal.evidence}",
                    why=why,
                    fix=fix,
                    group=what,
                    title="What a user can write decides what it sees: " + what,
                )
            )
    if _reads_stored_metadata(lab):
        out += _stored(lab)
    return out


def beyond(forged: Iterable[Signal], others: Iterable[Signal]) -> list[Signal]:
    """Return what was seen with forged input only, ``others`` being what was seen without."""
    known = {(s.object, s.command) for s in others if s.rule in _RULES}
    return [s for s in forged if s.kind != "breach" or (s.object, s.command) not in known]


def rise(lab: Lab) -> list[Signal]:
    """Let the weakest member forge the same, and see whether it may do more at home."""
    weakest = next(iter(reversed(lab.cast.members("A"))), None)
    if weakest is None or len(lab.model.roles) < 2:
        return []
    tables = [t for t in lab.tables() if lab.model.of(t.key).kind in ("tenant", "root")]
    plain = [p for t in tables for p in home.plan(lab, t, weakest)]
    could = {p.tag: home.weight(p, o) for p, o in zip(plain, lab.run(plain), strict=True)}
    out: list[Signal] = []
    for actor, what, why, fix in forged(lab):
        if actor.name != weakest.name or actor.user is None:
            continue
        fix += _readers(lab, what)
        plan = [replace(p, actor=actor) for p in plain]
        for item, outcome in zip(plan, lab.run(plan), strict=True):
            if home.weight(item, outcome) > could[item.tag]:
                key, command = item.tag
                out.append(
                    Signal(
                        "claims.forged",
                        "escalation",
                        "critical",
                        actor.name,
                        key,
                        command,
                        f"with {what} {actor.name} can {command} more than without",
                        why,
                        fix,
                        item.sql,
                        actor,
                        (key,),
                        group=what,
                        title="What a user can write decides what it may do: " + what,
                    )
                )
    return out


def _readers(lab: Lab, what: str) -> str:
    """Name the functions and the policies that read what was forged."""
    read = {
        "forged user_metadata": re.compile(r"user_meta_?data", re.I),
        "forged request headers": re.compile(r"request\.(headers?|cookies?)\b", re.I),
    }.get(what)
    if read is None:
        return ""
    names = [f.key for f in lab.catalog.functions.values() if read.search(f.source)]
    names += [
        f"policy {p.name} of {t.key}"
        for t in (*lab.catalog.tables.values(), *lab.catalog.platform.values())
        for p in t.policies
        if read.search(f"{p.using} {p.check}")
    ]
    return f" It is read by {', '.join(names[:6])}." if names else ""


def _outsiders(lab: Lab) -> list[Actor]:
    members = lab.cast.members("A")
    return [*[a for a in lab.cast.actors if a.state == "stranger"], *members[-1:]]


def forged(lab: Lab) -> list[tuple[Actor, str, str, str]]:
    """Return people who send what they made up, with what it is, why it matters and the remedy."""
    out = []
    text = lab.refs.everything
    trust = "Anybody can set it for themselves with auth.updateUser() or a request header."
    if "user_metadata" in text or "raw_user_meta_data" in text:
        for actor in _outsiders(lab):
            for array in (False, True):
                meta = _values(lab, text, array=array)
                out.append(
                    (
                        actor.with_claims(actor.name, user_metadata=meta),
                        "forged user_metadata",
                        trust,
                        "Read the tenant from app_metadata or, better, from a membership table.",
                    )
                )
    if "request.headers" in text or "request.header." in text or "request.cookie" in text:
        values = {k: str(v) for k, v in _values(lab, text, array=False).items()}
        lower = values | {k.lower(): v for k, v in values.items()}
        for actor in _outsiders(lab):
            session = {
                f"request.header.{k}": v
                for k, v in lower.items()
                if re.fullmatch(r"[a-z_][\w-]*", k)
            }
            sender = replace(
                actor,
                headers=lower,
                settings=actor.settings
                | {k: v for k, v in session.items() if re.fullmatch(r"[\w.]+", k)},
            )
            out.append(
                (
                    sender,
                    "forged request headers",
                    trust,
                    "A header is the caller's own word: never decide access by it.",
                )
            )
    for actor in _outsiders(lab)[:1]:
        named = {n for n, what in lab.model.settings.items() if what == "user"}
        rest = {n: value for n, value in actor.settings.items() if n not in named}
        bare = actor.with_claims(actor.name, sub=None)
        bare = replace(bare, user=None, tenants={}, settings=rest)
        out.append(
            (
                bare,
                "no sub",
                "Comparisons with a missing user id must be false, not true.",
                "Require auth.uid() to be not null wherever its absence could widen access.",
            )
        )
    return out


def _values(lab: Lab, text: str, *, array: bool) -> dict[str, Any]:
    """Claim to be of tenant B and of the strongest role, under every key the code reads."""
    tenant = lab.cast.b.id
    roles = lab.model.roles
    names = {w for w in literals(text) if re.fullmatch(r"[A-Za-z_][\w-]{1,40}", w)}
    names |= {
        w.strip("{}").split(",")[-1].strip()
        for w in literals(text)
        if re.fullmatch(r"\{[\w, -]+\}", w)
    }
    compared = _compared(text)
    out: dict[str, Any] = {}
    keyed = {p.partition(".")[2]: w for p, w in claims_in(text).items() if ".*" in p}
    for name in sorted(names)[:400]:
        if name in compared:
            out[name] = compared[name]
        elif "role" in name.lower():
            out[name] = roles[0]
        elif name.lower().startswith(("is_", "has_")) or "admin" in name.lower():
            out[name] = True
        else:
            out[name] = [tenant] if array else tenant
    for path, what in keyed.items():
        carrying(out, path, what, lab.cast.b, roles[0])
    return out


def _compared(text: str) -> dict[str, Any]:
    """Map a key to the word that the code compares its value with: true, or a name of a right."""
    arrow = r"->>?\s*'([A-Za-z_][\w-]{1,40})'(?:::text)?[\s)]*"
    found: dict[str, Any] = {}
    for name, word in re.findall(
        rf"{arrow}(?:::\w+[\s)]*)*(?:=|\bin\b)\s*(?:any\s*)?\(*(?:array\[)?\s*'([\w .-]{{1,40}})'",
        text,
        re.I,
    ):
        found.setdefault(name, True if word.lower() == "true" else word)
    for name in re.findall(rf"{arrow}::bool", text, re.I):
        found.setdefault(name, True)
    return found


def _reads_stored_metadata(lab: Lab) -> bool:
    return "raw_user_meta_data" in lab.refs.everything and "auth.users" in lab.catalog.platform


def _stored(lab: Lab) -> list[Signal]:
    """Write the forged metadata where Supabase Auth keeps it, and attack again."""
    out: list[Signal] = []
    for actor in _outsiders(lab):
        meta = _values(lab, lab.refs.everything, array=False)
        with lab.rolled_back():
            lab.conn.execute(
                sql.SQL("update auth.users set raw_user_meta_data = {} where id = {}").format(
                    sql.Literal(Jsonb(meta, dumps=json.dumps)), sql.Literal(actor.user)
                )
            )
            found = tables.attack(lab, actor).signals
        out += [
            replace(
                s,
                rule="claims.forged",
                kind="breach",
                severity="critical",
                group="raw_user_meta_data",
                title="What a user can write decides what it sees: raw_user_meta_data",
            )
            for s in found
            if s.rule != "rows.published"
        ]
    return out
