"""Views, materialized views, foreign tables and partitions: the ways around a table's policies."""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements

__all__ = ["probe"]


def probe(lab: Lab) -> tuple[list[Signal], dict[str, int]]:
    """Read and write through each and judge by the values that come back."""
    signals: list[Signal] = []
    counts: dict[str, int] = {}
    for table in lab.catalog.reachable():
        if (table.is_base and table.parent is None) or not lab.wants(table.key):
            continue
        if lab.model.of(table.key).kind in ("public", "internal"):
            continue
        plan = [p for a in _actors(lab) for p in _reads(lab, table, a)]
        plan += [p for a in _actors(lab) for p in _writes(lab, table, a)]
        outcomes = lab.run(plan)
        counts[table.key] = len(plan)
        plain: dict[str, str] = {}
        for item, outcome in zip(plan, outcomes, strict=True):
            actor = item.actor
            if item.tag == "without":
                if outcome.ok and actor.name in plain and str(outcome.result) != plain[actor.name]:
                    text = "the answer changes when another tenant's rows are removed"
                    signal = _signal(lab, table, item, "select", text)
                    signals.append(_tally(signal) if _counts(outcome.result) else signal)
                continue
            if item.tag == "read":
                if outcome.ok:
                    plain[actor.name] = str(outcome.result)
                found = lab.fixtures.owner_of(f"{outcome.result or ''} {outcome.text}")
                stolen = [v for v, o in found.items() if o not in actor.tenants and v != actor.user]
                if stolen and not _only_own(lab, actor, outcome.result, stolen):
                    signals.append(_signal(lab, table, item, "select", f"returned {stolen[0]}"))
                continue
            for change in outcome.changes:
                if lab.ownership.foreign(actor, change.table, change.scope, change.data):
                    signals.append(
                        _signal(lab, table, item, item.tag, f"changed a row of {change.table}")
                    )
                    break
    return signals, counts


def _counts(result: object) -> bool:
    """Whether a view tells one number or one yes or no, and no row of anybody."""
    if not isinstance(result, list) or len(result) != 1 or not isinstance(result[0], dict):
        return False
    values = list(result[0].values())
    return len(values) == 1 and isinstance(values[0], bool | int)


def _tally(signal: Signal) -> Signal:
    return replace(
        signal,
        kind="oracle",
        severity="medium",
        why="One number over everybody's rows tells that others have rows, and how many.",
        title="{object}: a view counts other tenants' rows",
    )


def _only_own(lab: Lab, actor: Actor, result: object, stolen: list[str]) -> bool:
    """Whether every row with a foreign value also names the actor (its own membership)."""
    if actor.user is None or not isinstance(result, list):
        return False
    rows = [str(r) for r in result if any(v in str(r) for v in stolen)]
    return all(actor.user in r for r in rows) and actor.state not in ("active",)


def _actors(lab: Lab) -> list[Actor]:
    members = lab.cast.members("A")
    chosen = [*members[:1], *members[-1:]]
    chosen += [
        a
        for a in lab.cast.actors
        if a.state in ("stranger", "anonymous", "anon") or a.former is not None
    ]
    return list({a.name: a for a in chosen}.values())


def _reads(lab: Lab, table: Table, actor: Actor) -> list[Probe]:
    columns = [c.name for c in table.readable(actor.role)]
    if not columns:
        return []
    text = lab.text(
        sql.SQL(
            "select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) order by x::text) "
            "from (select {} from {}) as x"
        ).format(sql.SQL(", ").join(map(sql.Identifier, columns)), table.sql)
    )
    out = [Probe(actor, text, rows=True, tag="read")]
    victim = actor.former or "B"
    clear: list[str] = []
    for key in _sources(lab, table, set()):
        base = lab.catalog.tables.get(key)
        if base is None or not base.is_base or any(m.table == key for m in lab.model.memberships):
            continue
        rows = lab.fixtures.of(key, victim)
        if rows and base.primary_key:
            clear.append(
                statements.erase(lab, base, lab.where_keys(base, [r.values for r in rows]))
            )
    if clear and lab.fixtures.replica and actor.former is None:
        for key in sorted({table.key, *_sources(lab, table, set())}):
            stored = lab.catalog.tables.get(key)
            if stored is not None and stored.kind == "matview":
                clear.append(lab.text(sql.SQL("refresh materialized view {}").format(stored.sql)))
        out.append(Probe(actor, text, rows=True, pre=tuple(clear), replica=True, tag="without"))
    return out


def _sources(lab: Lab, table: Table, seen: set[str]) -> set[str]:
    for key in table.sources:
        if key not in seen:
            seen.add(key)
            if source := lab.catalog.tables.get(key):
                _sources(lab, source, seen)
    reached, _ = lab.refs.reach(table.definition or "")
    return seen | set(reached)


def _writes(lab: Lab, table: Table, actor: Actor) -> list[Probe]:
    """Blind writes: through an owner's-rights view no policy of the base table applies."""
    if table.kind not in ("view", "table", "partitioned"):
        return []
    out = []
    column = statements.touch_column(lab, table, actor.role)
    if column is not None:
        out.append(Probe(actor, statements.touch(lab, table, column), watch=("*",), tag="update"))
    if table.can(actor.role, "DELETE"):
        out.append(
            Probe(actor, statements.erase(lab, table), watch=("*",), replica=True, tag="delete")
        )
    if table.can(actor.role, "INSERT"):
        for key in table.sources or ((table.parent,) if table.parent else ()):
            spare = lab.fixtures.spares.get((key or "", actor.former or "B"))
            if spare is None:
                continue
            values = {c.name: spare.values[c.name] for c in table.columns if c.name in spare.values}
            text = statements.insert_sql(lab, table, actor, values) if values else None
            if text:
                out.append(Probe(actor, text, watch=("*",), tag="insert"))
            break
    return out


def _signal(lab: Lab, table: Table, item: Probe, command: str, evidence: str) -> Signal:
    names = {"view": "view", "matview": "materialized view", "foreign": "foreign table"}
    what = names.get(table.kind, "partition")
    fixes = {
        "view": "alter view ... set (security_invoker = true), or revoke it from the API roles.",
        "materialized view": "Materialized views have no policies: revoke it from the API roles.",
        "foreign table": "Foreign tables have no policies: revoke it from the API roles.",
        "partition": "Enable row level security on the partition too, or revoke it.",
    }
    former = item.actor.former is not None
    above = sorted(
        t.key for t in lab.catalog.tables.values() if not t.is_base and table.key in t.sources
    )
    if above:
        evidence += f"; {', '.join(above)} stands on it"
    return Signal(
        "lifecycle.view" if former else "view",
        "breach",
        "high" if former else "critical",
        item.actor.name,
        table.key,
        command,
        evidence,
        f"This {what} does not apply the policies of the tables behind it to the caller.",
        fixes[what],
        item.sql,
        item.actor,
        (table.key,),
        group=table.key,
        title=f"{{object}}: a {what} gives access to another tenant's rows ({{commands}})",
    )
