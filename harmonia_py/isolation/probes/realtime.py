"""Private Realtime channels: who may listen on, or send to, another tenant's topic."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
    exact, extensions = _heads(text)[0], _extensions(lab, text)
    signals: list[Signal] = []
    plan: list[Probe] = []
    for label in "AB":
        for topic in _topics(lab, text, label):
            for actor in _actors(lab, label, spelt=topic.startswith(tuple(exact) or ("",))):
                plan += _probes(lab, actor, topic, extensions)
    for item, outcome in zip(plan, lab.run(plan), strict=True):
        command, topic, extension = item.tag
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
                f"{command} on topic {topic}{extension}",
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
    exact, guessed = _heads(text)
    heads = {"", *exact, *guessed}
    out = [f"{h}{k}" for k in keys for h in sorted(heads)]
    out += [f"{h}{k}:hz" for k in keys[:1] for h in sorted(heads)]
    return out[:48]


def _heads(text: str) -> tuple[set[str], set[str]]:
    """Return how topics may begin: as policies spell it, and with words that they use."""
    exact, guessed = set(), set()
    for word in literals(text):
        if begins := re.match(r"\^?([\w-]+[:/_.-])(?=[^\w-]|$)", word):
            exact.add(begins[1])
        elif re.fullmatch(r"[a-z][\w-]{1,30}", clean := word.strip("%^$(.*)")):
            guessed |= {f"{clean}:", f"{clean}-", f"{clean}/", f"{clean}_"}
    return exact, guessed


def _looked_up(lab: Lab, text: str, label: str) -> list[str]:
    """Return ids of rows that the policies look up: a topic may name a project, a deal."""
    members = {m.table for m in lab.model.memberships}
    out = []
    for key in sorted(lab.refs.reach(text)[0] - members):
        base, rows = lab.catalog.tables.get(key), lab.fixtures.of(key, label)
        if lab.model.of(key).kind == "tenant" and base and rows and len(base.primary_key) == 1:
            out.append(str(rows[0].values.get(base.primary_key[0])))
    return out[:3]


def _actors(lab: Lab, label: str, *, spelt: bool) -> list[Actor]:
    """Return who tries a topic: people of every role where it is ``spelt`` as policies do."""
    if label == "A":
        gone = [a for a in lab.cast.actors if a.former == "A" and a.user and "A" not in a.tenants]
        return gone[:2]
    members = lab.cast.members("A")
    if not spelt:
        members = list({a.name: a for a in (*members[:1], *members[-1:])}.values())
    return [*members, *(a for a in lab.cast.actors if a.state in ("stranger", "anon"))]


def _extensions(lab: Lab, text: str) -> list[str]:
    """Return what a message may be of: as the policies name it, where they tell them apart."""
    if "extension" not in lab.refs.words(text):
        return ["broadcast"]
    named = set(literals(text)) & {"postgres_changes"}
    return ["broadcast", "presence", *named]


def _probes(lab: Lab, actor: Actor, topic: str, extensions: list[str]) -> Iterator[Probe]:
    rows = [_row(lab, topic, extension) for extension in extensions]
    session = {"realtime.topic": topic}
    read = lab.text(
        sql.SQL("select pg_catalog.jsonb_agg(topic) from realtime.messages where extension in ({})")
        .format(sql.SQL(", ").join(map(sql.Literal, extensions)))
    )  # fmt: skip
    tag = ("select", topic, "")
    yield Probe(actor, read, rows=True, pre=tuple(rows), replica=True, session=session, tag=tag)
    for row, extension in zip(rows, extensions, strict=True):
        said = "" if extension == "broadcast" else f" ({extension})"
        yield Probe(actor, row, session=session, tag=("insert", topic, said))


def _row(lab: Lab, topic: str, extension: str) -> str:
    return lab.text(
        sql.SQL(
            "insert into realtime.messages (topic, extension, event, payload, private) "
            "values ({}, {}, 'hz', '{{}}', true)"
        ).format(sql.Literal(topic), sql.Literal(extension))
    )
