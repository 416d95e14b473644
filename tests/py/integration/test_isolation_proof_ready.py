"""Proofs on rights that are kept ready, on sets of them, and on what composite values hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from isolation_idioms import BASE, build

from harmonia_py.engines import Database
from harmonia_py.isolation.infer import infer, merge
from harmonia_py.isolation.introspect import introspect
from harmonia_py.isolation.model import load
from harmonia_py.isolation.proof import prove_table

_KEY = """foreign key (user_id, org_id, role, status)
    references public.members (user_id, org_id, role, status)"""
_SEATS = """
alter table public.members add unique (user_id, org_id, role, status);
alter table public.members add unique (user_id, role, status);
create table app.seats (
    user_id uuid not null, org_id uuid not null, role text not null, status text not null,
    rights integer[] not null, primary key (user_id, org_id), {key}
);
create view app.my_seats with (security_barrier = true) as
select s.org_id, s.rights from app.seats s
where {who};
create function app.codes(variadic p_keys text[]) returns integer[]
language sql immutable set search_path = '' as $$
    select array(select length(k) from unnest(p_keys) as u (k))
$$;
create function app.dynamic_orgs() returns uuid[] language plpgsql stable as $$
declare v_found uuid[];
begin
    execute 'select array_agg(id) from public.orgs' into v_found;
    return v_found;
end $$;
create type app.key as (org_id uuid, user_id uuid);
create type app.blunt_key as (org_id varchar(1), user_id uuid);
create function app.other_org(o uuid) returns uuid
language plpgsql stable security definer set search_path = '' as $$
declare r record;
begin
    select * into r from public.members as m where m.org_id = o;
    if auth.jwt() ->> 'careful' = 'yes' then
        select * into r from public.members as m
        where m.org_id = o and m.user_id = auth.uid() and m.status = 'active';
    end if;
    return r.org_id;
end $$;
create function app.second_org(o uuid) returns uuid
language plpgsql stable security definer set search_path = '' as $$
declare
    r record;
    v_first boolean := true;
begin
    for r in select m.org_id from public.members as m where m.org_id = o loop
        if not v_first then
            return r.org_id;
        end if;
        v_first := false;
    end loop;
    return null;
end $$;
create function app.last_org(o uuid) returns uuid
language plpgsql stable security definer set search_path = '' as $$
declare r record;
begin
    for r in select m.org_id from public.members as m where m.org_id = o loop
    end loop;
    return r.org_id;
end $$;
create function app.hidden_org(o uuid) returns uuid
language plpgsql stable security definer set search_path = '' as $$
declare v uuid := null;
begin
    declare v uuid := o;
    begin
        return v;
    end;
end $$;
create function app.careful_org(o uuid) returns uuid
language plpgsql stable security definer set search_path = '' as $$
declare r record;
begin
    select * into r from public.members as m
    where m.org_id = o and m.user_id = auth.uid() and m.status = 'active';
    if auth.jwt() ->> 'careful' = 'yes' then
        return null;
    end if;
    return r.org_id;
end $$;
create type app.span as (org_ids uuid[], owner_id uuid, owned_in uuid[]);
create function app.my_span() returns app.span
language plpgsql stable security definer set search_path = '' as $$
declare
    v_span app.span;
begin
    v_span.org_ids := array(select app.my_orgs());
    v_span.owner_id := auth.uid();
    if v_span.owner_id is null then
        return v_span;
    end if;
    v_span.owned_in := array(select app.my_orgs());
    return v_span;
end $$;
create function app.careless_span() returns app.span
language plpgsql stable security definer set search_path = '' as $$
declare
    v_span app.span;
begin
    if auth.jwt() ->> 'careful' = 'no' then
        v_span.org_ids := array(select o.id from unnest(app.all_orgs()) as o (id));
        return v_span;
    end if;
    v_span.org_ids := array(select app.my_orgs());
    return v_span;
end $$;
create function app.spans(p_span app.span, o uuid, u uuid) returns boolean
language plpgsql immutable set search_path = '' as $$
begin
    return o = any(p_span.org_ids)
        or coalesce(u = p_span.owner_id and o = any(p_span.owned_in), false);
end $$;
create function app.spans_of_owners(p_span app.span, o uuid, u uuid) returns boolean
language plpgsql immutable set search_path = '' as $$
begin
    return o = any(p_span.org_ids) or coalesce(u = p_span.owner_id, false);
