"""Keys that open rows to whoever presents them: only those of their tenant, and only while valid.

A machine has no account, so its function is open to everybody and a secret is all it asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harmonia_py.isolation.catalog import Function, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes.functions import rpc
from harmonia_py.isolation.probes.functions.arguments import is_secret
from harmonia_py.isolation.probes.functions.doors import (
    PRESENTED,
    Door,
    doors,
    present,
    ready,
    says,
    spent,
    with_values,
)

__all__ = ["probe"]

_UNKNOWN = "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"
#: What takes a key from its holder; one that was used or accepted may go on showing something.
_TAKEN = re.compile(r"expire|revok|disabl|delet|withdr", re.I)


def probe(lab: Lab) -> list[Signal]:
    """Present a secret of tenant B that the harness made, while it holds and after its end."""
    out: list[Signal] = []
    for function in rpc.exposed(lab) if lab.fixtures.replica else ():
        for door in doors(lab, function):
            if function.definer and _is_key(door) and _rows(lab, function, door):
                out += _try(lab, door)
    return out


def _is_key(door: Door) -> bool:
    """Whether a row is found by a secret: it is compared as a digest, or named as one."""
    return door.stored != PRESENTED or is_secret(door.table, door.column.name)


def _rows(lab: Lab, function: Function, door: Door) -> list[Table]:
    """Return the tables, besides the one that holds the secret and its tenant, that it reads.

    Whoever looks an invitation up may be told that it is over.
    """
    seats = {m.table for m in lab.model.memberships}
    apart = {*(table.key for table, _ in door.rows), lab.model.tenant_table, *seats}
    reached = (lab.catalog.tables.get(k) for k in lab.refs.direct(function.source)[0] - apart)
    return [t for t in reached if t is not None and lab.model.of(t.key).kind == "tenant"]


def _try(lab: Lab, door: Door) -> Iterator[Signal]:
    stranger = next((a for a in lab.cast.actors if a.state == "stranger"), None)
    if stranger is None:
        return
    held = ready(lab, door, "B", str(stranger.claims.get("email")))
    first = [present(lab, door, stranger, held), present(lab, door, stranger, held, _UNKNOWN)]
    known, unknown = lab.run(first)
    if not _opens(known) or _opens(unknown):
        return
    if any(owner == "A" for owner in lab.fixtures.owner_of(str(known.result)).values()):
        yield _signal(door, first[0], "cross_tenant", "a key of one tenant opens another")
    table, row = door.rows[0]
    cases = [(changed, what) for changed, what in spent(table, row) if _TAKEN.search(what)]
    cases += [
        ({c.name: True}, f"marked {c.name}")
        for c in table.columns
        if c.category == "B" and _TAKEN.search(c.name) and not any(c.name in k for k, _ in cases)
    ]
    plan = [present(lab, door, stranger, with_values(held, table, case)) for case, _ in cases]
    for (_, what), item, outcome in zip(cases, plan, lab.run(plan), strict=True):
        if _opens(outcome):
            yield _signal(door, item, "lifecycle", f"a key that is {what} still opens")


def _opens(outcome: Outcome) -> bool:
    return outcome.ok and says(outcome.result)


def _signal(door: Door, item: Probe, kind: str, how: str) -> Signal:
    return Signal(
        "bearer",
        "breach",
        "critical" if kind == "cross_tenant" else "high",
        "whoever presents a key",
        door.function.key,
        "execute",
        f"{how} (found by {door.table.key}.{door.column.name})",
        "The function asks for nothing but the secret, so the row that holds it decides.",
        f"Join {door.table.key}, ask there whether the key still holds, and keep to its tenant.",
        item.sql,
        item.actor,
        (door.table.key,),
        group=door.function.key,
        title="{object}: " + how,
        pre=item.pre,
    )
