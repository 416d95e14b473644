"""Proofs on values that are equal and yet not the same, and on texts that are read alike."""

from __future__ import annotations

from typing import Any

import pytest
from isolation_leaks import MINE, PLPGSQL, SQL, function, holds

_HELPED = "app.helper(org_id)"
_MEMBER = "app.is_member(org_id)"
_B = "00000000-0000-0000-0000-0000000000b1"
_SAID = "(auth.jwt() -> 'user_metadata' {} '{}')"
_KEYS = "alter table public.notes add a {0} not null default {1}, add b {0} not null default {2};"
_DIGITS = _KEYS.format("text", "'1'", "'01'")
_GIVEN = "a text, b text, o uuid"
_PASSED = "app.helper(a, b, org_id)"
_READ = (
    "create function app.read(t text) returns {} language plpgsql immutable set search_path = '' as"
    " $$ begin return t; end $$;"
)
READ: dict[str, tuple[str, str, str]] = {
    "a uuid in capitals": (
        "",
        "upper(id::text)::uuid = id and upper(id::text) <> id::text",
        "leaks",
    ),
    "a uuid that was written out": (
        "",
        "exists (select 1 from public.members m where m.org_id::text::uuid = notes.org_id"
        f" and {MINE})",
        "proven",
    ),
    "a literal in capitals": (
        function(f"select '{_B.upper()}'::uuid::text <> '{_B.upper()}'"),
        _HELPED,
        "leaks",
    ),
    "a literal as it is written": (
        function(f"select '{_B}'::uuid::text <> '{_B}' or app.is_member(o)"),
        _HELPED,
        "proven",
    ),
    "a claim in capitals": (
        "",
        f"{_SAID.format('->>', 'shouted')}::uuid = '{_B}'::uuid"
        f" and {_SAID.format('->>', 'shouted')} <> '{_B}'",
        "leaks",
    ),
    "a claim that names the caller": (
        "",
        "exists (select 1 from public.members m where m.org_id = notes.org_id"
        " and m.status = 'active' and m.user_id = coalesce(nullif(current_setting("
        "'request.jwt.claim.sub', true), ''), auth.jwt() ->> 'sub')::uuid)",
        "proven",
    ),
    "a variable in capitals": (
        function(
            "declare v uuid := upper(o::text); begin return v = o and upper(o::text) <> o::text;"
            " end",
            how=PLPGSQL,
        ),
        _HELPED,
        "leaks",
    ),
    "a variable of the same": (
        function(
            "declare v uuid := o::text; begin return app.is_member(v); end",
            how=PLPGSQL,
        ),
        _HELPED,
        "proven",
    ),
    "a result in capitals": (
        _READ.format("uuid"),
        "app.read(upper(id::text)) = id and upper(id::text) <> id::text",
        "leaks",
    ),
    "a variable of digits": (
        _DIGITS
        + function(
            "declare v integer := a; w integer := b; begin return v = w and a <> b; end",
            given=_GIVEN,
            how=PLPGSQL,
        ),
        _PASSED,
        "leaks",
    ),
    "a variable of digits, rightly": (
        _DIGITS
        + function(
            "declare v integer := a; begin return v = v and app.is_member(o); end",
            given=_GIVEN,
            how=PLPGSQL,
        ),
        _PASSED,
        "proven",
    ),
    "a moment in another zone": (
        "alter table public.notes add a text not null default '2020-01-01 01:00+01',"
        " add b timestamptz not null default '2020-01-01 00:00+00';",
        "a::timestamptz = b and a <> b::text",
        "leaks",
    ),
    "a list with a space": (
        "alter table public.notes add a text not null default '{1, 2}',"
        " add b int[] not null default '{1,2}';",
        "a::int[] = b and a <> b::text",
        "leaks",
    ),
    "another word for yes": (
        "",
        f"{_SAID.format('->>', 'sure')}::boolean and {_SAID.format('->>', 'sure')} <> 'true'",
        "leaks",
    ),
    "a word for yes that is no": (
        function("select 'n'::text::boolean or app.is_member(o)"),
        _HELPED,
        "proven",
    ),
}

