"""Private Realtime channels: who may listen on, or send to, another tenant's topic."""

from __future__ import annotations

import re

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.references import literals

__all__ = ["probe"]

_KEY = "realtime.messages"


def probe(lab: Lab) -> list[Signal]:
    """Try the topics that name the other tenant, as the policies seem to spell them."""
    table = lab.catalog.platform.get(_KEY)
    if table is None or not table.policies or not lab.wants(_KEY):
        return []
    text = "\n".join(lab.refs.closure_text(f"{p.using} {p.check}") for p in table.policies)
    signals: list[Signal] = []
    plan: list[Probe] = []
    for label in "AB":
        for topic in _topics(lab, text, label):
            for actor in _actors(lab, label):
                plan += _pair(lab, actor, topic)
    for item, outcome in zip(plan, lab.run(plan), strict=True):
        command, topic = item.tag
        worked = outcome.ok and (outcome.affected > 0 or bool(outcome.result))
        if not worked:
            continue
        actor = item.actor
        signals.append(
            Signal(
                "lifecycle.realtime" if actor.former else "realtime",
                "breach",
                "high",
                actor.name,
                _KEY,
                command,
                f"{command} on topic {topic}",
                "Messages of another tenant's private channel can be read or sent.",
                "Compare the tenant in realtime.topic() with the caller's own tenants.",
                item.sql,
                actor,
                (),
                group=_KEY,
                title="realtime.messages: another tenant's channel can be joined ({commands})",
            )
        )
    return signals


def _topics(lab: Lab, text: str, label: str) -> list[str]:
    keys = [lab.cast.tenant(label).id] if lab.model.tenanted else []
    keys += _looked_up(lab, text, label)
    keys += [m.user or "" for m in lab.cast.members(label)[:1]]
    heads = {""}
    for word in literals(text):
        clean = word.strip("%^$(.*)")
        if re.fullmatch(r"[\w-]+[:/_.-]", clean):
            heads.add(clean)
        elif re.fullmatch(r"[a-z][\w-]{1,30}", clean):
            heads |= {f"{clean}:", f"{clean}-", f"{clean}/", f"{clean}_"}
    out = [f"{h}{k}" for k in keys for h in sorted(heads)]
    out += [f"{h}{k}:hz" for k in keys[:1] for h in sorted(heads)]
    return out[:48]


def _looked_up(lab: Lab, text: str, label: str) -> list[str]:
    """Return ids of rows that the policies look up: a topic may name a project, a deal."""
    members = {m.table for m in lab.model.memberships}
    out = []
    for key in sorted(lab.refs.reach(text)[0] - members):
        base, rows = lab.catalog.tables.get(key), lab.fixtures.of(key, label)
        if lab.model.of(key).kind == "tenant" and base and rows and len(base.primary_key) == 1:
            out.append(str(rows[0].values.get(base.primary_key[0])))
    return out[:3]


def _actors(lab: Lab, label: str) -> list[Actor]:
    if label == "A":
        gone = [a for a in lab.cast.actors if a.former == "A" and a.user and "A" not in a.tenants]
        return gone[:2]
    members = lab.cast.members("A")
    chosen = [*members[:1], *members[-1:]]
    chosen += [a for a in lab.cast.actors if a.state in ("stranger", "anon")]
    return list({a.name: a for a in chosen}.values())


def _pair(lab: Lab, actor: Actor, topic: str) -> list[Probe]:
    quoted = sql.Literal(topic)
    row = lab.text(
        sql.SQL(
            "insert into realtime.messages (topic, extension, event, payload, private) "
            "values ({}, 'broadcast', 'hz', '{{}}', true)"
        ).format(quoted)
    )
    session = {"realtime.topic": topic}
    read = (
        "select pg_catalog.jsonb_agg(topic) from realtime.messages "
        "where extension in ('broadcast', 'presence')"
    )
    return [
        Probe(
            actor, read, rows=True, pre=(row,), replica=True, session=session, tag=("select", topic)
        ),
        Probe(actor, row, session=session, tag=("insert", topic)),
    ]
