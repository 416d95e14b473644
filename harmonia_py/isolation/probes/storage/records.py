"""Rows that name an object: whoever may write one must not get at an object by its name."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.storage.files import KEY, Item, naming

__all__ = ["registered"]


def registered(lab: Lab, table: Table, items: list[Item]) -> Iterator[tuple[Probe, Item, str, str]]:
    """Let members write the other tenant's names into rows of their own; yield what that opens."""
    for key, column in naming(lab, table):
        held = {str(r.values.get(column)) for r in lab.fixtures.of(key, "B")}
        named = list({i.bucket: i for i in items if i.owner == "B" and i.name in held}.values())
        plan = [
            p for actor in lab.cast.members("A") for p in _writes(lab, key, column, actor, named)
        ]
        taken = {
            (p.actor.name, p.tag.id): p
            for p, o in zip(plan, lab.run(plan), strict=True)
            if any(c.kind == "new" and c.data.get(column) == p.tag.name for c in o.changes)
        }
        uses = [use for p in taken.values() for use in _uses(lab, p)]
        told: set[str] = set()
        for use, outcome in zip(uses, lab.run(uses), strict=True):
            command, item = use.tag
            got = str(outcome.result) if command == "select" else ""
            if command not in told and (
                item.id in got or any(str(c.data.get("id")) == item.id for c in outcome.changes)
            ):
                told.add(command)
                use.tag = command
                evidence = f"{command} {item.bucket}/{item.name}, once {key}.{column} names it"
                yield use, item, key, evidence


def _writes(lab: Lab, key: str, column: str, actor: Actor, named: list[Item]) -> Iterator[Probe]:
    table = lab.catalog.tables[key]
    spare = lab.fixtures.spares.get((key, "A"))
    rows = [r.values for r in lab.fixtures.of(key, "A", actor.user)][:1]
    rows = rows or [r.values for r in lab.fixtures.of(key, "A")][:1]
    for item in named:
        if spare is not None:
            values = statements.with_user(lab, table, spare, actor) | {column: item.name}
            text = statements.insert_sql(lab, table, actor, values)
            if text is not None:
                yield Probe(actor, text, watch=(key,), tag=item)
        may = (actor.role, "UPDATE") in table.column(column).privileges
        if rows and may and table.can(actor.role, "SELECT"):
            keys = lab.where_keys(table, rows)
            text = statements.change(lab, table, {column: item.name}, keys)
            yield Probe(actor, text, watch=(key,), tag=item)


def _uses(lab: Lab, written: Probe) -> Iterator[Probe]:
    """Yield what the row may open, once it is there; defaults of it may name the caller."""
    item, actor = written.tag, written.actor
    claims = lab.speaking(actor)
    # A policy may fail on the path of some other object.
    alone = lab.text(
        sql.SQL("delete from storage.objects where id <> {}").format(sql.Literal(item.id))
    )
    for command, text in (
        ("select", "select pg_catalog.jsonb_agg(id) from storage.objects"),
        ("update", "update storage.objects set metadata = '{}'"),
        ("delete", "delete from storage.objects"),
    ):
        yield Probe(
            actor,
            text,
            rows=command == "select",
            watch=() if command == "select" else (KEY,),
            pre=(alone, *claims, written.sql),
            replica=True,
            session={"storage.allow_delete_query": "true"},
            tag=(command, item),
        )
