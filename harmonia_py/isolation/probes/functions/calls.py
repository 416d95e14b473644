"""Ways to call a function: whose values are given where, as PostgREST composes the call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Argument, Function
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes.functions.arguments import (
    Choice,
    choices,
    is_person,
    is_tenant,
    own_name,
)

__all__ = ["Call", "calls", "composed", "privileged"]

#: Whose an argument is that holds several values: the caller's, then the other tenant's.
_BOTH = "&"


@dataclass(frozen=True, slots=True)
class Call:
    """One way to call a function: whose values the arguments are and which were taken."""

    label: str
    values: tuple[str, ...]
    specific: bool
    bearer: str | None
    #: Whose each argument is.
    owners: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[str, ...]:
        """Where the values are that may be the other tenant's or nobody's, among one's own."""
        return tuple("" if owner in ("B", "?") else owner for owner in self.owners)


def calls(lab: Lab, function: Function, label: str, actor: Actor) -> Iterator[tuple[Call, str]]:
    """Yield calls whose arguments are ``label``'s ("?": of nobody), mixed and minimal."""
    arguments = function.arguments
    home = next(iter(actor.tenants), "A")
    shapes: list[tuple[list[str], list[Argument]]] = [([label] * len(arguments), list(arguments))]
    tenancy = [is_tenant(lab, a, function) for a in arguments]
    if label == "?" and any(tenancy) and not all(tenancy) and _answers(lab, function):
        shapes.append(([home if t else label for t in tenancy], list(arguments)))
    if label not in ("?", home) and len(arguments) > 1:
        if any(tenancy) and not all(tenancy):
            shapes.append(([home if t else label for t in tenancy], list(arguments)))
            shapes.append(([label if t else home for t in tenancy], list(arguments)))
        # One foreign id among one's own: a check of the others does not cover it.
        for position, argument in enumerate(arguments[:5]):
            if argument.category in "USN" and not argument.labels:
                one = [home] * len(arguments)
                one[position] = label
                shapes.append((one, list(arguments)))
    if label not in ("?", home) and actor.tenants:
        # One's own row first, then the other tenant's: a check of the first is no check of all.
        together = [_BOTH if _holds_many(a) else home for a in arguments]
        if _BOTH in together:
            shapes.append((together, list(arguments)))
    if label != "?" and actor.user is not None and len(arguments) > 1:
        # Whom it is about: the caller, where all the rest is somebody else's.
        people = ["@" if is_person(a) else label for a in arguments]
        if "@" in people and label in people:
            shapes.append((people, list(arguments)))
    if any(a.has_default for a in arguments):
        needed = [a for a in arguments if not a.has_default]
        shapes.append(([label] * len(needed), needed))
    seen: set[str] = set()
    for labels, used in shapes:
        offered = [
            _offered(lab, function, actor, a, whose, (home, label))
            for a, whose in zip(used, labels, strict=True)
        ]
        if not all(offered):
            continue
        for index in range(min(max(map(len, offered), default=1), 4)):
            picks = [options[min(index, len(options) - 1)] for options in offered]
            text = composed(lab, function, used, [p[0] for p in picks])
            if text in seen:
                continue
            seen.add(text)
            values = tuple(str(v) for p in picks for v in _flat(p[0]))
            specific = (
                bool(used)
                and any(p[1] for p in picks)
                and all(p[1] or a.category not in "S" for a, p in zip(used, picks, strict=True))
            )
            bearer = next((p[2] for p in picks if p[2]), None)
            label_ = "".join(sorted(set("".join(labels).replace(_BOTH, home + label)))) or "-"
            yield Call(label_, values, specific, bearer, tuple(labels)), text


def _holds_many(argument: Argument) -> bool:
    return argument.category == "A" or argument.type in ("json", "jsonb")


def _offered(
    lab: Lab,
    function: Function,
    actor: Actor,
    argument: Argument,
    whose: str,
    sides: tuple[str, str],
) -> list[Choice]:
    """Return what may be given for an argument that should be somebody's."""
    home, _ = sides
    if whose == "@":
        return [(own_name(actor, argument), False, None)]
    if whose != _BOTH:
        return choices(lab, function, argument, whose, home)
    mine, theirs = (choices(lab, function, argument, side, home) for side in sides)
    return [
        ([*own[0], *other[0]], own[1] and other[1], other[2])
        for own, other in zip(mine, theirs, strict=False)
        if isinstance(own[0], list) and isinstance(other[0], list) and own[0] != other[0]
    ]


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [x for v in value.values() for x in _flat(v)]
    if isinstance(value, list):
        return [x for v in value for x in _flat(v)]
    return [value]


def composed(lab: Lab, function: Function, used: list[Argument], values: list[Any]) -> str:
    """Compose a call with named arguments, as PostgREST makes it."""
    parts = []
    for argument, value in zip(used, values, strict=True):
        if argument.category == "C" and isinstance(value, dict):
            shown: sql.Composable = sql.SQL(
                "pg_catalog.jsonb_populate_record(null::{}, {})"
            ).format(sql.SQL(argument.type), sql.Literal(Jsonb(value)))
        elif argument.type in ("json", "jsonb"):
            shown = sql.SQL("{}::{}").format(sql.Literal(Jsonb(value)), sql.SQL(argument.type))
        else:
            shown = sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(argument.type))
        if argument.name:
            shown = sql.SQL("{} => {}").format(sql.Identifier(argument.name), shown)
        parts.append(shown)
    inner = sql.SQL("{}({})").format(function.sql, sql.SQL(", ").join(parts))
    if function.kind == "p":
        return lab.text(sql.SQL("call {}").format(inner))
    if function.returns == "record" and not function.returns_set:
        return lab.text(sql.SQL("select pg_catalog.to_jsonb({})").format(inner))
    return lab.text(
        sql.SQL("select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x)) from {} as x").format(inner)
    )


def _answers(lab: Lab, function: Function) -> bool:
    """Whether a function says something, with its owner's rights or what it calls with theirs."""
    return function.returns != "void" and privileged(lab, function)


def privileged(lab: Lab, function: Function) -> bool:
    """Whether a function, or one that it calls and no policy does, has its owner's rights."""
    inner = lab.refs.reach(function.source)[1] - lab.refs.helpers
    return function.definer or any(lab.catalog.functions[key].definer for key in inner)
