"""Whether a role held in one tenant counts in another."""

from __future__ import annotations

from dataclasses import replace

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tables.plan import controls
from harmonia_py.isolation.probes.tables.result import COMMANDS, TableResult
from harmonia_py.isolation.probes.tables.trial import judge

__all__ = ["probe_role_bleed"]


def probe_role_bleed(lab: Lab, result: TableResult) -> None:
    """Check that the strongest role in A does not count in B, where the person is weakest."""
    if not lab.model.memberships or len(lab.model.roles) < 2:
        return
    weakest = f"B.{lab.model.roles[-1]}"
    both = next((a for a in lab.cast.actors if a.state == "both"), None)
    if both is None:
        return
    for table in lab.tables():
        if lab.model.of(table.key).kind not in ("tenant", "root"):
            continue
        for command in COMMANDS:
            can = "B" in result.allowed.get((table.key, command, both.name), ())
            should = "B" in result.allowed.get((table.key, command, weakest), ())
            if can and not should and not _without_seat(lab, table, command, both):
                result.signals.append(
                    Signal(
                        "role.other_tenant",
                        "escalation",
                        "critical",
                        both.name,
                        table.key,
                        command,
                        f"{both.name} is {lab.model.roles[0]} in A and {lab.model.roles[-1]} in B,"
                        f" and could {command} rows of B that {weakest} could not",
                        "A role held in one tenant is honoured in another.",
                        "Check the role for the row's own tenant, in the same sub-query.",
                        "",
                        both,
                        (table.key,),
                        table.key,
                    )
                )


def _without_seat(lab: Lab, table: Table, command: str, both: Actor) -> bool:
    """Whether the same person could do it without the membership of A: then A's role is not why.

    What it may do in B can hang on more than its role, such as on rows that name it.
    """
    clear = []
    for m in lab.model.memberships:
        members = lab.catalog.table(m.table)
        seats = [r.values for r in lab.fixtures.of(m.table, "A", both.user)]
        if members is not None and seats:
            clear.append(statements.erase(lab, members, lab.where_keys(members, seats)))
    if not clear or not lab.fixtures.replica:
        return False
    alone = replace(both, tenants={"B": both.tenants["B"]})
    if command == "select":
        plan = [p for p in [statements.select(lab, table, alone)] if p]
    else:
        plan = [p for p in controls(lab, table, alone) if p.tag[0] == command]
    plan = [replace(p, pre=tuple(clear), replica=True) for p in plan]
    result = TableResult()
    judge(lab, table, plan, result)
    return "B" in result.allowed.get((table.key, command, both.name), ())
