"""Proofs on what a statement is told of its session: the time, the role, settings."""

from __future__ import annotations

from typing import Any

import pytest
from isolation_leaks import MINE, PLPGSQL, SQL, function, holds

_HELPED = "app.helper(org_id)"
_MEMBER = "app.is_member(org_id)"
_UNTIL = """alter table public.members add expires_at {0} not null default 'infinity';
update public.members set expires_at = {1} where user_id::text like '%a1';
update public.members set expires_at = {2} where user_id::text like '%b1';
insert into public.members (org_id, user_id, role, expires_at)
select m.org_id, u.user_id, 'member', {3} from public.members m
cross join (select m.user_id from public.members m where m.user_id::text like '%a1') u
where m.user_id::text like '%b1';"""
_EVER = ("'infinity'", "'infinity'")
_ENDED = "date_trunc('day', now()) + interval '1 second'"
_HOURS = _UNTIL.format("timestamptz", *_EVER, _ENDED)
_DAYS = _UNTIL.format("date", *_EVER, "current_date - 1")
_TIMED = (
    "exists (select 1 from public.members m where m.org_id = notes.org_id and m.user_id ="
    " auth.uid() and m.status = 'active' and m.expires_at{} {})"
)
_CONFIG = (
    "create function app.told(n text) returns text language sql stable set search_path = ''"
    " as $$ select current_setting(n, true) $$;"
)
_JOINS = (
    "insert into public.members (org_id, user_id, role) select o, auth.uid(), 'member'"
    " where auth.uid() is not null on conflict do nothing;"
)
_VOLATILE = SQL.replace("stable", "volatile")
_WRITING = PLPGSQL.replace("stable", "volatile")
_IS_MEMBER = f"select exists (select 1 from public.members m where m.org_id = o and {MINE})"
CASES: dict[str, tuple[str, str, str]] = {
    "a day that is no moment": ("", "current_date <> now()", "leaks"),
    "the rest of a day": (_HOURS, _TIMED.format("", ">= current_date"), "leaks"),
    "the day of a moment": (_HOURS, _TIMED.format("::date", ">= current_date"), "leaks"),
    "a moment": (_HOURS, _TIMED.format("", "> now()"), "proven"),
    "a day": (_DAYS, _TIMED.format("", ">= current_date"), "proven"),
    "the day of the clock": (_DAYS, _TIMED.format("", ">= now()::date"), "proven"),
    "who connects": ("", "session_user <> 'authenticated'", "leaks"),
    "who asks": ("", f"current_user <> 'authenticated' or {_MEMBER}", "proven"),
    "where and where": ("", "current_schema is distinct from current_catalog", "leaks"),
    "a role that is not set any more": (
        "",
        "current_setting('request.jwt.claim.role', true) is null",
        "leaks",
    ),
    "the role of the token": (
        "",
        f"auth.jwt() ->> 'role' is distinct from 'authenticated' or {_MEMBER}",
        "proven",
    ),
    "two settings": (
        _CONFIG,
        "app.told('server_version') is not null and app.told('app.nothing') is null",
        "leaks",
    ),
    "the token by a parameter": (
        _CONFIG,
        "exists (select 1 from public.members m where m.org_id = notes.org_id and m.user_id ="
        " ((app.told('request.jwt.claims')::json ->> 'sub'))::uuid and m.status = 'active')",
        "proven",
    ),
    "a statement that writes before it looks": (
        function(f"{_JOINS} {_IS_MEMBER}", how=_VOLATILE),
        _HELPED,
        "leaks",
    ),
    "a body that writes before it looks": (
        function(f"begin {_JOINS} return ({_IS_MEMBER}); end", how=_WRITING),
        _HELPED,
        "leaks",
    ),
    "a query that writes beside it": (
        function(
            f"with w as ({_JOINS.rstrip(';')} returning org_id) {_IS_MEMBER}"
            " or exists (select 1 from w)",
            how=_VOLATILE,
        ),
        _HELPED,
        "leaks",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_session_is_what_postgresql_says_of_it(prepared: Any, name: str) -> None:
    with prepared.transaction(force_rollback=True):
        holds(prepared, *CASES[name])