_SAME_TEXT = "a = b and a::text <> b::text"
_CITEXT = "create extension citext with schema extensions;"
_IN_HELPER = function(f"select exists (select 1 from public.notes n where {_SAME_TEXT})").replace(
    "search_path = ''", "search_path = public, extensions"
)
EQUAL: dict[str, tuple[str, str, str]] = {
    "a numeric": (_KEYS.format("numeric", "1.0", "1.00"), _SAME_TEXT, "leaks"),
    "the scale of a numeric": (
        _KEYS.format("numeric", "1.0", "1.00"),
        "a = b and scale(a) <> scale(b)",
        "leaks",
    ),
    "the same numeric": (
        _KEYS.format("numeric", "1.0", "1.00"),
        f"{_MEMBER} or a::text <> a::text or a = 2 and a = 3",
        "proven",
    ),
    "a float": (_KEYS.format("float8", "'0'", "'-0'"), _SAME_TEXT, "leaks"),
    "a span of time": (_KEYS.format("interval", "'1 day'", "'24 hours'"), _SAME_TEXT, "leaks"),
    "blanks": (
        "alter table public.notes add a char(3) not null default 'a',"
        " add b bpchar not null default 'a';",
        "a = b and octet_length(a) <> octet_length(b)",
        "leaks",
    ),
    "a document": (
        _KEYS.format("jsonb", """'{"x": 1.0}'""", """'{"x": 1}'"""),
        _SAME_TEXT,
        "leaks",
    ),
    "the same document": (
        _KEYS.format("jsonb", """'{"x": 1.0}'""", """'{"x": 1}'"""),
        f"{_MEMBER} or a ->> 'x' <> a ->> 'x'",
        "proven",
    ),
    "a document that is written out": (
        "",
        """'{"x": 1.0}'::jsonb = '{"x": 1}'::jsonb"""
        """ and '{"x": 1.0}'::jsonb::text <> '{"x": 1}'::jsonb::text""",
        "leaks",
    ),
    "numbers of a token": (
        "",
        f"{_SAID.format('->', 'one')} = {_SAID.format('->', 'exact')}"
        f" and {_SAID.format('->>', 'one')} <> {_SAID.format('->>', 'exact')}",
        "leaks",
    ),
    "a list": (_KEYS.format("numeric[]", "'{1.0}'", "'{1.00}'"), _SAME_TEXT, "leaks"),
    "a row": ("", "row(1.0) = row(1.00) and row(1.0)::text <> row(1.00)::text", "leaks"),
    "citext": (
        _CITEXT + _KEYS.format("extensions.citext", "'x'", "'X'") + _IN_HELPER,
        _HELPED,
        "leaks",
    ),
    "citext, rightly": (
        _CITEXT + "alter table public.members add k extensions.citext not null default 'x';",
        f"exists (select 1 from public.members m where m.org_id = notes.org_id and {MINE}"
        " and m.k operator(extensions.=) 'X')",
        "proven",
    ),
}

_CI = """create collation public.ci (provider = icu, locale = 'und-u-ks-level2',
    deterministic = false);
alter table public.orgs add k text not null default 'x';
alter table public.notes add k text not null default 'X';
alter table public.members add k text collate public.ci not null default 'x';"""
_OURS = f"exists (select 1 from public.members m where {MINE} and {{}})"
COLLATED: dict[str, tuple[str, str, str]] = {
    "other letters": (
        _CI,
        _OURS.format('m.k = notes.k and m.k collate "C" <> notes.k'),
        "leaks",
    ),
    "the same letters": (
        _CI,
        _OURS.format('m.k = notes.k and (m.k collate "C") <> (notes.k collate "C")'
                     " and m.org_id = notes.org_id"),
        "proven",
    ),
    "a key by another collation": (
        _CI + "update public.members set k = 'X' where org_id::text like '%b';"
        'create unique index members_k on public.members (k collate "C");'
        + function(
            "select exists (select 1 from public.members m, public.members n where n.k = m.k"
            f" and n.org_id = o and {MINE})"
        ),
        _HELPED,
        "leaks",
    ),
    "other letters of another language": (
        function("""select 'I' collate "C" ilike 'i' """
                 """and not 'I' collate "tr-x-icu" ilike 'i' """),
        _HELPED,
        "leaks",
    ),
    "another order": (
        function("""select 'B' collate "C" < 'a' collate "C" """
                 """and not 'B' collate "en-x-icu" < 'a' collate "en-x-icu" """),
        _HELPED,
        "leaks",
    ),
}  # fmt: skip

