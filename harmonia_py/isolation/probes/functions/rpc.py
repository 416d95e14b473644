"""Call every exposed function with the other tenant's ids, and look at what comes back.

What an actor gets must not hold another tenant's values, must not change another tenant's
rows, and must not differ between another tenant's ids and ids that exist nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Function
from harmonia_py.isolation.finding import NotJudged, Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes.functions.calls import Call, calls, composed, privileged
from harmonia_py.isolation.probes.functions.states import without
from harmonia_py.isolation.probes.tables.reactions import borrowed
from harmonia_py.isolation.publicity import known_to_all

__all__ = ["Call", "calls", "composed", "exposed", "judge", "left", "plan", "privileged", "probe"]

_RUNS_TEXT = re.compile(r"\bexecute\b|\bquery_to_xml|\bset\b.*search_path", re.I)
_SPEAKS = re.compile(r"\braise\s+(?:notice|info|warning|log|debug)\b", re.I)


def exposed(lab: Lab) -> list[Function]:
    """Return the functions an API client can call."""
    return [
        f
        for f in lab.catalog.functions.values()
        if f.exposed
        and f.executors
        and not f.is_trigger
        and lab.wants(f.key)
        and f.returns not in ("trigger", "event_trigger", "internal")
    ]


def probe(lab: Lab, heard: Collection[str] = ()) -> tuple[list[Signal], list[str]]:
    """Call all functions as members, outsiders and anon, and judge each outcome.

    ``heard`` are functions that another channel saw do their work. Those that refused every call
    are returned as well.
    """
    signals: list[Signal] = []
    silent: list[str] = []
    for function in exposed(lab):
        attempts = list(plan(lab, function))
        # Notices come without a number: only one call at a time tells whose they are.
        outcomes = lab.run(attempts, single=bool(_SPEAKS.search(function.source)))
        worked = False
        for item, outcome in zip(attempts, outcomes, strict=True):
            call: Call = item.tag[1]
            if outcome.ok:
                worked = worked or item.actor.name.startswith("B.") or call.label != "B"
            if function.name not in lab.model.public_functions and (
                function.key not in lab.model.public_functions
            ):
                signals += judge(lab, function, item, outcome)
        if function.name not in lab.model.public_functions:
            signals += _differences(lab, function, attempts, outcomes)
        worked = worked or function.key in heard
        if not worked and (function.definer or function.language not in ("sql", "plpgsql")):
            silent.append(function.key)
    return signals, silent


def left(silent: Collection[str]) -> list[NotJudged]:
    """Say of which functions nothing but refusals was seen."""
    if not silent:
        return []
    text = "no call with synthesized arguments ran to its end, so only refusals were seen: "
    return [NotJudged("functions", text + ", ".join(silent))]


def _actors(lab: Lab, function: Function) -> list[Actor]:
    members = lab.cast.members("A")
    chosen = [*members[:1], *members[-1:]]
    chosen += [a for a in lab.cast.actors if a.state in ("stranger", "anon")]
    chosen += [a for a in lab.cast.actors if a.former and a.state != "removed"][:1]
    chosen += [a for a in lab.cast.actors if a.state == "removed"]
    seen: dict[str, Actor] = {a.name: a for a in chosen if a.role in function.executors}
    return list(seen.values())


def plan(lab: Lab, function: Function) -> Iterator[Probe]:
    """Yield the calls of one function as members, outsiders and anon."""
    for actor in _actors(lab, function):
        label = actor.former or "B"
        for call, text in calls(lab, function, label, actor):
            yield Probe(actor, text, rows=True, watch=("*",), tag=("execute", call))
        if function.arguments and not actor.former:
            for call, text in calls(lab, function, "?", actor):
                if call.specific:
                    yield Probe(actor, text, rows=True, tag=("execute", call))
    # One's own arguments too: what comes back must be of one's own tenant.
    for boss in lab.cast.members("A")[:1]:
        if boss.role in function.executors:
            for call, text in calls(lab, function, "A", boss):
                yield Probe(boss, text, rows=True, watch=("*",), tag=("execute", call))
    for boss in lab.cast.members("B")[:1]:
        if boss.role in function.executors:
            for call, text in calls(lab, function, "B", boss):
                yield Probe(boss, text, rows=True, tag=("execute", call))


def judge(lab: Lab, function: Function, item: Probe, outcome: Outcome) -> Iterator[Signal]:
    """Yield what one call gave away or changed."""
    actor, call = item.actor, item.tag[1]
    if actor.name.startswith("B."):
        return
    former = actor.former is not None
    rule = "lifecycle.rpc" if former else "rpc"
    given = set(call.values)
    text = f"{outcome.result} {outcome.text}" if outcome.result or outcome.text else ""
    for value, owner in lab.fixtures.owner_of(text).items():
        if owner in actor.tenants or value == actor.user or any(value in g for g in given):
            continue
        if owner not in ("A", "B") or call.bearer:
            continue  # who holds the secret is told, member or not
        if value in actor.session()["request.jwt.claims"]:
            continue  # the caller's own token says it
        if _known(lab, actor, value):
            continue
        yield Signal(
            f"{rule}.reads",
            "breach",
            "high",
            actor.name,
            function.key,
            "execute",
            f"returned {value}, a value of tenant {owner}",
            "A function hands out another tenant's values.",
            _fix(function),
            item.sql,
            actor,
            _tables(lab, function),
            group=function.key,
        )
        break
    gone = [c for c in outcome.changes if c.kind == "gone"]
    if former and all(lab.ownership.mine(actor, c.table, c.data) for c in gone) and gone:
        # Leaving: one's own seat and what one owned there.
        return
    for change in outcome.changes:
        if not lab.ownership.foreign(actor, change.table, change.scope, change.data):
            copied = None
            if change.kind == "new" and not former and not call.bearer:
                copied = borrowed(lab, actor, change.data, item.sql)
            if copied is not None and not _named(lab, copied, given):
                yield _copies(lab, function, item, change.table, copied)
                break
            continue
        bound = call.bearer and not _bound(lab, call.bearer)
        if bound or (
            call.bearer and change.kind == "gone" and change.table == call.bearer and not former
        ):
            continue
        if (
            any(m.table == change.table for m in lab.model.memberships)
            and change.kind == "gone"
            and lab.ownership.mine(actor, change.table, change.data)
        ):
            continue
        yield Signal(
            f"{rule}.writes",
            "breach",
            "critical",
            actor.name,
            function.key,
            "execute",
            f"{'changed' if change.kind == 'gone' else 'made'} a row of {change.table}: "
            + ", ".join(f"{k}={v}" for k, v in list(change.data.items())[:5]),
            "A function writes into another tenant.",
            _fix(function),
            item.sql,
            actor,
            (*_tables(lab, function), change.table),
            group=function.key,
        )
        break


def _known(lab: Lab, actor: Actor, value: str) -> bool:
    rows = lab.fixtures.rows
    return known_to_all(lab.conn, lab.catalog, lab.model, rows, actor.role, value)


def _named(lab: Lab, user: str, given: set[str]) -> bool:
    """Whether a call names a person, by an address or another value that the person has."""
    people = ["auth.users", *(k for k, t in lab.model.tables.items() if t.kind == "user")]
    return user in lab.fixtures.users and any(
        user in held and held & given
        for key in people
        for row in lab.fixtures.rows.get(key, ())
        if (held := set(map(str, row.values.values())))
    )


def _copies(lab: Lab, function: Function, item: Probe, key: str, value: str) -> Signal:
    return Signal(
        "rpc.copies",
        "breach",
        "high",
        item.actor.name,
        function.key,
        "execute",
        f"put {value}, a value of another tenant, into a row of {key} that the caller may read",
        "A function copies another tenant's values into rows of the caller's own.",
        _fix(function),
        item.sql,
        item.actor,
        (*_tables(lab, function), key),
        group=function.key,
    )


def _bound(lab: Lab, key: str) -> bool:
    """Whether the rows of a table are meant for one person (an e-mail address, a user)."""
    table = lab.catalog.table(key)
    return table is not None and any(
        "@" in str(r.values.get(c.name, ""))
        for r in lab.fixtures.rows.get(key, ())[:1]
        for c in table.columns
    )


def _fix(function: Function) -> str:
    if function.definer:
        return (
            "It runs with its owner's rights: check that the caller belongs to the tenant of every "
            "argument, or make it security invoker."
        )
    return "Look at the policies of what it reads."


def _tables(lab: Lab, function: Function) -> tuple[str, ...]:
    return tuple(sorted(lab.refs.reach(function.source)[0]))[:8]


def _differences(
    lab: Lab, function: Function, attempts: list[Probe], outcomes: list[Outcome]
) -> Iterator[Signal]:
    """Compare what an outsider gets for real foreign ids and for ids of nobody."""
    if not _reads_rows(lab, function):
        return  # the answer follows from the arguments alone
    results: dict[tuple[str, tuple[str, ...], bool], list[tuple[Probe, str]]] = {}
    for item, outcome in zip(attempts, outcomes, strict=True):
        call: Call = item.tag[1]
        if not call.specific or not outcome.ok or "" not in call.asked or call.bearer:
            continue
        if item.actor.name.startswith("B.") or item.actor.former:
            continue
        shown = _masked(item, outcome)
        key = (item.actor.name, call.asked, "?" in call.owners)
        results.setdefault(key, []).append((item, shown))
    for (name, asked, nobody), seen in results.items():
        if nobody:
            continue
        baseline = {text for _, text in results.get((name, asked, True), [])}
        if not baseline:
            continue
        for item, text in seen:
            if text in baseline or any(_known(lab, item.actor, v) for v in item.tag[1].values):
                continue
            if any(asked) and not _theirs(lab, function, item, text):
                continue
            if not _volatile(lab, function, item, text):
                yield Signal(
                    "rpc.differs",
                    "oracle",
                    "medium",
                    name,
                    function.key,
                    "execute",
                    f"{text[:120]} for foreign ids, {min(baseline)[:120]} for unknown ones",
                    "The answer tells whether, or how much of, another tenant's data exists.",
                    _fix(function),
                    item.sql,
                    item.actor,
                    _tables(lab, function),
                    group=function.key,
                )
                return


def _reads_rows(lab: Lab, function: Function) -> bool:
    """Whether a function reaches a table at all, the platform's included, or runs any text."""
    text = lab.refs.closure_text(function.source)
    return (
        bool(lab.refs.reach(function.source)[0])
        or any(key in text for key in lab.catalog.platform)
        or bool(_RUNS_TEXT.search(text))
        or function.language not in ("sql", "plpgsql")
    )


def _theirs(lab: Lab, function: Function, item: Probe, text: str) -> bool:
    """Whether an answer about one's own tenant is another once the other tenant's rows are gone."""
    pre = without(lab, function)
    if not pre or not lab.fixtures.replica:
        return False
    (outcome,) = lab.run([replace(item, pre=pre, replica=True, watch=())])
    return outcome.ok and _masked(item, outcome) != text


def _masked(item: Probe, outcome: Outcome) -> str:
    """Return an answer without what was given."""
    shown = str(outcome.result)
    for value in item.tag[1].values:
        if len(value) > 3:
            shown = shown.replace(value, "#")
    return shown


def _volatile(lab: Lab, function: Function, item: Probe, text: str) -> bool:
    """Whether the function says something else each time it is asked the same."""
    (again,) = lab.run([item])
    return _masked(item, again) != text or function.returns in ("uuid", "timestamp with time zone")
