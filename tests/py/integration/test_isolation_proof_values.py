"""Proofs on what values are: how they are written, what a cast makes of them, and NULL."""

from __future__ import annotations

from typing import Any

import pytest
from isolation_leaks import MINE, PLPGSQL, SQL, function, holds

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

_NO_ORGS = f"(select array_agg(m.org_id) from public.members m where {MINE} and m.role = 'member')"
_THROUGH_BOARD = (
    "select exists (select 1 from public.boards b join public.members m on m.org_id = b.org_id"
    f" where b.id = o and {MINE})"
)
_BOARDLESS = f"(coalesce(app.helper(board_id), true) and board_id is null) or {_MEMBER}"
NULLS: dict[str, tuple[str, str, str]] = {
    "any of nothing": ("", f"coalesce(org_id = any({_NO_ORGS}::uuid[]), true)", "leaks"),
    "any of nothing is not false": (
        "",
        f"(org_id = any({_NO_ORGS}::uuid[])) is not false",
        "leaks",
    ),
    "any of some": ("", f"coalesce(org_id = any(({_ORGS})::uuid[]), false)", "proven"),
    "in nothing known": (
        "",
        "(org_id in (select null::uuid from public.members m where m.user_id = auth.uid()))"
        " is null",
        "leaks",
    ),
    "in what is known": (
        "",
        f"(org_id in (select m.org_id from public.members m where {MINE})) is not false",
        "proven",
    ),
    "a set that meets nothing": (
        "",
        f"coalesce(array[org_id] && {_NO_ORGS}::uuid[], true)",
        "leaks",
    ),
    "a set that meets some": (
        "",
        "coalesce(array[org_id] && array(select app.my_orgs()), false)",
        "proven",
    ),
    "a key of nothing": (
        "",
        "coalesce((auth.jwt() -> 'app_metadata' -> 'orgs') ? org_id::text, true)",
        "leaks",
    ),
    "a strict helper": (
        function(_THROUGH_BOARD, how=f"strict {SQL}"),
        _BOARDLESS,
        "leaks",
    ),
    "a strict helper by default": (
        function(
            "select app.is_member(o)", given="o uuid, p uuid default null", how=f"strict {SQL}"
        ),
        "app.helper(org_id) is null",
        "leaks",
    ),
    "a strict helper by another default": (
        function(
            "select app.is_member(o)", given="o uuid, p integer default 1", how=f"strict {SQL}"
        ),
        f"app.helper(org_id) is null or {_MEMBER}",
        "proven",
    ),
    "a strict helper of no set": (
        function("select app.is_member(o)", given="o uuid, p uuid[]", how=f"strict {SQL}"),
        f"coalesce(app.helper(org_id, {_NO_ORGS}), true)",
        "leaks",
    ),
    "a helper that is not strict": (
        function(_THROUGH_BOARD),
        _BOARDLESS,
        "proven",
    ),
    "a row of nothing": (
        function(
            "select (m.org_id, m.user_id) is null from (select 1) s left join public.members m"
            f" on m.org_id = o and {MINE}"
        ),
        _HELPED,
        "leaks",
    ),
    "a row of something": (
        function(
            "select (m.org_id, m.user_id) is not null from (select 1) s left join public.members m"
            f" on m.org_id = o and {MINE}"
        ),
        _HELPED,
        "proven",
    ),
    "a composite of nothing": (
        "create type app.pair as (org_id uuid, user_id uuid);"
        + function(
            "declare v app.pair; begin v.org_id := null; return v is null; end", how=PLPGSQL
        ),
        _HELPED,
        "leaks",
    ),
    "a row that may not be compared": (
        "",
        "coalesce((owner_id, 1) = (auth.uid(), 1), true)",
        "leaks",
    ),
    "a row that is compared": (
        "",
        "exists (select 1 from public.members m where (m.org_id, m.user_id, m.status) ="
        " (notes.org_id, auth.uid(), 'active'))",
        "proven",
    ),
    "a row that is one of several": (
        "",
        "exists (select 1 from public.members m where (m.org_id, m.user_id, m.status) in"
        " ((notes.org_id, auth.uid(), 'active'), (notes.board_id, auth.uid(), 'active'))"
        " and m.org_id = notes.org_id)",
        "proven",
    ),
    "not between here and nowhere": (function("select 1 not between 2 and null"), _HELPED, "leaks"),
}

