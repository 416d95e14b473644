"""Proofs on what values are: how they are written, what a cast makes of them, and NULL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from isolation_leaks import MINE, function, holds, prepare

from harmonia_py.engines import Engine

_ORGS = f"select array_agg(m.org_id) from public.members m where {MINE}"
_HELPED = "app.helper(org_id)"
_MEMBER = "app.is_member(org_id)"
_OPEN = "exists (select 1 from public.notes n where n.org_id = o and n.is_public = '{}')"
_CITEXT = """create extension citext with schema extensions;
create function app.named(p extensions.citext) returns boolean language sql immutable
set search_path = public, extensions as $$ select p = 'guest' $$;"""
CASES: dict[str, tuple[str, str, str]] = {
    "a boolean as a number": ("", "(auth.uid() is not null)::int = 1", "leaks"),
    "a boolean as a number, rightly": ("", f"({_MEMBER})::int = 1", "proven"),
    "a boolean by another word": (function(f"select {_OPEN.format('t')}"), _HELPED, "leaks"),
    "a word for false": (
        function("select app.is_member(o) or true = 'n'"),
        _HELPED,
        "proven",
    ),
    "a number as a boolean": (function("select 1::boolean"), _HELPED, "leaks"),
    "zero as a boolean": (function("select 0::boolean or app.is_member(o)"), _HELPED, "proven"),
    "a letter as a boolean": (function("select 'y'::boolean"), _HELPED, "leaks"),
    "a text as a boolean": (function("select 'yes'::text::boolean"), _HELPED, "leaks"),
    "another text as a boolean": (
        function("select 'off'::text::boolean or app.is_member(o)"),
        _HELPED,
        "proven",
    ),
    "no boolean": (function("select coalesce(null::boolean, true)"), _HELPED, "leaks"),
    "no boolean, rightly": (
        function("select coalesce(null::boolean, app.is_member(o))"),
        _HELPED,
        "proven",
    ),
    "a number written in another way": (function("select 1.0 = 1.00"), _HELPED, "leaks"),
    "another number": (function("select 1.0 = 2 or app.is_member(o)"), _HELPED, "proven"),
    "a word in other letters": (
        _CITEXT + function("select app.named('Guest')"),
        _HELPED,
        "leaks",
    ),
}


@pytest.fixture(scope="module")
def prepared(engine: Engine) -> Iterator[Any]:
    with engine.database() as database, database.connect() as conn:
        prepare(conn)
        yield conn


@pytest.mark.parametrize("name", CASES)
def test_a_value_is_what_postgresql_makes_of_it(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *CASES[name])
