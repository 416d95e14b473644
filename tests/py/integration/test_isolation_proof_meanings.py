"""Proofs on what a name, a length, a word or a clock means, which the same text may not mean."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from isolation_idioms import build
from isolation_leaks import MINE, PLPGSQL, function, holds

_HELPED = "app.helper(org_id)"
_MEMBER = "app.is_member(org_id)"
_ORG = "org_id::text::varchar({})"
_DAY = "alter table public.notes add d date not null default '1970-01-01';"
_LIST = "alter table public.notes add a text not null default '{1, 2}';"
_LEVELS = """create type app.level as enum ('low', 'high');
alter table public.notes add a app.level not null default 'low',
    add b app.level not null default 'high';"""
_SAID = """create function app.said(l app.level) returns text language sql immutable
    as $$ select 'a level' $$;
create cast (app.level as text) with function app.said(app.level);"""
_TOLD = (
    "select exists (select 1 from public.members m where m.org_id = o and m.status = 'active'"
    " and m.user_id = (coalesce({}, {}) ->> 'sub')::uuid)"
)
VALUES: dict[str, tuple[str, str, str]] = {
    "two lengths": ("", f"{_ORG.format(1)} <> {_ORG.format(36)}", "leaks"),
    "one length": ("", f"{_ORG.format(1)} <> {_ORG.format(1)} or {_MEMBER}", "proven"),
    "two lengths of a list": (
        function("select (array[o::text]::varchar(1)[])[1] <> (array[o::text]::varchar(2)[])[1]"),
        _HELPED,
        "leaks",
    ),
    "a word for a day": (function("select 'epoch'::date = '1970-01-01'::date"), _HELPED, "leaks"),
    "a month by its name": (
        function("select 'January-01-2020'::date = '2020-01-01'::date"),
        _HELPED,
        "leaks",
    ),
    "a word that is compared with a day": (
        _DAY + function("select d = 'epoch' and d = '1970-01-01'", given="d date"),
        "app.helper(d)",
        "leaks",
    ),
    "another day": (
        _DAY
        + function(
            "select d = '1970-01-01' and d = '1970-01-02' or app.is_member(o)",
            given="d date, o uuid",
        ),
        "app.helper(d, org_id)",
        "proven",
    ),
    "bits in two ways": (function("select x'1' = b'0001'"), _HELPED, "leaks"),
    "names that are cut": (
        function(f"select '{'a' * 64}'::name = '{'a' * 63}'::name"),
        _HELPED,
        "leaks",
    ),
    "names that are not": (
        function("select 'a'::name = 'b'::name or app.is_member(o)"),
        _HELPED,
        "proven",
    ),
    "an address in other letters": (
        "alter table public.notes add a inet not null default 'fe80::1';"
        + function("select a = 'fe80::1' and a = 'fe80:0::1'", given="a inet"),
        "app.helper(a)",
        "leaks",
    ),
    "the text of a token": ("", "auth.jwt()::text <> 'jwt'", "leaks"),
    "a text of a list": (_LIST, "a::text[]::text <> a", "leaks"),
    "the same text of a list": (
        _LIST,
        f"a::text[]::text <> a::text[]::text or {_MEMBER}",
        "proven",
    ),
    "a cast of one's own": (_LEVELS + _SAID, "a::text = b::text and a <> b", "leaks"),
    "a cast of PostgreSQL's": (_LEVELS, f"a::text = b::text and a <> b or {_MEMBER}", "proven"),
    "a document or else another": (
        function(_TOLD.format("auth.jwt() -> 'x'", "jsonb_build_object('sub', m.user_id)")),
        _HELPED,
        "leaks",
    ),
    "a document or else none": (
        function(_TOLD.format("auth.jwt()", "'{}'::jsonb")),
        _HELPED,
        "proven",
    ),
    "rows of which a field is null": ("", "((owner_id, 1) < (auth.uid(), 1)) is null", "leaks"),
    "rows that are one": (
        "",
        f"(case (owner_id, 1) when (owner_id, 1) then false else true end) or {_MEMBER}",
        "proven",
    ),
}

_DATED = "alter table public.notes add d date not null default '2020-01-01';"
_OTHERWISE = "exists (select 1 from ({}) s (x) where s.x::text <> d::text)"
_ORDER = "create function app.less(x {0}, y {0}) returns boolean {1} as $$ select x < y $$;"
_IMMUTABLE = "language sql immutable"
TOGETHER: dict[str, tuple[str, str, str]] = {
    "a day in a union with a moment": (
        _DATED,
        _OTHERWISE.format("select d union all select null::timestamp"),
        "leaks",
    ),
    "a day in a union with a day": (
        _DATED,
        _OTHERWISE.format("select d union all select null::date") + f" or {_MEMBER}",
        "proven",
    ),
    "a day in a list with a moment": (
        _DATED,
        _OTHERWISE.format("values (d), (null::timestamp)"),
        "leaks",
    ),
    "a day or else a moment": (
        _DATED
        + function(
            "select (case when true then d else null::timestamp end)::text <> d::text",
            given="d date",
        ),
        "app.helper(d)",
        "leaks",
    ),
    "a day or else a day": (
        _DATED
        + function(
            "select (case when true then d else null end)::text <> d::text or app.is_member(o)",
            given="d date, o uuid",
        ),
        "app.helper(d, org_id)",
        "proven",
    ),
    "a list and nothing": (
        "alter table public.notes add ids uuid[] not null default '{}';",
        "(ids || owner_id) is not null and owner_id is null",
        "leaks",
    ),
    "a text and nothing": (
        "",
        f"(id::text || owner_id::text) is not null and owner_id is null or {_MEMBER}",
        "proven",
    ),
    "an order of one's own": (
        "create type app.level as enum ('b', 'a');"
        + _ORDER.format("app.level", _IMMUTABLE)
        + function("select app.less('b', 'a') and not ('b' < 'a')"),
        _HELPED,
        "leaks",
    ),
    "an order of numbers": (
        _ORDER.format("integer", _IMMUTABLE)
        + function("select app.less('9', '10') and not ('9' < '10')"),
        _HELPED,
        "leaks",
    ),
    "one order": (
        _ORDER.format("integer", _IMMUTABLE)
        + function("select app.less(9, 10) and not (9 < 10) or app.is_member(o)"),
        _HELPED,
        "proven",
    ),
    "bits that are shifted out": ("", "(1::int8 << 31) <> (1::int4 << 31)", "leaks"),
    "something else each time": (
        "",
        "extensions.gen_random_bytes(8) <> extensions.gen_random_bytes(8)",
        "leaks",
    ),
    "the same each time": (
        "",
        f"extensions.digest('a', 'md5') <> extensions.digest('a', 'md5') or {_MEMBER}",
        "proven",
    ),
}

_ASKED = (
    "create function app.asked(o uuid) returns setof uuid {} as $$ begin"
    " perform 1 from public.members m where m.org_id = o and {}; {}"
    " if found then return query select o; end if; end $$;"
)
FOUND: dict[str, tuple[str, str, str]] = {
    "what was found before a query": (
        _ASKED.format(PLPGSQL, MINE, "return query select null::uuid;"),
        "org_id in (select app.asked(org_id))",
        "leaks",
    ),
    "what was found": (
        _ASKED.format(PLPGSQL, MINE, ""),
        "org_id in (select app.asked(org_id))",
        "proven",
    ),
}

_SPAN = "make_interval({} => 1) <> make_interval({} => 1)"
_OPERATOR = """create function app.alike(a uuid, b text) returns boolean language sql immutable
    as $$ select true $$;
