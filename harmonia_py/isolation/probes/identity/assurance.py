"""How sure one is of the caller: a second factor, and an account that is more than anonymous.

Policies that ask for ``aal`` or ``is_anonymous`` must make a difference; the same caller is sent
with the weaker claim. Where a second factor is needed to add a row and not to change one, the need
can be walked around. What ``harmonia.toml`` lists is held to as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.model import TableModel
from harmonia_py.isolation.probes import home
from harmonia_py.isolation.steps import Steps, together

__all__ = ["factor", "observed", "probe"]


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claim, the value that is worth less, and what the model calls the need for the better."""

    name: str
    weak: Any
    need: str
    said: str


_CLAIMS = (
    _Claim("aal", "aal1", "second_factor", "a second factor"),
    _Claim("is_anonymous", weak=True, need="registered", said="an account that is not anonymous"),
)


def probe(lab: Lab) -> list[Signal]:
    """Send members with the weaker claim wherever the policies or the model ask for the better."""
    held: list[tuple[frozenset[str], frozenset[str]]] = []
    stories: list[Steps[_Seen]] = []
    for table in _tables(lab):
        for claim in _CLAIMS:
            asking = _asking(lab, table, claim)
            listed = frozenset(getattr(lab.model.of(table.key), claim.need))
            if asking or listed:
                held.append((asking | listed, listed))
                stories.append(_look(lab, table, claim))
    out: list[Signal] = []
    for (commands, listed), seen in zip(held, together(lab, stories), strict=True):
        for command in sorted(commands & seen.open.keys()):
            out.append(_unheeded(seen, command, listed=command in listed))
        if seen.claim.name == "aal" and not listed:
            out += _around(seen)
    return out


def observed(lab: Lab, table: Table) -> dict[str, tuple[str, ...]]:
    """Return, by the name of the need, the commands that the weaker claim does not reach."""
    out: dict[str, tuple[str, ...]] = {}
    if table not in _tables(lab):
        return out
    claims = [claim for claim in _CLAIMS if _asking(lab, table, claim)]
    for seen in together(lab, [_look(lab, table, claim) for claim in claims]):
        out[seen.claim.need] = tuple(sorted(seen.closed))
    return out


def _tables(lab: Lab) -> list[Table]:
    return [t for t in lab.tables() if lab.model.of(t.key).kind in ("tenant", "root", "user")]


def _asking(lab: Lab, table: Table, claim: _Claim) -> frozenset[str]:
    """Return the commands whose policies name the claim, themselves or through helpers."""
    found = set()
    for command in ("select", "insert", "update", "delete"):
        policies = table.policies_for(command, "authenticated")
        text = "\n".join(f"{p.using or ''} {p.check or ''}" for p in policies)
        if f"'{claim.name}'" in lab.refs.closure_text(text):
            found.add(command)
    return frozenset(found)


@dataclass(slots=True)
class _Seen:
    """What the first member who can use each command does with either value of the claim."""

    lab: Lab
    table: Table
    claim: _Claim
    open: dict[str, Probe] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)


def _look(lab: Lab, table: Table, claim: _Claim) -> Steps[_Seen]:
    seen = _Seen(lab, table, claim)
    done: set[str] = set()
    for actor in lab.cast.members("A"):
        could: dict[str, int] = {}
        for item in home.plan(lab, table, actor):
            if item.tag[1] not in done:
                outcome = yield item
                if home.reached(item, outcome):
                    could[item.tag[1]] = home.weight(item, outcome)
        done |= could.keys()
        seen.open |= yield from _reached(seen, actor, could)
        seen.closed |= could.keys() - seen.open.keys()
    return seen


