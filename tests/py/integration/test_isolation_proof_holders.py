"""Proofs on what a domain, a field, a parameter and a result make of what they are given."""

from __future__ import annotations

from typing import Any

import pytest
from isolation_leaks import MINE, PLPGSQL, SQL, function, holds

_HELPED = "app.helper(org_id)"
_WHOLE = "create domain app.whole as numeric(3, 0);"
_LIKE = "create domain app.alike as numeric;"
_NUMBER = "alter table public.notes add a numeric not null default 1.2;"
_TEXT = "alter table public.notes add a text not null default '01';"
_ROUNDED = "a <> 1 and app.helper(a)"
_READ = "a <> '1' and app.helper(a)"
_SAME = "app.helper(a, org_id)"


def _inner(returns: str, given: str = "x numeric") -> str:
    return (
        f"create function app.inner({given}) returns {returns} {PLPGSQL} as"
        " $$ begin return x; end $$;"
    )


def _rounds(body: str) -> str:
    return _NUMBER + function(body, given="a numeric", how=PLPGSQL)


def _keeps(body: str) -> str:
    return _NUMBER + function(body, given="a numeric, o uuid", how=PLPGSQL)


_ONE = "begin return x = 1; end"
_EQUAL = "select app.inner(a) <> a or app.is_member(o)"
DOMAINS: dict[str, tuple[str, str, str]] = {
    "a parameter that rounds": (
        _WHOLE
        + _NUMBER
        + f"create function app.inner(x app.whole) returns boolean {PLPGSQL} as $$ {_ONE} $$;"
        + function("select app.inner(a)", given="a numeric"),
        _ROUNDED,
        "leaks",
    ),
    "a result that rounds": (
        _WHOLE
        + _NUMBER
        + _inner("app.whole")
        + function("select app.inner(a) = 1", given="a numeric"),
        _ROUNDED,
        "leaks",
    ),
    "a result of a domain of a domain": (
        "create domain app.under as numeric(3, 0); create domain app.whole as app.under;"
        + _NUMBER
        + _inner("app.whole")
        + function("select app.inner(a) = 1", given="a numeric"),
        _ROUNDED,
        "leaks",
    ),
    "a list that rounds": (
        _WHOLE
        + _NUMBER
        + "create function app.inner(x app.whole[]) returns boolean language sql immutable as"
        " $$ select 1 = any (x) $$;"
        + function(
            "declare v app.whole[] := array[a]; begin return app.inner(v); end",
            given="a numeric",
            how=PLPGSQL,
        ),
        _ROUNDED,
        "leaks",
    ),
    "a result that keeps": (
        _LIKE + _NUMBER + _inner("app.alike") + function(_EQUAL, given="a numeric, o uuid"),
        _SAME,
        "proven",
    ),
    "a parameter that keeps": (
        "create domain app.key as uuid check (value is not null);"
        + function("select app.is_member(o)", given="o app.key"),
        _HELPED,
        "proven",
    ),
    "a variable that keeps": (
        _LIKE + _keeps("declare v app.alike; begin v := a; return v <> a or app.is_member(o); end"),
        _SAME,
        "proven",
    ),
    "a list that keeps": (
        "create domain app.key as uuid;"
        "create function app.inner(k uuid, x app.key[]) returns boolean language sql immutable as"
        " $$ select k = any (x) $$;" + function("select app.inner(o, array(select app.my_orgs()))"),
        _HELPED,
        "proven",
    ),
}