_TOKEN = (
    "select exists (select 1 from public.members m where m.org_id = o and m.status = 'active'"
    " and m.user_id = (auth.jwt() #>> {})::uuid)"
)
_MAY = "select p = any({}) or app.is_member(o)"
_LISTED = "create function app.listing() returns text[] language {} immutable as $$ {} $$;"
_ALLOWS = "create function app.allows(p text, l text[]) returns boolean language sql immutable as"
_CODES = """alter table public.notes add code text not null default 'ab';
alter table public.members add code text not null default 'a';
update public.notes set code = 'a' where id::text like '%a';
update public.members set code = 'b' where org_id::text like '%b';"""
_CUT = (
    "declare v {0} := o::text; w {0}; begin select m.org_id::text into w from public.members m"
    f" where {MINE}; return v = w; end"
)
SETS: dict[str, tuple[str, str, str]] = {
    "a list with spaces": (
        function(_MAY.format("'{read, list}'::text[]"), given="o uuid, p text"),
        "app.helper(org_id, 'list')",
        "leaks",
    ),
    "a list without the word": (
        function(_MAY.format("'{read, list}'::text[]"), given="o uuid, p text"),
        "app.helper(org_id, 'write')",
        "proven",
    ),
    "a list of lists": (
        function(_MAY.format("'{{read},{list}}'::text[]"), given="o uuid, p text"),
        "app.helper(org_id, 'list')",
        "leaks",
    ),
    "a list that a function writes out": (
        _LISTED.format("plpgsql", "begin return '{read,list}'; end")
        + function(_MAY.format("app.listing()"), given="o uuid, p text"),
        "app.helper(org_id, 'list')",
        "leaks",
    ),
    "a list that a function writes out without the word": (
        _LISTED.format("plpgsql", "begin return '{read,list}'; end")
        + function(_MAY.format("app.listing()"), given="o uuid, p text"),
        "app.helper(org_id, 'write')",
        "proven",
    ),
    "a list as an argument": (
        f"{_ALLOWS} $$ select p = any(l) $$;"
        + function("select app.allows('list', '{read,list}') or app.is_member(o)"),
        _HELPED,
        "leaks",
    ),
    "a list as an argument without the word": (
        f"{_ALLOWS} $$ select p = any(l) $$;"
        + function("select app.allows('write', '{read,list}') or app.is_member(o)"),
        _HELPED,
        "proven",
    ),
    "a list that is cut": (
        _CODES
        + function(
            f"select o = any((array(select m.code || m.role from public.members m where {MINE}))"
            "::varchar(1)[])",
            given="o text",
        ),
        "app.helper(left(code, 1))",
        "leaks",
    ),
    "a path in quotes": (
        function(_TOKEN.format("""'{"user_metadata","id"}'""")),
        _HELPED,
        "leaks",
    ),
    "a path with spaces": (function(_TOKEN.format("'{ user_metadata, id }'")), _HELPED, "leaks"),
    "a path of which a part is cast": (
        function(_TOKEN.format("array['user_metadata'::text, 'id']")),
        _HELPED,
        "leaks",
    ),
    "a path to the caller": (function(_TOKEN.format("""'{"sub"}'""")), _HELPED, "proven"),
    "a variable that cuts": (function(_CUT.format('"char"'), how=PLPGSQL), _HELPED, "leaks"),
    "a variable that does not": (function(_CUT.format("text"), how=PLPGSQL), _HELPED, "proven"),
}

