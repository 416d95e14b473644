"""Who may call which function for their own tenant: the model's list is held in both directions.

An entry of the list is a role (``admin``), a role on a colleague of a role (``admin on owner``),
a role that gives or names a role (``admin as owner``), somebody without a live seat (``stranger``,
``suspended``), platform staff, or ``custom``: a role the tenant made itself (``custom above``: that
reaches above its own rank). ``owner when table.column is past`` says what a call may still do when
that is so, and ``adds``, ``changes``, ``removes`` what the call does to a table the function names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from harmonia_py.isolation.actors import Actor, user_id
from harmonia_py.isolation.catalog import Argument, Function, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes.functions import rpc
from harmonia_py.isolation.probes.functions.arguments import choices
from harmonia_py.isolation.probes.functions.circumstances import circumstances, worked_on
from harmonia_py.isolation.probes.functions.doors import presentations, says
from harmonia_py.isolation.probes.functions.uses import uses
from harmonia_py.isolation.probes.roles.ranks import Custom, custom, roles_table

__all__ = ["channels", "observed", "plan", "probe"]

#: Two sorts of calls: those as things are, and those after something has happened.
_USUAL, _UNUSUAL = "usual", "unusual"
#: How many of the calls that work are made again under each circumstance.
_CALLS = 3
_OUTSIDERS = ("both", "stranger", "anonymous", "anon", "removed", "deleted", "expired")


def probe(lab: Lab) -> list[Signal]:
    """Compare who can call each function that the model lists with the list."""
    some = [*channels(lab), *channels(lab, helpers=True)]
    return [signal for signals in some for signal in signals]


def channels(lab: Lab, *, helpers: bool = False) -> Iterator[list[Signal]]:
    """Yield the signals of the usual calls, then those of calls under circumstances.

    Of helpers of the policies, only who gets an answer is compared.
    """
    functions = _helpers(lab) if helpers else rpc.exposed(lab)
    for part in (_USUAL,) if helpers else (_USUAL, _UNUSUAL):
        out: list[Signal] = []
        for function in functions:
            listed = lab.model.functions.get(function.key)
            if listed is not None:
                out += _compared(lab, function, [x for x in listed if _part(x) == part], part)
        yield out


def _compared(lab: Lab, function: Function, listed: Sequence[str], part: str) -> Iterator[Signal]:
    tried = _tried(lab, function, part)
    for label, (worked, item) in tried.items():
        if worked and label not in listed:
            yield _excess(function, label, item)
        elif not worked and label in listed:
            yield _denied(function, label, item)
    for label in listed:
        if label not in tried and tried:
            yield _denied(function, label, next(iter(tried.values()))[1])


def _part(label: str) -> str:
    return _UNUSUAL if " when " in label or " with its secret" in label else _USUAL


def observed(lab: Lab) -> dict[str, tuple[str, ...]]:
    """Return the list as the database has it now."""
    return {
        f.key: tuple(
            label
            for part in (_USUAL, _UNUSUAL)
            for label, (worked, _) in _tried(lab, f, part).items()
            if worked
        )
        for f in (*rpc.exposed(lab), *_helpers(lab))
    }


def _helpers(lab: Lab) -> list[Function]:
    """Return the functions that policies call, that are not exposed and that clients may run."""
    found = (lab.catalog.functions[key] for key in sorted(lab.refs.helpers))
    return [f for f in found if f.executors and not f.exposed and not f.is_trigger]


def _tried(lab: Lab, function: Function, part: str) -> dict[str, tuple[bool, Probe]]:
    """Return, for each entry the list could have, whether some call of it did something."""
    out: dict[str, tuple[bool, Probe]] = {}
    calls = [p for p in plan(lab, function) if _part(p.tag[1]) == part]
    for item, outcome in zip(calls, lab.run(calls), strict=True):
        label, when = item.tag[1:]
        worked, _ = out.get(label, (False, item))
        if not worked:
            out[label] = (_did(function, outcome), item)
        if outcome.ok and item.watch:
            for effect in _effects(lab, outcome, item):
                out.setdefault(effect + when, (True, item))
    return out


def plan(lab: Lab, function: Function) -> list[Probe]:
    """List the calls, worked out once on the original: what opens under which circumstances."""
    key = ("callers", function.key)
    if key not in lab.memo:
        people = [a for a in _people(lab) if a.role in function.executors]
        if not function.exposed:
            lab.memo[key] = [
                Probe(actor, text, rows=True, tag=("execute", _who(actor), ""))
                for actor in people
                for _, text in rpc.calls(lab, function, "A", actor)
            ]
            return list(lab.memo[key])
        found = list(_usual(lab, function, people))
        did = [_did(function, o) for o in lab.run(found)]
        working = [p for p, done in zip(found, did, strict=True) if done]
        secret = next((p.actor for p in working if _part(p.tag[1]) == _UNUSUAL), None)
        if secret is not None:
            found += _presented(lab, function, secret, later=True)
        lab.memo[key] = found + list(_unusual(lab, function, people, working))
    calls: list[Probe] = lab.memo[key]
    return calls


def _usual(lab: Lab, function: Function, people: Sequence[Actor]) -> Iterator[Probe]:
    watch = _watched(lab, function)
    for number, actor in enumerate(people):
        looked_at = watch if not number or actor.state == "both" else ()
        for label, text in _calls(lab, function, actor):
            tag = ("execute", label, "")
            yield Probe(actor, text, rows=True, watch=looked_at, tag=tag)
        yield from _presented(lab, function, actor, later=False)
    made = custom(lab)
    if made is not None and made.actor.role in function.executors:
        for label, text in _by_custom(lab, function, made):
            tag = ("execute", label, "")
            yield Probe(made.actor, text, rows=True, pre=made.pre, replica=True, tag=tag)


def _presented(lab: Lab, function: Function, actor: Actor, *, later: bool) -> Iterator[Probe]:
    """Let the actor present a secret: as it is stored, or after something has happened."""
    for when, text, pre in presentations(lab, function, actor) if function.arguments else ():
        if later == bool(when):
            tag = ("execute", f"{_who(actor)} with its secret{when}", " with its secret" + when)
            watch = _watched(lab, function)
            yield Probe(actor, text, rows=True, pre=pre, replica=True, watch=watch, tag=tag)


def _unusual(
    lab: Lab, function: Function, people: Sequence[Actor], working: Sequence[Probe]
) -> Iterator[Probe]:
    """Let the first who could, or else the strongest, call it when something is over."""
    plain = [p for p in working if not p.pre]
    actor = plain[0].actor if plain else next(iter(people), None)
    if actor is None:
        return
    texts = [p.sql for p in plain if p.actor is actor] or [
        text for _, text in rpc.calls(lab, function, "A", actor)
    ]
    for case in circumstances(lab, function):
        when = f" when {case.name}"
        calls = [
            Probe(
                actor, text, rows=True, pre=case.pre, replica=True,
                watch=(case.table,) if plain else _watched(lab, function),
                tag=("execute", _who(actor) + when, when),
            )
            for text in dict.fromkeys(texts[:_CALLS])
        ]  # fmt: skip
        yield from calls
        # Where it works only now, who else may call it is asked now.
        if not plain and any(_did(function, o) for o in lab.run(calls)):
            for other in people:
                for item in calls if other is not actor else ():
                    tag = ("execute", _who(other) + when, when)
                    yield replace(item, actor=other, watch=(), tag=tag)


def _watched(lab: Lab, function: Function) -> tuple[str, ...]:
    """Return the tables whose changes by a call are looked at: those it names, and the seats."""
    text, tables = worked_on(lab, function)
    seats = {m.table for m in lab.model.memberships} & lab.refs.direct(text)[0]
    return (*(t.key for t in tables), *sorted(seats))


def _people(lab: Lab) -> list[Actor]:
    outside = [
        a
        for a in lab.cast.actors
        if a.state in _OUTSIDERS or a.state.startswith(("inactive:", "ended:"))
    ]
    return lab.cast.members("A") + outside + _staff(lab)


def _staff(lab: Lab) -> list[Actor]:
    """Whoever is in a list of people that clients can neither read nor write."""
    user = user_id("B.staff")
    stranger = next((a for a in lab.cast.actors if a.state == "stranger"), None)
    listed = any(
        lab.model.of(key).kind == "user" and any(r.user == user for r in rows)
        for key, rows in lab.fixtures.rows.items()
    )
    if stranger is None or not listed:
        return []
    claims = stranger.claims | {"sub": user, "email": "b-staff.hzb@example.test"}
    return [replace(stranger, name="staff", state="staff", user=user, claims=claims)]


def _who(actor: Actor) -> str:
    return actor.tenants.get("A") or actor.state.split(":")[-1]


def _effects(lab: Lab, outcome: Outcome, item: Probe) -> Iterator[str]:
    """Say what a call did to the tables that its function names, and to whom."""
    for key in dict.fromkeys(c.table for c in outcome.changes if c.table in item.watch):
        table = lab.catalog.tables[key]

        def key_of(data: dict[str, Any], table: Table = table) -> tuple[str, ...]:
            return tuple(str(data.get(n)) for n in table.primary_key)

        changes = [c for c in outcome.changes if c.table == key]
        new, gone = ({key_of(c.data) for c in changes if c.kind == k} for k in ("new", "gone"))
        known = {key_of(data) for _, data in lab.before(table).values()}
        scopes = {key_of(c.data): c.scope for c in changes}
        said, both = item.sql + str(item.actor.user), item.actor.state == "both"
        done = {"adds": new - known, "changes": new & known, "removes": gone - new}
        for word, row in ((word, row) for word, rows in done.items() for row in rows):
            people = [value for value in row if value in lab.fixtures.users]
            other = people and not any(p in said for p in people)
            far = scopes[row] not in (None, lab.cast.a.id)
            what = f"{word} {key}" + (" of another tenant" if far else "")
            what += " of people not named" if other else ""
            if not both:
                yield what
            elif far:  # what the latter does at home is the first one's affair
                yield f"both {what}"


def _did(function: Function, outcome: Outcome) -> bool:
    """Whether a call was not refused and had an answer."""
    if not outcome.ok:
        return False
    return function.returns == "void" or says(outcome.result)


def _calls(lab: Lab, function: Function, actor: Actor) -> Iterator[tuple[str, str]]:
    """Yield calls with the tenant's own values, and one for each colleague and each role."""
    who = _who(actor)
    for _, text in rpc.calls(lab, function, "A", actor):
        yield who, text
    if not actor.is_member:
        return
    arguments = list(function.arguments)
    usual = [choices(lab, function, a, "A", "A")[0][0] for a in arguments]
    for place, argument in enumerate(arguments):
        for word, value in _colleagues(lab, function, argument):
            yield from _instead(lab, function, usual, place, value, f"{who} {word}")


