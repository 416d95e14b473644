"""Say what it means that an actor reached a row that is not theirs."""

from __future__ import annotations

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Severity, Signal
from harmonia_py.isolation.lab import Lab, Probe

__all__ = ["breach", "shown"]


_FOREIGN_WHY = {
    "select": "rows of another tenant come back",
    "insert": "rows can be put into another tenant",
    "update": "rows of another tenant can be changed, moved in or taken over",
    "delete": "rows of another tenant can be deleted",
}

_BLANKET = (
    (
        "rows of tenants",
        "{object}: a policy that compares nothing opens the rows of every tenant ({commands})",
    ),
    (
        "rows of users",
        "{object}: a policy that compares nothing opens the rows of every user ({commands})",
    ),
)


def breach(
    lab: Lab, table: Table, item: Probe, command: str, evidence: str, *, own: bool
) -> Signal:
    """Return the signal of a row reached; ``own`` is a row that names the actor, or did."""
    actor = item.actor
    moved = actor.state == "moved" and own
    former = moved or (actor.former is not None and actor.state not in ("stranger",))
    kind = lab.model.of(table.key).kind
    if former:
        what = {
            "removed": "somebody whose membership is gone",
            "moved": "somebody who is in another tenant now",
            "deleted": "a member whose membership is marked as deleted",
            "expired": "a member whose membership has expired",
        }.get(actor.state, f"a member whose status is {actor.state.split(':')[-1]}")
        rule = "lifecycle.own_rows" if own else "lifecycle.access"
        return Signal(
            rule,
            "breach",
            "medium" if own else "high",
            actor.name,
            table.key,
            command,
            f"{command} as {what}: {evidence}",
            f"{what[0].upper()}{what[1:]} still reaches the tenant's rows.",
            "Let every policy ask the one helper that looks at the membership's state.",
            item.sql,
            actor,
            (table.key,),
            group="own" if own else f"{actor.state}",
        )
    severity: Severity = "high" if kind == "user" else "critical"
    open_to_all = actor.state in ("stranger", "anonymous", "anon")
    blanket = table.rls and lab.refs.blanket(table, command, actor.role)
    if kind == "user" and command == "select" and blanket:
        return Signal(
            "user_rows.public",
            "exposure",
            "medium",
            actor.name,
            table.key,
            command,
            evidence,
            "A policy that compares nothing shows these rows of every user to everybody it is for.",
            'Narrow the policy; or, if meant so, set public_when = "true" in harmonia.toml.',
            item.sql,
            actor,
            (table.key,),
            group="public",
        )
    if (
        kind == "root"
        and command == "select"
        and blanket
        and lab.refs.blanket(table, "select", "anon")
    ):
        # Said of visitors as well, it is a list of who is there: a directory, a page of shops.
        return Signal(
            "user_rows.public",
            "exposure",
            "medium",
            actor.name,
            table.key,
            command,
            evidence,
            "A policy that compares nothing shows every tenant's own row, to visitors too.",
            'Narrow the policy; or, if meant so, set public_when = "true" in harmonia.toml.',
            item.sql,
            actor,
            (table.key,),
            group="tenants",
            title="{object}: the list of tenants is open to everybody",
        )
    who = "people who belong to no tenant" if open_to_all else "members of another tenant"
    return Signal(
        "cross_tenant",
        "breach",
        severity,
        actor.name,
        table.key,
        command,
        evidence,
        f"For {who}: {_FOREIGN_WHY[command]}.",
        _fix(table, command, actor.role),
        item.sql,
        actor,
        (table.key,),
        group=_BLANKET[kind == "user"][0] if blanket else table.key,
        title=_BLANKET[kind == "user"][1] if blanket else "",
    )


def _fix(table: Table, command: str, role: str) -> str:
    if not table.rls:
        return f"Row level security is off: alter table {table.key} enable row level security."
    names = [p.name for p in table.policies_for(command, role) if p.permissive]
    if names:
        return f"Tie these policies to the caller's own tenants: {', '.join(names)}."
    return "Look at what the statement reaches besides the table's own policies (triggers, grants)."


def shown(data: dict[str, object]) -> str:
    """Return the first six values of a row that are not null, for a person to read."""
    parts = [f"{k}={v}" for k, v in data.items() if v is not None][:6]
    return ", ".join(parts)
