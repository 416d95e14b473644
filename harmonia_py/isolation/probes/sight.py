"""What is in sight: a statement that counts the rows of a few tables whose policies differ."""

from __future__ import annotations

from psycopg import sql

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.lab import Lab, Probe

__all__ = ["answering", "look", "sample"]

#: How many tables are looked at; they are chosen so that their policies ask different helpers.
_TABLES = 5
_MOST = 45


def sample(lab: Lab, label: str, apart: set[str]) -> list[Table]:
    """Choose a few tables with rows of a tenant, small ones first, that differ in what they ask.

    Those that the weakest member does not see are told from those that it sees.
    """
    tables = [
        t
        for t in lab.catalog.reachable()
        if t.is_base and t.parent is None and t.key not in apart
        and lab.model.of(t.key).kind in ("tenant", "root")
        and lab.fixtures.of(t.key, label) and t.readable("authenticated")
    ]  # fmt: skip
    members = lab.cast.members(label)
    seats = {m.table for m in lab.model.memberships}
    tables = answering(lab, tables)
    if not tables or not members:
        return []
    (outcome,) = lab.run([Probe(members[-1], look(lab, tables), rows=True)])
    least = dict(outcome.result or {}) if outcome.ok else {}
    rows = lab.fixtures.rows
    chosen: dict[tuple[frozenset[str], bool], Table] = {}
    for table in sorted(tables, key=lambda t: (t.key in seats, len(rows[t.key]), t.key)):
        asked = frozenset(lab.refs.direct(lab.refs.policy_text(table, "select"))[1])
        chosen.setdefault((asked, least.get(table.key, 0) > 0), table)
    return list(chosen.values())[:_TABLES]


def answering(lab: Lab, tables: list[Table]) -> list[Table]:
    """Leave out the tables whose policies raise an error for whoever looks at them.

    Policies that ask each other without end are an error of one table, which would otherwise
    hide what changes in all the others.
    """
    broken: set[str] | None = lab.memo.get("tables that raise")
    if broken is None:
        people = [a for a in lab.cast.actors if a.user and a.role == "authenticated"][:1]
        every = [t for t in lab.catalog.reachable() if t.is_base and t.readable("authenticated")]
        plan = [Probe(a, look(lab, [t]), rows=True, tag=t.key) for a in people for t in every]
        outcomes = lab.run(plan, counted=False)
        broken = {p.tag for p, o in zip(plan, outcomes, strict=True) if not o.ok}
        lab.memo["tables that raise"] = broken
    return [t for t in tables if t.key not in broken]


def look(lab: Lab, tables: list[Table], *, beyond: str | None = None) -> str:
    """Compose what counts the rows in sight: all of them, or those that are not of a tenant."""
    parts = []
    for table in tables:
        path = lab.model.of(table.key).path
        readable = table.readable("authenticated")
        count = sql.SQL("{}, (select pg_catalog.count({}) from {}").format(
            sql.Literal(table.key), sql.Identifier(readable[0].name), table.sql
        )
        if beyond and len(path) == 1 and table.column(path[0]) in readable:
            count += sql.SQL(" where {}::text <> {}").format(
                sql.Identifier(path[0]), sql.Literal(beyond)
            )
        elif beyond:
            continue
        parts.append(count + sql.SQL(")"))
    if not parts:
        return ""
    return lab.text(
        sql.SQL("select pg_catalog.jsonb_build_object({})").format(
            sql.SQL(", ").join(parts[:_MOST])
        )
    )