def _instead(
    lab: Lab, function: Function, usual: list[Any], place: int, value: Any, label: str
) -> Iterator[tuple[str, str]]:
    """Yield the usual call with another value in one place, and the shortest that has it."""
    arguments = list(function.arguments)
    values = [*usual[:place], value, *usual[place + 1 :]]
    yield label, rpc.composed(lab, function, arguments, values)
    short = [n for n, a in enumerate(arguments) if n == place or not a.has_default]
    if len(short) < len(arguments):
        yield (
            label,
            rpc.composed(lab, function, [arguments[n] for n in short], [values[n] for n in short]),
        )


def _by_custom(lab: Lab, function: Function, made: Custom) -> Iterator[tuple[str, str]]:
    for _, text in rpc.calls(lab, function, "A", made.actor):
        yield "custom", text
    for place, argument in enumerate(function.arguments):
        if made.ranks(lab, function, argument):
            for option in range(2):
                values = _options(lab, function, option)
                values[place] = made.own + 1
                yield from _instead(lab, function, values, place, made.own + 1, "custom above")


def _options(lab: Lab, function: Function, number: int) -> list[Any]:
    picks = (choices(lab, function, a, "A", "A") for a in function.arguments)
    return [p[min(number, len(p) - 1)][0] for p in picks]


