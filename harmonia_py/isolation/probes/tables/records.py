"""Records that the database writes itself: whether a client can forge, change or remove them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements

__all__ = ["probe"]

Allowed = Mapping[tuple[str, str, str], set[str]]

_LOG = re.compile(r"(^|_)(audit|log|logs|history|trail|journal|events?)($|_)", re.I)


def probe(lab: Lab, allowed: Allowed) -> list[Signal]:
    """Judge every table whose rows triggers write and whose name or trigger says it is a record."""
    out: list[Signal] = []
    for table in lab.tables():
        model = lab.model.of(table.key)
        if model.kind != "tenant" or any(m.table == table.key for m in lab.model.memberships):
            continue
        if _is_record(lab, table):
            out += _changed(table, allowed)
            out += _forged(lab, table)
    return out


def _is_record(lab: Lab, table: Table) -> bool:
    """Whether triggers of other tables, and no other code, put rows here to say what happened."""
    write = re.compile(
        rf'\binsert\s+into\s+(?:"?{re.escape(table.schema)}"?\s*\.\s*)?"?{re.escape(table.name)}"?\b',
        re.I,
    )
    named = _LOG.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", table.name)) is not None
    for function in lab.catalog.functions.values():
        if not function.is_trigger or table.name.lower() not in function.source.lower():
            continue  # told at once: the pattern is slow over a long body
        if not write.search(function.source):
            continue
        if named or re.search(r"\btg_(op|table_name|relid)\b", function.source, re.I):
            return True
    return False


def _changed(table: Table, allowed: Allowed) -> list[Signal]:
    out = []
    for command in ("update", "delete"):
        who = sorted(k[2] for k, v in allowed.items() if k[:2] == (table.key, command) and "A" in v)
        if who:
            out.append(_signal(table, command, who[0], f"{who[0]} can {command} what was recorded"))
    return out


def _forged(lab: Lab, table: Table) -> list[Signal]:
    """Insert a record: of what a colleague did where rows name people, of anything where not."""
    spare = lab.fixtures.spares.get((table.key, "A"))
    members = lab.cast.members("A")
    users = lab.model.of(table.key).users
    if spare is None or not members or not lab.tries("insert"):
        return []
    for actor in (members[-1], members[0]):
        other = next((m.user for m in members if m.user != actor.user), None)
        values = dict(spare.values) | (dict.fromkeys(users, other) if users else {})
        text = statements.insert_sql(lab, table, actor, values)
        if text is None:
            continue
        item = Probe(actor, text, watch=(table.key,))
        (outcome,) = lab.run([item])
        made = [c.data for c in outcome.changes if c.table == table.key and c.kind == "new"]
        if made and all(str(made[0].get(c)) == other for c in users):
            what = "in a colleague's name" if users else "by hand"
            return [
                _signal(table, "insert", actor.name, f"{actor.name} wrote a record {what}", item)
            ]
    return []


def _signal(
    table: Table, command: str, actor: str, evidence: str, item: Probe | None = None
) -> Signal:
    return Signal(
        "record",
        "escalation",
        "high",
        actor,
        table.key,
        command,
        evidence,
        "Triggers write this table to say what happened; what people can write says nothing.",
        f"revoke insert, update, delete on {table.key} from authenticated;",
        item.sql if item else "",
        item.actor if item else None,
        (table.key,),
        group=table.key,
        title="{object}: the record of what happened can be forged ({commands})",
    )