create operator app.= (function = app.alike, leftarg = uuid, rightarg = text);"""
_COMPARED = f"select exists (select 1 from public.members m where m.org_id = o and {MINE})"
_SEARCHED = function(_COMPARED, given="o text").replace("search_path = ''", "search_path = app")
_BECOME = """create function app.become(o uuid) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
    perform set_config('request.jwt.claims', (select json_build_object('sub', m.user_id)::text
        from public.members m where m.org_id = o limit 1), true);
    return true;
end $$;"""
_JOIN = """create function app.join(o uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
    insert into public.members (org_id, user_id, role) values (o, auth.uid(), 'member')
    on conflict do nothing;
end $$;"""
_VOLATILE = PLPGSQL.replace("stable", "volatile")
CALLS: dict[str, tuple[str, str, str]] = {
    "arguments of other names": ("", _SPAN.format("days", "hours"), "leaks"),
    "arguments of one name": ("", f"{_SPAN.format('days', 'days')} or {_MEMBER}", "proven"),
    "the clock and the transaction's": ("", "clock_timestamp() <> now()", "leaks"),
    "the transaction's clock": (
        "",
        f"transaction_timestamp() <> now() or {_MEMBER}",
        "proven",
    ),
    "the clock on the wall": ("", "localtimestamp::text <> now()::text", "leaks"),
    "a clock without fractions": ("", "current_timestamp(0) <> now()", "leaks"),
    "two times of day": (
        "set local timezone = 'Asia/Tokyo';",
        "current_time::text <> localtime::text",
        "leaks",
    ),
    "an operator that the search path finds": (
        _OPERATOR + _SEARCHED,
        "app.helper(org_id::text)",
        "leaks",
    ),
    "an operator that no search path finds": (
        _OPERATOR + function(_COMPARED),
        _HELPED,
        "proven",
    ),
    "an operator that a policy hides": (
        _OPERATOR + "set local search_path = app, public;",
        "not (org_id is distinct from 'nothing'::text)",
        "leaks",
    ),
    "who becomes another": (
        _BECOME,
        f"app.become(org_id) and {_MEMBER}",
        "leaks",
    ),
    "who becomes another on the way": (
        _BECOME
        + function("begin perform app.become(o); return app.is_member(o); end", how=_VOLATILE),
        _HELPED,
        "leaks",
    ),
    "who joins on the way": (
        _JOIN + function("begin perform app.join(o); return app.is_member(o); end", how=_VOLATILE),
        _HELPED,
        "leaks",
    ),
    "who joins by a trigger": (
        "create table app.log (x integer); create function app.logged() returns trigger"
        " language plpgsql security definer set search_path = '' as $$ begin"
        " insert into public.members (org_id, user_id, role)"
        " select g.id, auth.uid(), 'member' from public.orgs g on conflict do nothing;"
        " return new; end $$; create trigger logged after insert on app.log"
        " for each row execute function app.logged();"
        " create function app.log() returns void language sql security definer as"
        " $$ insert into app.log values (1) $$;"
        + function("begin perform app.log(); return app.is_member(o); end", how=_VOLATILE),
        _HELPED,
        "leaks",
    ),
    "who only speaks of joining": (
        function(
            "begin perform length('insert'); return app.is_member(o); end -- update", how=_VOLATILE
        ),
        _HELPED,
        "proven",
    ),
    "who only performs": (
        function("begin perform pg_backend_pid(); return app.is_member(o); end", how=_VOLATILE),
        _HELPED,
        "proven",
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_word_means_what_it_is_read_as(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *VALUES[name])


@pytest.mark.parametrize("name", CALLS)
def test_a_call_means_what_postgresql_calls(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *CALLS[name])


@pytest.mark.parametrize("name", TOGETHER)
def test_values_become_of_one_type(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *TOGETHER[name])


@pytest.mark.parametrize("name", FOUND)
def test_found_is_of_what_was_asked_last(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *FOUND[name])


@pytest.mark.parametrize("owned", [True, False])
def test_who_owns_a_table_reads_past_its_policies(prepared: Any, owned: bool) -> None:
    setup = "update public.notes set board_id = org_id;"
    if owned:
        setup += (
            "grant create on schema public to authenticated;"
            "alter table public.boards owner to authenticated;"
        )
    through = "exists (select 1 from public.boards b where b.id = board_id and b.org_id = {})"
    with prepared.transaction(force_rollback=True):
        holds(prepared, setup, through.format("notes.org_id"), "leaks" if owned else "proven")


_OLD = "alter table public.notes add constraint held not null owner_id not valid;"


@pytest.mark.parametrize("valid", [False, True])
def test_rows_from_before_may_be_null(prepared: Any, valid: bool) -> None:
    if prepared.info.server_version < 180000:
        # Older ones check all rows, and know no such key.
        with pytest.raises(psycopg.errors.SyntaxError), prepared.transaction():
            prepared.execute(_OLD)
        return
    mended = "update public.notes set owner_id = org_id; alter table public.notes validate"
    setup = _OLD + (f"{mended} constraint held;" if valid else "")
    with prepared.transaction(force_rollback=True):
        holds(prepared, setup, f"owner_id is null or {_MEMBER}", "proven" if valid else "leaks")


@pytest.mark.parametrize("forced", [False, True])
def test_who_owns_a_table_is_bound_by_no_policy(prepared: Any, forced: bool) -> None:
    setup = (
        "grant create on schema public to authenticated;"
        "alter table public.notes owner to authenticated, enable row level security;"
    ) + ("alter table public.notes force row level security;" if forced else "")
    with prepared.transaction(force_rollback=True):
        holds(prepared, setup, _MEMBER, "proven" if forced else "leaks")


_BEFORE = function("select app.is_member(n.org_id) from public.notes n where n.id = o")
_A, _B, _PERSON = (f"00000000-0000-0000-0000-0000000000{end}" for end in ("0a", "0b", "a1"))


def _moves(conn: Any) -> bool:
    """Whether a member of one tenant moves its note into another."""
    claims = json.dumps({"sub": _PERSON, "role": "authenticated"})
    try:
        with conn.transaction():
            conn.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
            conn.execute("set local role authenticated")
            moved = conn.execute("update public.notes set org_id = %s where id = %s", (_B, _A))
            conn.execute("reset role")
            return bool(moved.rowcount == 1)
    except psycopg.errors.InsufficientPrivilege:
        return False


@pytest.mark.parametrize("check", ["app.helper(id)", f"app.helper(id) and {_MEMBER}"])
def test_a_new_row_may_have_the_key_of_the_one_it_replaces(prepared: Any, check: str) -> None:
    moves = _MEMBER not in check
    with prepared.transaction(force_rollback=True):
        prepared.execute(_BEFORE.encode())
        prepared.execute(
            "create policy moved_p on public.notes as restrictive for update to authenticated"
            f" using (true) with check ({check})".encode()
        )
        proofs = build(prepared, "notes", "app.helper(id)")
        assert _moves(prepared) == moves
    found = {p.command: p.status for p in proofs if p.role == "authenticated"}
    assert (found["update"] == "proven") != moves
    assert found["select"] == found["delete"] == "proven"