def _colleagues(lab: Lab, function: Function, argument: Argument) -> list[tuple[str, Any]]:
    """List the colleagues or the roles that an argument may name."""
    seats = lab.model.membership
    if seats is None:
        return []
    usual = choices(lab, function, argument, "A", "A")
    members = lab.cast.members("A")
    if any(str(option[0]) in lab.fixtures.users for option in usual):
        return [(f"on {m.tenants['A']}", m.user) for m in members]
    name = argument.name.lower().strip("_").removeprefix("p_").removeprefix("new_")
    if any("@" in str(option[0]) for option in usual):
        return [(f"on {m.tenants['A']}", m.claims.get("email")) for m in members[:2]]
    place = roles_table(lab)
    keyed = place is not None and any(
        u.table.key == place[0].key and u.column.name == place[1] and not u.stored
        for u in uses(lab, function, argument.name)
    )
    if keyed or (seats.role and name in (seats.role.lower(), "role")):
        return [(f"as {role}", role) for role in lab.model.roles]
    return []


def _excess(function: Function, label: str, item: Probe) -> Signal:
    return Signal(
        "function.excess",
        "escalation",
        "high",
        label,
        function.key,
        "execute",
        f"{label}: the call is not refused, and the model does not list it",
        "Somebody can call a function for a tenant who should not.",
        "Check the caller's permission first, or correct the list in harmonia.toml.",
        item.sql,
        item.actor,
        group=function.key,
        title="{object}: more people can call it than the model says",
    )


def _denied(function: Function, label: str, item: Probe) -> Signal:
    return replace(
        _excess(function, label, item),
        rule="function.denied",
        kind="denied",
        severity="medium",
        evidence=f"{label}: the model lists it, and no call did anything",
        why="The model allows it and the database does not.",
        fix="Look at what the function refuses, or correct the list in harmonia.toml.",
        title="{object}: fewer people can call it than the model says",
    )