end $$;
"""
_WHO = "s.user_id = (auth.jwt() ->> 'sub')::uuid and s.status = 'active'"
_ANY_ORG = "array(select o.id from unnest(app.all_orgs()) as o (id))"
_MY_ORGS = "array(select app.my_orgs())"
_SEAT_ROWS = (
    "row({}, auth.uid()) = any(array(select row(m.org_id, m.user_id) from public.members m"
    " where m.status = 'active'))"
)
_KEYED = (
    "row({}, owner_id)::app.{} = any(array("
    "select row(m.org_id, m.user_id)::app.{} from public.members m where {}))"
)
_MINE = "m.user_id = auth.uid() and m.status = 'active'"
READY = f"""org_id = any(coalesce(nullif(array(
    select s.org_id from app.my_seats s where s.rights && app.codes('read', 'read_team')
), '{{}}'), {_MY_ORGS}))"""


@pytest.fixture
def conn(plain_database: Database) -> Any:
    with plain_database.connect() as connection:
        connection.execute(BASE)
        yield connection


def _statuses(conn: Any, predicate: str, *, key: str = _KEY, who: str = _WHO) -> set[str]:
    conn.execute(_SEATS.format(key=key, who=who))
    return {p.status for p in build(conn, "notes", predicate) if p.role == "authenticated"}


SOUND = {
    "seats, or else the seats' own tables": READY,
    "a set that meets": f"array[org_id] && {_MY_ORGS}",
    "a set that holds": f"{_MY_ORGS} @> array[org_id]",
    "a set that is held": f"array[org_id] <@ {_MY_ORGS}",
    "a span": "app.spans((select app.my_span()), org_id, owner_id)",
    "a part of a span": "org_id = any((app.my_span()).org_ids)",
    "a row of a seat": _SEAT_ROWS.format("org_id"),
    "a record, and a way out": "org_id = app.careful_org(org_id)",
    "a key of a seat": _KEYED.format("org_id", "key", "key", _MINE),
    "a part of a key": f"(row(org_id, owner_id)::app.key).org_id = any({_MY_ORGS})",
}
LEAKY = {
    "everything, or else one's own": f"org_id = any(coalesce(nullif({_ANY_ORG}, '{{}}'),"
    f" {_MY_ORGS}))",
    "a set that meets all": f"array[org_id] && {_ANY_ORG}",
    "a set that holds all": f"{_ANY_ORG} @> array[org_id]",
    "a set that holds nothing": f"array[org_id] @> {_MY_ORGS}",
    "a set that is held by nothing": f"{_MY_ORGS} <@ array[org_id]",
    "a row of any seat": _SEAT_ROWS.format("owner_id"),
    "a span with a way out": "app.spans((select app.careless_span()), org_id, owner_id)",
    "a key of any seat": _KEYED.format("owner_id", "key", "key", _MINE),
    "a key that is cut off": _KEYED.format("org_id", "blunt_key", "blunt_key", _MINE),
    "another part of a key": f"(row(owner_id, org_id)::app.key).org_id = any({_MY_ORGS})",
    "a span of owners anywhere": "app.spans_of_owners((select app.my_span()), org_id, owner_id)",
}
KEYS = {
    "no foreign key": "check (true)",
    "without the organization": "foreign key (user_id, role, status)"
    " references public.members (user_id, role, status)",
    "without the status": "foreign key (user_id, org_id) references public.members"
    " (user_id, org_id)",
    "checked late": f"{_KEY} deferrable",
}
VIEWS = {
    "anybody's": "s.status = 'active'",
    "somebody else's": _WHO.replace("user_id =", "user_id <>"),
    "whatever the status": "s.user_id = (auth.jwt() ->> 'sub')::uuid",
    "or true": f"{_WHO} or true",
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_is_proven(conn: Any, name: str) -> None:
    assert _statuses(conn, SOUND[name]) == {"proven"}


@pytest.mark.parametrize("name", LEAKY)
def test_what_leaks_is_refuted(conn: Any, name: str) -> None:
    assert _statuses(conn, LEAKY[name]) == {"refuted"}


@pytest.mark.parametrize("name", KEYS)
def test_seats_prove_nothing_that_their_key_does_not_say(conn: Any, name: str) -> None:
    conn.execute("alter table public.members add unique (user_id, org_id)")
    assert _statuses(conn, READY, key=KEYS[name]) == {"refuted"}


@pytest.mark.parametrize("name", VIEWS)
def test_seats_are_read_as_their_view_says(conn: Any, name: str) -> None:
    assert _statuses(conn, READY, who=VIEWS[name]) == {"refuted"}


def test_a_key_that_old_rows_need_not_meet_proves_nothing(conn: Any) -> None:
    conn.execute(_SEATS.format(key="check (true)", who=_WHO))
    conn.execute(f"alter table app.seats add {_KEY} not valid")
    found = {p.status for p in build(conn, "notes", READY) if p.role == "authenticated"}
    assert found == {"refuted"}


@pytest.mark.parametrize("function", ["other_org", "second_org", "last_org", "hidden_org"])
def test_what_a_branch_or_an_earlier_row_may_have_set_proves_nothing(
    conn: Any, function: str
) -> None:
    assert _statuses(conn, f"org_id = app.{function}(org_id)") == {"unknown"}


def test_an_unknown_set_beside_a_known_one_is_not_left_out(conn: Any) -> None:
    predicate = f"org_id = any(coalesce(app.dynamic_orgs(), {_MY_ORGS}))"
    assert _statuses(conn, predicate) == {"unknown"}


def test_functions_of_two_sets_are_two_values(conn: Any) -> None:
    """What is said of the place in one array is no reason for what is said of another."""
    mine = f"array_position({_MY_ORGS}, org_id) is null"
    any_org = f"array_position({_ANY_ORG}, org_id) is null"
    member = "app.is_member(org_id)"
    predicate = f"({mine} and not {any_org}) or {member}"
    assert _statuses(conn, predicate) != {"proven"}


SEATS = {
    "anybody's": ("(user_id =", "(user_id is not null or user_id ="),
    "whatever the status": ("(status = 'active'::text)", "true"),
}


@pytest.mark.parametrize("name", SEATS)
def test_a_hole_in_the_seats_takes_the_proofs_of_harmonia_away(
    database: Database, name: str
) -> None:
    root = Path(__file__).resolve().parents[3]
    with database.connect() as conn:
        conn.execute("set local search_path = ''")
        found = conn.execute("select pg_get_viewdef('private.my_seats'::regclass)").fetchone()
        assert found is not None
        whole = found[0].replace("s.", "")  # before PostgreSQL 16 columns come with their alias
        hole = whole.replace(*SEATS[name])
        assert hole != whole
        conn.execute(
            f"create or replace view private.my_seats with (security_barrier = true) as {hole}"
        )
        catalog = introspect(conn)
    said = merge(infer(catalog), load(root / "harmonia.toml"))
    proofs = prove_table(catalog, said, catalog.tables["public.deal_stage_history"])
    found_ = {p.status for p in proofs if (p.role, p.command) == ("authenticated", "select")}
    assert found_ == {"refuted"}
