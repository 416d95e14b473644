"""Rows for tables of every kind: types with forms of their own, and checks over several columns."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

from harmonia_py.engines import Database
from harmonia_py.isolation import runner

COLUMNS = {
    "numeric with few digits": "a numeric(3, 2) not null, b numeric(2) not null",
    "domain over a numeric": "a public.small not null",
    "network addresses": "a macaddr not null, b inet not null, c cidr not null",
    "shapes": "a point not null, b box not null, c circle not null, d line not null, e path",
    "bits": "a bit(8) not null, b bit varying(5) not null, c bit not null",
    "money and places": "a money not null, b pg_lsn not null, c jsonpath not null",
    "a record": "a public.pair, b xml",
    "keys of a document": "a jsonb not null check (jsonb_typeof(a) = 'object' and a ? 'kind'),"
    " b jsonb not null check (b ->> 'size' in ('small', 'large'))",
    "times of a day": "a time not null, b time not null, check (a < b)",
    "dates in order": "a date not null, b date not null, check (b > a), check (a <= current_date)",
    "a key checked late": "a integer not null unique deferrable initially deferred",
    "one of several references": "a bigint references public.teams, b bigint references"
    " public.teams, check (num_nonnulls(a, b) = 1)",
    "two different people": "a uuid not null references auth.users, b uuid not null references"
    " auth.users, check (a <> b)",
}
AROUND = """
create type public.pair as (one text, two text);
create domain public.small as numeric(4, 2) check (value > 0);
create table public.teams (id bigint generated always as identity primary key, said text);
create table public.seats (team_id bigint not null references public.teams,
    user_id uuid not null references auth.users, primary key (team_id, user_id));
create table public.t (id bigint generated always as identity primary key,
    team_id bigint not null references public.teams, {columns});
create function public.mine() returns setof bigint language sql stable security definer
set search_path = '' as $$ select team_id from public.seats where user_id = auth.uid() $$;
alter table public.teams enable row level security;
alter table public.seats enable row level security;
alter table public.t enable row level security;
create policy p on public.teams for select using (id in (select public.mine()));
create policy p on public.seats for select using (team_id in (select public.mine()));
create policy p on public.t using (team_id in (select public.mine()));
"""


@pytest.mark.parametrize("name", COLUMNS)
def test_both_tenants_get_rows(plain_database: Database, name: str) -> None:
    with plain_database.connect_admin() as conn:
        conn.execute(AROUND.format(columns=COLUMNS[name]).encode())
        with runner.laboratory(conn) as lab:
            assert lab.fixtures.errors == {}
            assert {r.owner for r in lab.fixtures.rows["public.t"]} == {"A", "B"}
        conn.rollback()


def test_what_no_row_can_satisfy_is_said(plain_database: Database) -> None:
    with plain_database.connect_admin() as conn:
        columns = "a integer not null check (a > 5 and a < 5)"
        conn.execute(AROUND.format(columns=columns).encode())
        with runner.laboratory(conn) as lab:
            assert list(lab.fixtures.errors) == ["public.t"]
        conn.rollback()


ASSISTANTS = """
create table public.offices (id uuid primary key default gen_random_uuid(), said text);
create table public.staff (
    id uuid primary key references auth.users (id), job text not null default 'clerk'
    check (job in ('chief', 'clerk')), office_id uuid references public.offices (id),
    helps {type} not null default '{{}}'
);
create table public.letters (
    id uuid primary key default gen_random_uuid(), said text,
    office_id uuid not null references public.offices (id)
);
create function public.office() returns uuid language sql stable security definer
set search_path = '' as $$ select office_id from public.staff where id = auth.uid() $$;
create function public.job() returns text language sql stable security definer
set search_path = '' as $$ select job from public.staff where id = auth.uid() $$;
alter table public.offices enable row level security;
alter table public.staff enable row level security;
alter table public.letters enable row level security;
create policy p on public.offices for select using (id = public.office());
create policy p on public.staff for select using (office_id = public.office());
create policy p on public.letters using (office_id = public.office() and public.job() = 'chief');
"""


@pytest.mark.parametrize(("kind", "powers"), [("uuid[]", False), ("text[]", True)])
def test_only_a_list_of_texts_may_hold_permissions(
    plain_database: Database, kind: str, *, powers: bool
) -> None:
    """A list of ids says whom somebody helps; a word that policies ask for is no id."""
    with plain_database.connect_admin() as conn:
        conn.execute(ASSISTANTS.format(type=kind).encode())
        with runner.laboratory(conn) as lab:
            assert lab.fixtures.errors == {}
            first = lab.fixtures.of("public.staff", "A")[0]
            assert ("chief" in first.values["helps"]) is powers
        conn.rollback()


def test_a_person_without_rows_on_the_other_side_is_no_error(judge: Judge) -> None:
    """Pairs of rows name two sides: where only one of them is there, the run goes on."""
    pairs = """
    create table public.links (
        id uuid primary key default gen_random_uuid(),
        asked_by uuid references public.people (id),
        one uuid not null references public.things (id),
        two uuid not null references public.things (id), unique (one, two)
    );
    """
    around = """
    create table public.things (id uuid primary key default gen_random_uuid(), said text);
    create table public.people (id uuid primary key references auth.users (id), said text);
    """
    report = judge("empty", around + pairs)
    assert report.exit_code() == 5
