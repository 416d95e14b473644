"""Domains of addresses: whoever types one that a tenant calls its own has not shown that it is his.

A trigger on ``auth.users`` runs before anybody has opened the letter that Supabase Auth sends.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from harmonia_py.isolation.catalog import Column, Function, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.identity.signup import arrival, signed_up
from harmonia_py.isolation.probes.tickets.shares import sight

__all__ = ["probe"]

_DOMAIN = "hz-domain.test"
_MOST = 12


def probe(lab: Lab) -> list[Signal]:
    """Let tenant B name a domain, and sign up with an address of it that nobody confirmed."""
    look = sight(lab)
    for function in _functions(lab) if look and lab.fixtures.replica else ():
        for table, column in list(_columns(lab, function))[:_MOST]:
            for ways in _named(lab, function, table, column):
                if (signal := _tried(lab, function, table, column, ways, look)) is not None:
                    return [signal]
    return []


def _functions(lab: Lab) -> Iterator[Function]:
    users = lab.catalog.platform.get("auth.users")
    names = {t.function.partition("(")[0] for t in users.triggers} if users else set()
    for function in lab.catalog.functions.values():
        called = {function.name, f"{function.schema}.{function.name}"} & names
        if function.is_trigger and called and lab.wants(function.key):
            if "email" in lab.refs.words(lab.refs.closure_text(function.source)):
                yield function


def _columns(lab: Lab, function: Function) -> Iterator[tuple[Table, Column]]:
    """Yield the texts of tenants' rows that the function names."""
    words = lab.refs.words(lab.refs.closure_text(function.source))
    for key in sorted(lab.refs.reach(function.source)[0]):
        table, model = lab.catalog.tables.get(key), lab.model.of(key)
        if table is None or model.kind not in ("tenant", "root") or not lab.fixtures.of(key, "B"):
            continue
        for column in table.columns:
            text = column.category == "S" or column.type == "text[]"
            if text and column.name in words and column.writable and column.name not in model.path:
                yield table, column


def _named(lab: Lab, function: Function, table: Table, column: Column) -> Iterator[list[str]]:
    """Yield how a row of B comes to name the domain: by itself, and with its marks set."""
    where = lab.where_keys(table, [lab.fixtures.of(table.key, "B")[0].values])
    value = sql.SQL("array[{}]" if column.type == "text[]" else "{}").format(sql.Literal(_DOMAIN))
    words = lab.refs.words(lab.refs.closure_text(function.source))
    marks = [
        (c.name, sql.SQL("true" if c.category == "B" else "now()"))
        for c in table.columns
        # A time that is always there says nothing of a state.
        if c.category == "B" or (c.category == "D" and not c.not_null)
        if c.name in words and c.writable
    ]
    for also in ([], marks) if marks else ([],):
        yield [statements.change(lab, table, {column.name: value, **dict(also)}, where)]


def _tried(
    lab: Lab, function: Function, table: Table, column: Column, before: list[str], look: str
) -> Signal | None:
    email = f"hz-new@{_DOMAIN}"
    with lab.after(before) as ready:
        usual = signed_up(lab, look, {}, confirmed=False) if ready else None
        seen = signed_up(lab, look, {}, email, confirmed=False) if usual else None
    if usual is None or seen is None:
        return None
    actor, visible, stored = seen
    more = [
        name
        for name, count in visible.items()
        if count - usual[1].get(name, 0) > max(0, stored[name] - usual[2].get(name, 0))
    ]
    if not more:
        return None
    came = arrival(lab, str(actor.user), email, {}, confirmed=False)
    return Signal(
        "escalation.domain",
        "escalation",
        "high",
        actor.name,
        function.key,
        "execute",
        f"signing up as {email}, unconfirmed, shows more rows of {', '.join(more[:4])}, once"
        f" {table.key}.{column.name} is {_DOMAIN}",
        "Anybody can type an address of any domain; only a confirmed one says who somebody is.",
        f"Let {function.key.partition('(')[0]} wait until email_confirmed_at is set.",
        look,
        actor,
        tuple(more[:4]),
        group=function.key,
        title="{object}: an unconfirmed address of a tenant's domain lets its owner in",
        pre=(*before, "set local session_replication_role = origin", came),
    )