_OPERATOR = (
    "create function app.alike(a uuid, b uuid) returns boolean language sql immutable as"
    " $$ select true $$;"
    "create operator app.= (function = app.alike, leftarg = uuid, rightarg = uuid);"
)
_LATER = (
    "declare v uuid := {}; ids uuid[]; begin ids := array(select v); v := {};"
    " return app.is_member(o) or o = any(ids); end"
)
_SECOND = (
    "declare {} alias for $2; begin return exists (select 1 from public.members m"
    f" where m.org_id = o and {MINE}); end"
)
_TWO = "app.helper(org_id, (select m.org_id from public.members m where m.user_id = auth.uid()))"
MEANINGS: dict[str, tuple[str, str, str]] = {
    "a set of what was": (function(_LATER.format("o", "null"), how=PLPGSQL), _HELPED, "leaks"),
    "a set of what was not yet": (
        function(_LATER.format("null", "o"), how=PLPGSQL),
        _HELPED,
        "proven",
    ),
    "an operator of one's own": (
        _OPERATOR,
        "exists (select 1 from public.members m where m.org_id operator(app.=) notes.org_id"
        f" and {MINE})",
        "leaks",
    ),
    "an operator of one's own in a list": (
        _OPERATOR,
        f"org_id operator(app.=) any (array(select m.org_id from public.members m where {MINE}))",
        "leaks",
    ),
    "an operator of PostgreSQL's": (
        _OPERATOR,
        "exists (select 1 from public.members m where m.org_id operator(pg_catalog.=)"
        f" notes.org_id and {MINE})",
        "proven",
    ),
    "a name for another": (
        function(_SECOND.format("o"), given="o uuid, p uuid", how=PLPGSQL),
        _TWO,
        "leaks",
    ),
    "a parameter of its name": (
        function(
            _SECOND.replace("{} alias for $2", "{} integer").format("n"),
            given="o uuid, p uuid",
            how=PLPGSQL,
        ),
        _TWO,
        "proven",
    ),
}

_DIGITS = "select n::text {} '9' and n >= 9 and app.is_member(o) = {} from (values (10)) as v (n)"
_SAID = "(auth.jwt() -> 'user_metadata' {} '{}')"
_BACK = (
    "create function app.back(p uuid) returns {} language plpgsql immutable set search_path = '' as"
    " $$ begin return p; end $$;"
)
_SAME_BACK = "app.back(m.org_id) = app.back(notes.org_id)"
KINDS: dict[str, tuple[str, str, str]] = {
    "a number each time": (
        "create sequence app.counter; grant usage on sequence app.counter to authenticated;",
        "nextval('app.counter') <> nextval('app.counter')",
        "leaks",
    ),
    "what kind it is": ("", "pg_typeof(org_id) <> pg_typeof(org_id::text)", "leaks"),
    "a document of a text": ("", "to_jsonb(1) <> to_jsonb('1'::text)", "leaks"),
    "the same twice": (
        "",
        f"to_jsonb(org_id) <> to_jsonb(org_id) or {_MEMBER}",
        "proven",
    ),
    "digits as a text": (function(_DIGITS.format("<", "app.is_member(o)")), _HELPED, "leaks"),
    "digits as a number": (function(_DIGITS.format("<", "true")), _HELPED, "proven"),
    "a text of which a letter comes back": (
        _BACK.format('"char"'),
        f"exists (select 1 from public.members m where {_SAME_BACK} and {MINE})",
        "leaks",
    ),
    "a text that comes back": (
        _BACK.format("text"),
        f"exists (select 1 from public.members m where {_SAME_BACK} and {MINE})",
        "proven",
    ),
    "a number that is rounded": (function("select 1.4::int = 1"), _HELPED, "leaks"),
    "a number that is whole": (
        function("select 2::int = 1 or app.is_member(o)"),
        _HELPED,
        "proven",
    ),
    "a null that a document holds": (
        "",
        f"{_SAID.format('->', 'nothing')} is not null and {_SAID.format('->>', 'nothing')} is null",
        "leaks",
    ),
    "a text in its quotes": (
        "",
        f"{_SAID.format('->', 'id')}::text <> {_SAID.format('->>', 'id')}",
        "leaks",
    ),
    "a text without quotes": (
        "",
        f"{_SAID.format('->>', 'id')}::text <> {_SAID.format('->>', 'id')} or {_MEMBER}",
        "proven",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_value_is_what_postgresql_makes_of_it(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *CASES[name])


@pytest.mark.parametrize("name", NULLS)
def test_null_is_neither_true_nor_false(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *NULLS[name])


@pytest.mark.parametrize("name", SETS)
def test_a_set_holds_what_is_written(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *SETS[name])


@pytest.mark.parametrize("name", MEANINGS)
def test_a_name_is_what_it_was_made_for(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *MEANINGS[name])


@pytest.mark.parametrize("name", KINDS)
def test_a_value_of_another_kind_is_another(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *KINDS[name])
