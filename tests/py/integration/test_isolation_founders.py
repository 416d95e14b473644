"""Who founds a tenant takes the first seat: by whose word?"""

from __future__ import annotations

import pytest
from fix_isolation import Judge

ROOMS = """
create type public.rank as enum ('guest', 'host');
create table public.rooms (
    id uuid primary key default gen_random_uuid(), name text,
    founder uuid not null default auth.uid() references auth.users (id)
);
create table public.seats (
    room_id uuid not null references public.rooms (id) on delete cascade,
    person_id uuid not null references auth.users (id) on delete cascade,
    rank public.rank not null default 'guest',
    primary key (room_id, person_id)
);
create table public.lines (
    id uuid primary key default gen_random_uuid(), said text,
    room_id uuid not null references public.rooms (id) on delete cascade
);
create function public.sits(room uuid, floor public.rank) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select 1 from public.seats s
        where s.room_id = room and s.person_id = auth.uid() and s.rank >= floor)
$$;
create function public.founded(room uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select 1 from public.rooms r where r.id = room and r.founder = auth.uid())
$$;
alter table public.rooms enable row level security;
alter table public.seats enable row level security;
alter table public.lines enable row level security;
create policy look on public.rooms for select to authenticated
using (founder = auth.uid() or public.sits(id, 'guest'));
create policy found on public.rooms for insert to authenticated with check (founder = auth.uid());
create policy look on public.seats for select to authenticated
using (public.sits(room_id, 'guest'));
create policy sit on public.seats for insert to authenticated
with check (public.sits(room_id, 'host') or ({first}));
create policy talk on public.lines to authenticated using (public.sits(room_id, 'guest'));
"""
FIRST = "person_id = auth.uid() and rank = 'host'"


@pytest.mark.parametrize("proven", [False, True])
def test_a_seat_is_not_had_for_the_asking(judge: Judge, *, proven: bool) -> None:
    """No row says that the caller founded the room, and the new seat does not prove itself."""
    report = judge("empty", ROOMS.format(first=FIRST), proven=proven)
    (found,) = [f for f in report.findings if f.object == "public.seats"]
    assert (found.rule, found.commands) == ("cross_tenant", ("insert",))
    assert "stranger" in found.actors
    assert report.exit_code() == 5


def test_a_founder_may_take_the_first_seat(judge: Judge) -> None:
    first = f"{FIRST} and public.founded(room_id)"
    report = judge("empty", ROOMS.format(first=first), proven=True)
    assert [f.title for f in report.findings] == []
    assert [n.object for n in report.not_judged] == []


def test_whoever_signs_in_may_found_a_room(judge: Judge) -> None:
    """A new tenant is nobody's yet: that no check says whose it is leaves nothing unjudged."""
    anybody = "alter policy found on public.rooms with check (auth.uid() is not null);"
    first = f"{FIRST} and public.founded(room_id)"
    report = judge("empty", ROOMS.format(first=first) + anybody, proven=True)
    assert [n.object for n in report.not_judged] == []