_ZONED = "create function app.told(t timestamptz) returns text {} {} as $$ select t::text $$;"
_BIG = """alter table public.notes add a bigint not null default 9007199254740993,
    add b bigint not null default 9007199254740992,
    add c float8 not null default 9007199254740992;"""
_HELD = "declare v {} := a; begin return v = 1; end"
_ONES = "alter table public.notes add a {} not null default {};"
HELD: dict[str, tuple[str, str, str]] = {
    "a function in a zone of its own": (
        _ZONED.format(SQL, "set timezone = 'Asia/Tokyo'"),
        "app.told(now()) <> now()::text",
        "leaks",
    ),
    "a function in the same zone": (
        _ZONED.format(SQL, ""),
        f"app.told(now()) <> now()::text or {_MEMBER}",
        "proven",
    ),
    "a number that is rounded to be compared": (
        _BIG + function("select a = c and b = c and a <> b", given="a bigint, b bigint, c float8"),
        "app.helper(a, b, c)",
        "leaks",
    ),
    "a number that is compared with its kind": (
        _BIG
        + function(
            "select a = b and a <> b or app.is_member(o)", given="a bigint, b bigint, o uuid"
        ),
        "app.helper(a, b, org_id)",
        "proven",
    ),
    "a day and a moment": (
        "alter table public.notes add a date not null default '2020-01-01',"
        " add b timestamp not null default '2020-01-01 00:00';",
        _SAME_TEXT,
        "leaks",
    ),
    "yes as a number": (
        function("select true::text = 'true' and true::int::text = '1'"),
        _HELPED,
        "leaks",
    ),
    "no as a number": (
        function("select false::int::text = '1' or app.is_member(o)"),
        _HELPED,
        "proven",
    ),
    "a variable that rounds": (
        _ONES.format("numeric", "1.2")
        + function(_HELD.format("numeric(3, 0)"), given="a numeric", how=PLPGSQL),
        "a <> 1 and app.helper(a)",
        "leaks",
    ),
    "a variable of a domain that rounds": (
        "create domain app.whole as numeric(3, 0);"
        + _ONES.format("numeric", "1.2")
        + function(_HELD.format("app.whole"), given="a numeric", how=PLPGSQL),
        "a <> 1 and app.helper(a)",
        "leaks",
    ),
    "a variable of a column's type": (
        _ONES.format("text", "'01'")
        + "alter table public.notes add n integer;"
        + function(_HELD.format("public.notes.n%type"), given="a text", how=PLPGSQL),
        "a <> '1' and app.helper(a)",
        "leaks",
    ),
    "a variable of the same type": (
        _ONES.format("numeric", "1.2")
        + function(
            "declare v numeric := a; begin return v <> a or app.is_member(o); end",
            given="a numeric, o uuid",
            how=PLPGSQL,
        ),
        "app.helper(a, org_id)",
        "proven",
    ),
}


@pytest.mark.parametrize("name", READ)
def test_a_text_is_read_in_more_ways_than_it_is_written(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *READ[name])


@pytest.mark.parametrize("name", EQUAL)
def test_what_is_equal_need_not_be_the_same(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *EQUAL[name])


@pytest.mark.icu
@pytest.mark.parametrize("name", COLLATED)
def test_a_collation_says_what_is_equal(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *COLLATED[name])


@pytest.mark.parametrize("name", HELD)
def test_a_value_is_what_its_holder_makes_of_it(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *HELD[name])
