"""A role that a tenant makes itself: every permission, and a rank in the middle of the others.

Where roles have ranks, the built-in ones leave no room to try what must not reach above one's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Argument, Function, Table
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.functions.uses import uses

__all__ = ["Custom", "custom", "roles_table"]

ROLE = "hz_custom"


@dataclass(frozen=True, slots=True)
class Custom:
    """Who is given the role, by which statements, and the rank it has (None: there are none)."""

    actor: Actor
    pre: tuple[str, ...]
    table: Table
    rank: str | None
    own: int

    def ranks(self, lab: Lab, function: Function, argument: Argument) -> bool:
        """Whether an argument becomes the rank of a role."""
        return argument.category == "N" and any(
            u.table.key == self.table.key and u.column.name == self.rank
            for u in uses(lab, function, argument.name)
        )


def roles_table(lab: Lab) -> tuple[Table, str] | None:
    """Return the table of roles and its key, where the seats' role points at one."""
    seats = lab.model.membership
    members = lab.catalog.tables.get(seats.table) if seats else None
    for fk in members.foreign_keys if members and seats and seats.role else ():
        if seats and seats.role in fk.columns and lab.model.of(fk.target).kind == "tenant":
            return lab.catalog.tables[fk.target], fk.ref_columns[fk.columns.index(seats.role)]
    return None


def custom(lab: Lab) -> Custom | None:
    """Compose it for the weakest member of tenant A; None where tenants make no roles."""
    key = "custom role"
    if key not in lab.memo:
        lab.memo[key] = _custom(lab)
    found: Custom | None = lab.memo[key]
    return found


def _custom(lab: Lab) -> Custom | None:
    source = next((s for s in lab.model.permission_tables if s.tenant), None)
    seats, place = lab.model.membership, roles_table(lab)
    members = lab.cast.members("A")
    if source is None or seats is None or seats.role is None or place is None or not members:
        return None
    table, column = place
    spare = lab.fixtures.spares.get((table.key, "A"))
    held = lab.catalog.tables.get(source.table)
    if spare is None or held is None or not lab.fixtures.replica:
        return None
    rank = next(
        (c.name for c in table.columns if c.category == "N" and c.name not in table.primary_key),
        None,
    )
    have = [int(r.values[rank]) for r in lab.fixtures.of(table.key, "A")] if rank else [0]
    own = (min(have) + max(have)) // 2
    row = spare.values | {column: ROLE} | ({rank: own} if rank else {})
    actor = members[-1]
    keys = {k for t in lab.model.tables.values() for some in t.permissions.values() for k in some}
    keys |= _listed(lab, held, source.permission)
    rows = [
        {source.tenant: lab.cast.a.id, source.role: ROLE, source.permission: k}
        for k in sorted(keys)
    ]
    members_table = lab.catalog.tables[seats.table]
    own_seat = lab.where(members_table, {seats.user: actor.user, seats.tenant: lab.cast.a.id})
    seat = statements.change(lab, members_table, {seats.role: ROLE}, own_seat)
    pre = (_insert(lab, table, [row]), _insert(lab, held, rows), seat)
    return Custom(actor, pre, table, rank, own)


def _listed(lab: Lab, held: Table, permission: str) -> set[str]:
    """Read every permission there is from the table that the permissions of roles point at."""
    for fk in held.foreign_keys:
        target = lab.catalog.tables.get(fk.target)
        if fk.columns == (permission,) and target is not None:
            query = sql.SQL("select {}::text from {}").format(
                sql.Identifier(fk.ref_columns[0]), target.sql
            )
            return {row[0] for row in lab.conn.execute(query)}
    return set()


def _insert(lab: Lab, table: Table, rows: Sequence[Mapping[Any, Any]]) -> str:
    names = [c.name for c in table.columns if c.writable and c.name in rows[0]]
    return lab.text(
        sql.SQL(
            "insert into {t} ({c}) select {c} from "
            "pg_catalog.jsonb_populate_recordset(null::{t}, {r})"
        ).format(
            t=table.sql, c=sql.SQL(", ").join(map(sql.Identifier, names)),
            r=sql.Literal(Jsonb(rows)),
        )
    )  # fmt: skip