_PAIR = "create type app.pair as (n numeric(3, 0), m integer);"
_FIELD = "declare r {}; begin r.n := a; return r.n = 1; end"
_ONES = "declare r record; begin select 0 as n into r; r.n := a; return r.n = 1; end"
_KEY = "create type app.key as (org_id uuid, user_id uuid);"
_ASSIGNED = (
    "declare r app.key; v uuid; begin select m.org_id into v from public.members m"
    f" where {MINE} and m.org_id = o; r.org_id := v; return r.org_id = o; end"
)
_NAMED = (
    f"create function app.helper(org_id uuid) returns boolean {PLPGSQL} as"
    " $$ declare r record; begin select m.org_id, m.role into r from public.members m"
    f" where {MINE}; "
)
_TURNED = "create type app.one as (x uuid, y uuid); create type app.other as (y uuid, x uuid);"
_TURN = (
    "declare a app.other; b app.one; v uuid; begin select m.org_id into v from public.members m"
    f" where {MINE}; {{}}; b := a; return b.y = o; end"
)
FIELDS: dict[str, tuple[str, str, str]] = {
    "that rounds": (_PAIR + _rounds(_FIELD.format("app.pair")), _ROUNDED, "leaks"),
    "that reads a text": (
        "create type app.pair as (n integer);"
        + _TEXT
        + function(_FIELD.format("app.pair"), given="a text", how=PLPGSQL),
        _READ,
        "leaks",
    ),
    "of a table's rows": (
        "create table app.listed (n numeric(3, 0));" + _rounds(_FIELD.format("app.listed")),
        _ROUNDED,
        "leaks",
    ),
    "of a record": (_TEXT + function(_ONES, given="a text", how=PLPGSQL), _READ, "leaks"),
    "of a row from a query": (
        _PAIR
        + _rounds(
            "declare r app.pair; begin for r in select a, 1 loop return r.n = 1; end loop;"
            " return false; end"
        ),
        _ROUNDED,
        "leaks",
    ),
    "of a row that a function returns": (
        _NUMBER
        + "create function app.inner(x numeric) returns table (n integer, m integer)"
        + f" {SQL} as $$ select x, 1 $$;"
        + function("select exists (select 1 from app.inner(a) f where f.n = 1)", given="a numeric"),
        _ROUNDED,
        "leaks",
    ),
    "that keeps": (
        "create type app.pair as (n numeric);"
        + _keeps("declare r app.pair; begin r.n := a; return r.n <> a or app.is_member(o); end"),
        _SAME,
        "proven",
    ),
    "that keeps a tenant": (_KEY + function(_ASSIGNED, how=PLPGSQL), _HELPED, "proven"),
    "of a record that keeps a tenant": (
        function(_ASSIGNED.replace("r app.key", "r record").replace(
            "r.org_id := v", "select o as org_id into r; r.org_id := v"), how=PLPGSQL),
        _HELPED,
        "proven",
    ),
    "of a row that keeps a tenant": (
        "create function app.inner() returns table (key uuid, part text) language sql stable"
        f" security definer as $$ select m.org_id, m.role from public.members m where {MINE} $$;"
        + function("select exists (select 1 from app.inner() f where f.key = o)"),
        _HELPED,
        "proven",
    ),
    "of a row of another type": (
        _TURNED + function(_TURN.format("a.x := o; a.y := v"), how=PLPGSQL),
        _HELPED,
        "leaks",
    ),
    "of a row of another type, rightly": (
        _TURNED + function(_TURN.format("a.x := v; a.y := o"), how=PLPGSQL),
        _HELPED,
        "proven",
    ),
    "that stands before a parameter": (
        _NAMED + "return org_id = $1; end $$;",
        _HELPED,
        "leaks",
    ),
    "that is named by its record": (
        _NAMED + "return r.org_id = $1; end $$;",
        _HELPED,
        "proven",
    ),
    "the first of two": (
        function(
            "declare r record; begin select o as x, m.org_id as x into r from public.members m"
            f" where {MINE}; return r.x = o; end",
            how=PLPGSQL,
        ),
        _HELPED,
        "leaks",
    ),
    "the first of two, rightly": (
        function(
            "declare r record; begin select m.org_id as x, o as x into r from public.members m"
            f" where {MINE}; return r.x = o; end",
            how=PLPGSQL,
        ),
        _HELPED,
        "proven",
    ),
}  # fmt: skip

_GIVEN = "begin b := a; return b = 1; end"
_RANGE = (
    "create type app.span as range (subtype = integer);"
    "create function app.shown(x app.span) returns text language sql immutable as"
    " $$ select x::text $$;"
)
HOLDERS: dict[str, tuple[str, str, str]] = {
    "a parameter that is assigned": (
        _NUMBER + function(_GIVEN, given="a numeric, b integer", how=PLPGSQL),
        "a <> 1 and app.helper(a, 2)",
        "leaks",
    ),
    "a parameter by its place": (
        function(
            "begin o := (select m.org_id from public.members m where"
            f" {MINE}); return app.is_member($2); end",
            given="p uuid, o uuid",
            how=PLPGSQL,
        ),
        "app.helper(null, org_id)",
        "leaks",
    ),
    "a parameter that is another": (
        function("begin p := o; return app.is_member($1); end", given="p uuid, o uuid",
                 how=PLPGSQL),
        "app.helper(null, org_id)",
        "proven",
    ),
    "an assignment with one sign": (
        function("declare v boolean; begin v = app.is_member(o); return v; end", how=PLPGSQL),
        _HELPED,
        "proven",
    ),
    "an assignment to a part": (
        function("declare v uuid[]; begin v[1] := o; return v::text <> o::text; end", how=PLPGSQL),
        _HELPED,
        "leaks",
    ),
    "a word for yes that comes back": (
        function("begin return 'yes'; end", how=PLPGSQL),
        "app.helper(org_id)::text <> 'yes'",
        "leaks",
    ),
    "a range of one's own": (
        _RANGE + function("select app.shown('[1, 3)') <> '[1, 3)'"),
        _HELPED,
        "leaks",
    ),
    "a range as it is": (
        _RANGE + function("select app.shown('[1, 3)') <> app.shown('[1, 3)') or app.is_member(o)"),
        _HELPED,
        "proven",
    ),
    "a type in a text": (
        _NUMBER
        + f"create function app.helper(x numeric) returns boolean {PLPGSQL} as $z$ declare"
        " a integer; s text := $q$; a numeric; $q$; begin a := x; return a = 1; end $z$;",
        "a <> 1 and app.helper(a)",
        "leaks",
    ),
    "yes in a text": (
        function("declare v text := true; begin return v <> 't'; end", how=PLPGSQL),
        _HELPED,
        "leaks",
    ),
    "yes in a text, rightly": (
        function(
            "declare v text := true; begin return v <> 'true' or app.is_member(o); end",
            how=PLPGSQL,
        ),
        _HELPED,
        "proven",
    ),
    "what goes in and comes out": (
        f"create function app.helper(o uuid, inout ok boolean) {PLPGSQL} as"
        " $$ begin ok := true; end $$;",
        "app.helper(org_id, false)",
        "leaks",
    ),
    "a result that never comes": (
        function("begin raise exception 'none'; end", how=PLPGSQL),
        "app.is_member(org_id) or (org_id is null and app.helper(org_id))",
        "proven",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_may_hold_less_than_it_is_given(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *DOMAINS[name])


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_holds_what_its_type_makes_of_a_value(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *FIELDS[name])


@pytest.mark.parametrize("name", HOLDERS)
def test_a_name_holds_what_it_was_given_last(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *HOLDERS[name])
