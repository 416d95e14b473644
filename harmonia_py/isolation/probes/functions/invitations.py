"""Invitations: a function that turns what its caller presents into a membership.

The harness stores a secret that it knows (see doors), and then lets the wrong people present it, or
the right person at the wrong time. What a secret opens may also be an answer, such as a token.
"""

from __future__ import annotations

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes.functions import rpc
from harmonia_py.isolation.probes.functions.arguments import choices, is_secret
from harmonia_py.isolation.probes.functions.doors import (
    PRESENTED,
    Door,
    Values,
    doors,
    is_address,
    present,
    ready,
    says,
    spent,
    with_values,
)

__all__ = ["bearers", "probe"]


def probe(lab: Lab) -> tuple[list[Signal], set[str]]:
    """Let the wrong people present a known secret, and the right one at the wrong time.

    Also returns the functions that let the right one in.
    """
    out: list[Signal] = []
    opened: set[str] = set()
    for function in rpc.exposed(lab):
        for door in doors(lab, function):
            found = _try(lab, door)
            if found is not None:
                opened.add(function.key)
                out += found
    return out, opened


def bearers(lab: Lab) -> set[tuple[str, str]]:
    """Return (table, column) of every secret that a function compares as it was presented."""
    return {
        (door.table.key, door.column.name)
        for function in rpc.exposed(lab)
        for door in doors(lab, function)
        if door.stored == PRESENTED and function.definer and is_secret(door.table, door.column.name)
    }


def _try(lab: Lab, door: Door) -> list[Signal] | None:
    invitee = next((a for a in lab.cast.actors if a.state == "stranger"), None)
    other = next((a for a in lab.cast.actors if a.state == "fresh"), None)
    if invitee is None or other is None or not lab.fixtures.replica:
        return None
    address = str(invitee.claims.get("email"))
    held = ready(lab, door, "B", address)
    wrong: list[tuple[Actor, Values, str, str]] = []
    if any(is_address(c, row) for table, row in door.rows for c in table.columns):
        forged = other.with_claims(
            other.name, user_metadata={"email": address, "email_address": address}
        )
        taken = "somebody else's invitation is taken"
        wrong.append((other, held, taken, "somebody whose address it is not"))
        wrong.append((forged, held, taken, "an address in user_metadata"))
    for table, row in door.rows:
        for changed, what in spent(table, row):
            over = with_values(held, table, changed)
            wrong.append((invitee, over, f"an invitation that is {what} still works", what))
    unknown = "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"
    guesses = _guesses(lab, door)
    # Most candidates are no door: that is asked first.
    first = [present(lab, door, invitee, held), present(lab, door, invitee, held, unknown)]
    first += [present(lab, door, actor, values) for actor, values, _, _ in wrong[:2]]
    known, strange, *others = lab.run(first)
    if _opens(lab, strange, first[1]) or not any(
        _opens(lab, o, p) for o, p in zip([known, *others], [first[0], *first[2:]], strict=True)
    ):
        return None  # not a door at all, or one that rpc finds open
    plan: list[Probe] = []
    plan += [present(lab, door, actor, values) for actor, values, _, _ in wrong]
    plan += [present(lab, door, invitee, held, value) for _, value in guesses]
    outcomes = lab.run(plan)
    cases = [(title, how) for _, _, title, how in wrong]
    cases += [("an invitation opens without its secret", f"its {name}") for name, _ in guesses]
    found = [
        _signal(door, item, title, how)
        for (title, how), item, outcome in zip(cases, plan, outcomes, strict=True)
        if _opens(lab, outcome, item)
    ]
    if picked := _picked(lab, door, held, known):
        title = "its caller chooses the role it gives"
        found.append(_signal(door, first[0], title, f"{picked} instead of what it says"))
    return found


def _picked(lab: Lab, door: Door, held: Values, outcome: Outcome) -> str | None:
    """Return the role that the caller got by an argument, where the row says another."""
    seats = lab.model.membership
    said = held.get(door.table.key, {}).get(seats.role or "") if seats else None
    if seats is None or said is None or said not in lab.model.roles:
        return None
    given = [
        str(c.data.get(seats.role or ""))
        for c in outcome.changes
        if c.table == seats.table and c.kind == "new"
    ]
    asked = {
        str(option[0])
        for a in door.function.arguments
        if a is not door.argument
        for option in choices(lab, door.function, a, "B")
    }
    return next((r for r in given if r != said and r in asked and r in lab.model.roles), None)


def _guesses(lab: Lab, door: Door) -> list[tuple[str, str]]:
    """List what is no secret of the row, and would fit the argument."""
    out = []
    for name in door.table.primary_key:
        value = str(door.rows[0][1].get(name))
        fits = door.argument.category == "S" or door.table.column(name).type == door.argument.type
        if fits and name not in (*lab.model.of(door.table.key).path, door.column.name):
            out.append((name, value))
    return out


def _opens(lab: Lab, outcome: Outcome, item: Probe) -> bool:
    """Whether the caller has a seat in a tenant now, or was at least told something."""
    if not outcome.ok:
        return _stopped_by_seat(lab, outcome)
    tables = {m.table: m.user for m in lab.model.memberships}
    seated = any(
        c.table in tables
        and c.kind == "new"
        and str(c.data.get(tables[c.table])) == item.actor.user
        for c in outcome.changes
    )
    return seated or (bool(outcome.changes) and says(outcome.result))


def _stopped_by_seat(lab: Lab, outcome: Outcome) -> bool:
    """Whether the seat was about to be stored, and only the person's own record was missing.

    The people of the cast never signed up, so they may have no profile that a seat points at.
    """
    return outcome.code == "23503" and any(
        m.user in fk.columns and f'"{fk.name}"' in outcome.message
        for m in lab.model.memberships
        for fk in lab.catalog.tables[m.table].foreign_keys
    )


def _signal(door: Door, item: Probe, title: str, how: str) -> Signal:
    return Signal(
        "invitation",
        "escalation",
        "high",
        item.actor.name,
        door.function.key,
        "execute",
        f"{title} ({how})",
        "Whoever should not be let in becomes a member of another tenant.",
        f"Let {door.function.key} find the row of {door.table.key} by its secret alone, and look"
        " there whether it is open, in time, and for the caller's verified address.",
        item.sql,
        item.actor,
        (door.table.key,),
        group=door.function.key,
        title="{object}: " + title,
        pre=item.pre,
    )
