"""Judge a write by the state of the rows after it, never by its row count."""

from __future__ import annotations

from dataclasses import replace

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tables.breaches import breach, shown
from harmonia_py.isolation.probes.tables.errors import judge_error
from harmonia_py.isolation.probes.tables.result import TableResult, Verdicts

__all__ = ["judge_write"]


def judge_write(
    lab: Lab,
    table: Table,
    item: Probe,
    first: Outcome,
    final: Outcome,
    result: TableResult,
    verdicts: Verdicts,
    variant: str,
) -> None:
    """Report a row of another tenant that is new, gone or changed; note what was rightly done.

    ``first`` is the outcome as it was, ``final`` that of the repetition with foreign keys off or
    with another row's key out of the way, where one of them stopped the statement.
    """
    actor, (command, _, label) = item.actor, item.tag
    own_label = label in actor.tenants
    bad = None
    good = False
    member_table = any(m.table == table.key for m in lab.model.memberships)
    # Whoever leaves takes his own name off the lists he was on.
    leaves = member_table or (command == "delete" and _is_list(lab, table))
    for change in final.changes:
        if change.table != table.key:
            continue
        if lab.ownership.foreign(actor, table.key, change.scope, change.data):
            touched_own = lab.ownership.mine(actor, table.key, change.data)
            if not (touched_own and change.kind == "gone" and leaves):
                bad = change
        elif command == "insert" and lab.ownership.others(
            actor, table.key, change.scope, change.data
        ):
            result.signals.append(_signed(item, table, change.data))
        elif label == "both" or change.scope is not None:
            good = good or _is_label(lab, table, change.scope, change.data, label, actor)
    if bad is not None:
        if variant.startswith("upsert") and all(c.kind == "new" for c in final.changes):
            command = "insert"  # nothing was there to be updated
        verdicts[actor.name, command, "foreign"].add("allow")
        note = "" if first.ok else " (only a foreign key stopped it)"
        own = (
            lab.ownership.mine(actor, table.key, bad.data)
            and command != "insert"
            and (
                "move" not in variant
                and "steal" not in variant
                and not variant.startswith("upsert")
            )
        )
        result.signals.append(
            breach(lab, table, item, command, f"{variant}: {shown(bad.data)}{note}", own=own)
        )
    if actor.is_member and own_label and label == "A":
        _own_rows(lab, table, item, final, result)
    if good:
        verdicts[actor.name, command, "own"].add("allow")
        result.allowed[table.key, command, actor.name].add(label)
    elif own_label and first.constraint:
        verdicts[actor.name, command, "own"].add("allow")
        result.allowed[table.key, command, actor.name].add(label)
    elif own_label:
        verdicts[actor.name, command, "own"].add(
            f"error {first.code} {first.message}" if not first.ok else "0 rows"
        )
    if not own_label and bad is None and first.constraint and not final.ok:
        _constraint_reached(lab, table, item, first, result, verdicts)
    if not first.ok:
        judge_error(lab, table, item, first, result)


def _signed(item: Probe, table: Table, data: dict[str, object]) -> Signal:
    """Say that a new row among the caller's own things is somebody else's by its own words."""
    return Signal(
        "own_rows",
        "escalation",
        "medium",
        item.actor.name,
        table.key,
        "insert",
        f"{item.tag[1]}: {shown(data)}",
        "The row hangs on something of the caller's, and says that it is of somebody else.",
        "Compare the column that says whose it is with auth.uid() in the insert policy.",
        item.sql,
        item.actor,
        (table.key,),
        table.key,
        title="{object}: members write rows in each other's name ({commands})",
    )


def _is_list(lab: Lab, table: Table) -> bool:
    """Whether a row pairs a person with a thing, and is known by the two."""
    key = set(table.primary_key)
    return len(key) > 1 and bool(key & set(lab.model.of(table.key).users))


def _own_rows(lab: Lab, table: Table, item: Probe, outcome: Outcome, result: TableResult) -> None:
    """Report a write that touched a colleague's row where only one's own may be."""
    command = item.tag[0]
    column = lab.model.of(table.key).own_rows.get(command)
    if column is None:
        return
    kind = "new" if command == "insert" or item.tag[1] == "hand over" else "gone"
    for change in outcome.changes:
        if change.table != table.key or change.kind != kind:
            continue
        if str(change.data.get(column)) != item.actor.user:
            result.signals.append(
                Signal(
                    "own_rows",
                    "escalation",
                    "medium",
                    item.actor.name,
                    table.key,
                    command,
                    f"{item.tag[1]}: {shown(change.data)}",
                    f"Only rows whose {column} is the caller may be touched so; this is a"
                    " colleague's.",
                    f"Compare {column} with auth.uid() in the {command} policy.",
                    item.sql,
                    item.actor,
                    (table.key,),
                    table.key,
                    title="{object}: members write rows in each other's name ({commands})",
                )
            )
            return


def _is_label(
    lab: Lab, table: Table, scope: str | None, data: dict[str, object], label: str, actor: Actor
) -> bool:
    if lab.model.of(table.key).kind == "user":
        return (
            scope == actor.user or lab.ownership.mine(actor, table.key, data) or scope is not None
        )
    return scope == lab.cast.tenant(label).id


def _constraint_reached(
    lab: Lab,
    table: Table,
    item: Probe,
    outcome: Outcome,
    result: TableResult,
    verdicts: Verdicts,
) -> None:
    """Retry a foreign insert that only another row's key stopped: the policy let it pass."""
    command, variant, label = item.tag
    if command != "insert" or outcome.code not in ("23505", "23P01"):
        return
    rows = lab.fixtures.of(table.key, label)
    clear = statements.erase(lab, table, lab.where_keys(table, [r.values for r in rows]))
    if any(m.table == table.key for m in lab.model.memberships) or not lab.fixtures.replica:
        return
    (again,) = lab.run([replace(item, pre=(clear,), replica=True)])
    for change in again.changes:
        if change.kind == "new" and lab.ownership.foreign(
            item.actor, table.key, change.scope, change.data
        ):
            verdicts[item.actor.name, command, "foreign"].add("allow")
            evidence = f"{variant}: {shown(change.data)} (another row's key was in the way)"
            result.signals.append(breach(lab, table, item, command, evidence, own=False))
            return