def _reached(seen: _Seen, actor: Actor, could: dict[str, int]) -> Steps[dict[str, Probe]]:
    """Return what the weaker claim reaches too, whatever flag of the project is set."""
    left = set(could)
    kept: dict[str, Probe] = {}
    weak = actor.with_claims(actor.name, **{seen.claim.name: seen.claim.weak})
    for prepared in _circumstances(seen, actor) if left else ():
        for item in home.plan(seen.lab, seen.table, weak, prepared):
            command = item.tag[1]
            if command not in left:
                continue
            outcome = yield item
            if not home.reached(item, outcome) or home.weight(item, outcome) < could[command]:
                left.discard(command)
            else:
                kept.setdefault(command, item)
    return {command: item for command, item in kept.items() if command in left}


def _circumstances(seen: _Seen, actor: Actor) -> Iterator[tuple[str, ...]]:
    """Yield what to prepare: a verified factor, then each flag that policies look at."""
    lab = seen.lab
    enrolled = factor(lab, actor) if seen.claim.name == "aal" else ()
    yield enrolled or ("select 1",)
    text = lab.refs.closure_text(lab.refs.policy_text(seen.table))
    words = lab.refs.words(text)
    for key in sorted(lab.refs.reach(text)[0]):
        table = lab.catalog.tables.get(key)
        if table is None or not table.is_base:
            continue
        for column in table.columns:
            if column.category == "B" and column.name in words and column.writable:
                flag = sql.SQL("update {} set {} = true")
                name = sql.Identifier(column.name)
                yield (*enrolled, lab.text(flag.format(table.sql, name)))


def factor(lab: Lab, actor: Actor) -> tuple[str, ...]:
    """Compose what enrols a second factor: some policies ask for one only of who has it."""
    factors = lab.catalog.platform.get("auth.mfa_factors")
    if factors is None:
        return ()
    row = {
        "id": actor.user,
        "user_id": actor.user,
        "friendly_name": "phone",
        "factor_type": "totp",
        "status": "verified",
        "secret": "hz",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }
    names = [n for n in row if factors.has(n)]
    insert = sql.SQL("insert into {} ({}) values ({}) on conflict do nothing").format(
        factors.sql,
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join(lab.literal(factors, n, row[n]) for n in names),
    )
    return (lab.text(insert),)


def _unheeded(seen: _Seen, command: str, *, listed: bool) -> Signal:
    claim, table, item = seen.claim, seen.table, seen.open[command]
    asks = "harmonia.toml asks for" if listed else "a policy looks at it"
    return Signal(
        "claims.unheeded",
        "escalation",
        "high",
        item.actor.name,
        table.key,
        command,
        f"with {claim.name} = {claim.weak} {item.actor.name} can {command} as well ({asks})",
        f"The policies speak of {claim.name}, and its value makes no difference: {claim.said} is"
        " not needed."
        if not listed
        else f"The model says that {claim.said} is needed, and it is not.",
        f"Compare {claim.name} with the value that is needed, in a restrictive policy for"
        f" {command}.",
        item.sql,
        item.actor,
        (table.key,),
        group=f"{table.key} {claim.name}",
        title="{object}: " + claim.said + " is asked for and not needed ({commands})",
        pre=item.pre,
    )


def _around(seen: _Seen) -> Iterator[Signal]:
    """Find rows that take a second factor to add, and none to be changed into anything."""
    table = seen.table
    if "insert" not in seen.closed or "update" not in seen.open:
        return
    item = seen.open["update"]
    model: TableModel = seen.lab.model.of(table.key)
    keys = {*table.primary_key, *model.path, *model.users}
    by_role = {
        privilege: {c.name for c in table.columns if (item.actor.role, privilege) in c.privileges}
        for privilege in ("INSERT", "UPDATE")
    }
    if not by_role["INSERT"] - keys <= by_role["UPDATE"]:
        return
    yield Signal(
        "claims.around",
        "escalation",
        "high",
        item.actor.name,
        table.key,
        "update",
        f"with aal = aal1 {item.actor.name} cannot insert, and can update every such column",
        "Adding a row takes a second factor, and changing one into anything takes none.",
        "Let the policy that asks for aal2 cover every command.",
        item.sql,
        item.actor,
        (table.key,),
        group=f"{table.key} aal",
        title="{object}: a second factor is asked for and not needed ({commands})",
        pre=item.pre,
    )
