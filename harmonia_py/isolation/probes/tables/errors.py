"""Look for other tenants' values inside error messages."""

from __future__ import annotations

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes.tables.result import TableResult

__all__ = ["judge_error"]


def judge_error(lab: Lab, table: Table, item: Probe, outcome: Outcome, result: TableResult) -> None:
    """Look for a value of another tenant inside an error message."""
    if not outcome.text:
        return
    for value, owner in lab.fixtures.owner_of(outcome.text).items():
        if (
            owner not in item.actor.tenants
            and owner != item.actor.former
            and (value not in item.sql and value != item.actor.user)
            and value not in str(item.actor.session())
        ):
            result.signals.append(
                Signal(
                    "error.text",
                    "oracle",
                    "medium",
                    item.actor.name,
                    table.key,
                    item.tag[0],
                    f"{outcome.code}: {outcome.text}",
                    "An error message carries a value of another tenant.",
                    "Raise errors without row values, and check ownership before anything else.",
                    item.sql,
                    item.actor,
                    (table.key,),
                    table.key,
                )
            )
