"""Judge the rows that a SELECT brought back."""

from __future__ import annotations

from collections import Counter

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes.functions.invitations import bearers
from harmonia_py.isolation.probes.tables.breaches import breach, shown
from harmonia_py.isolation.probes.tables.errors import judge_error
from harmonia_py.isolation.probes.tables.result import TableResult, Verdicts
from harmonia_py.isolation.publicity import opened

__all__ = ["judge_read"]


def judge_read(
    lab: Lab,
    table: Table,
    item: Probe,
    outcome: Outcome,
    known: dict[str, list[tuple[object, dict[str, object]]]],
    result: TableResult,
    verdicts: Verdicts,
) -> None:
    """Report the rows that are neither the actor's own nor open; note that own ones came."""
    actor = item.actor
    if not outcome.ok:
        verdicts[actor.name, "select", "own"].add(f"error {outcome.code} {outcome.message}")
        judge_error(lab, table, item, outcome, result)
        return
    seen = Counter(outcome.result or ())
    stolen: list[dict[str, object]] = []
    left: list[dict[str, object]] = []
    for mark, count in seen.items():
        rows = known.get(mark, [])
        home = [r for r in rows if not lab.ownership.foreign(actor, table.key, r[0], r[1])]  # type: ignore[arg-type]
        away = [r for r in rows if r not in home]
        for scope, _ in home[:count]:
            verdicts[actor.name, "select", "own"].add("allow")
            for label in actor.tenants:
                if str(scope) in (lab.cast.tenant(label).id, actor.user):
                    result.allowed[table.key, "select", actor.name].add(label)
        for _, data in away[: max(0, count - len(home))]:
            own_row = lab.ownership.mine(actor, table.key, data)
            if any(m.table == table.key for m in lab.model.memberships) and own_row:
                continue
            if own_row and lab.model.of(table.key).kind == "user":
                continue
            (left if own_row else stolen).append(data)
    stolen.sort(key=str)
    left.sort(key=str)
    if stolen:
        meant = opened(lab.conn, table, lab.model.of(table.key), stolen)
        stolen = [data for data in stolen if data not in meant]
    if stolen and (condition := _published(lab, table, actor, stolen)):
        verdicts[actor.name, "select", "foreign"].add("allow")
        result.signals.append(
            Signal(
                "rows.published",
                "exposure",
                "medium",
                actor.name,
                table.key,
                "select",
                shown(stolen[0]),
                f"Everybody sees the rows for which {condition[:120]}.",
                "If meant so, set public_when to this condition in harmonia.toml.",
                item.sql,
                actor,
                (table.key,),
                group="published",
                title="{object}: rows are open to everybody when a flag of theirs says so",
            )
        )
    elif stolen:
        verdicts[actor.name, "select", "foreign"].add("allow")
        result.signals.append(breach(lab, table, item, "select", shown(stolen[0]), own=False))
    elif left:
        verdicts[actor.name, "select", "foreign"].add("allow")
        result.signals.append(breach(lab, table, item, "select", shown(left[0]), own=True))


def _published(lab: Lab, table: Table, actor: Actor, rows: list[dict[str, object]]) -> str | None:
    """Return the condition on the rows' own flags that explains why all of ``rows`` are seen."""
    conditions = lab.refs.published(table, actor.role)
    if not conditions or not table.primary_key:
        return None
    readable = {c.name for c in table.readable(actor.role)}
    if any(key == table.key and column in readable for key, column in bearers(lab)):
        return None  # whoever reads what opens a door goes in: no flag can mean that
    said = " or ".join(f"({c})" for c in conditions)
    query = sql.SQL("select count(*) from {} where ({}) and ({})").format(
        table.sql, sql.SQL(said), sql.SQL(lab.where_keys(table, rows))
    )
    found = lab.conn.execute(query).fetchone()
    return said if found and found[0] == len(rows) else None
