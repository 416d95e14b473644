"""What a seat is worth and until when: numbers, lists of roles, tokens that name several tenants.

Each project is sound and silent, with all of it judged; each slip beside it is found.
"""

from __future__ import annotations

import pytest
from fix_isolation import Judge

_OPEN = """
create schema app;
grant usage on schema app to authenticated;
create table public.halls (id uuid primary key default gen_random_uuid(), said text not null);
"""
_PLAYS = """
create table public.plays (
    id uuid primary key default gen_random_uuid(),
    hall_id uuid not null references public.halls (id), title text not null
);
alter table public.halls enable row level security;
alter table public.crew enable row level security;
alter table public.plays enable row level security;
"""

# Who leaves says so before: the time may still be to come.
_LEAVING_IN = """create {or_} function app.in_hall(h uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select from public.crew c where c.hall_id = h and c.user_id = auth.uid() {still})
$$;"""
_LEAVING = f"""{_OPEN}
create table public.crew (
    hall_id uuid not null references public.halls (id),
    user_id uuid not null references auth.users (id), left_on date,
    primary key (hall_id, user_id)
);
{_PLAYS}
{_LEAVING_IN.format(or_="", still="and (c.left_on is null or c.left_on > current_date)")}
create policy h on public.halls for select to authenticated using (app.in_hall(id));
create policy c on public.crew for select to authenticated using (app.in_hall(hall_id));
create policy p on public.plays to authenticated using (app.in_hall(hall_id));
"""

# How much somebody may do is a number.
_LEVELS = f"""{_OPEN}
create table public.crew (
    hall_id uuid not null references public.halls (id),
    user_id uuid not null references auth.users (id),
    level smallint not null default 1 {{check}}, primary key (hall_id, user_id)
);
{_PLAYS}
create function app.level_in(h uuid) returns smallint
language sql stable security definer set search_path = '' as $$
    select coalesce((select c.level from public.crew c
                     where c.hall_id = h and c.user_id = auth.uid()), 0)::smallint
$$;
create policy h on public.halls for select to authenticated using (app.level_in(id) >= 1);
create policy c on public.crew for select to authenticated using (app.level_in(hall_id) >= 1);
create policy g on public.crew for update to authenticated using (app.level_in(hall_id) >= 3);
create policy r on public.plays for select to authenticated using (app.level_in(hall_id) >= 1);
create policy w on public.plays for insert to authenticated with check (app.level_in(hall_id) > 1);
create policy d on public.plays for delete to authenticated using (app.level_in(hall_id) = 3);
"""
_RANGE = _LEVELS.format(check="check (level between 1 and 3)")

# The roles are rows, and what they may do is too.
_MAY = """create {or_} function app.may(what text, h uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select from public.crew c join public.job_powers p on p.job_id = c.job_id
        where c.hall_id = h and c.user_id = auth.uid() {asked}
    )
$$;"""
_JOBS = f"""{_OPEN}
create table public.jobs (id bigint generated always as identity primary key, name text not null);
create table public.powers (id text primary key);
create table public.job_powers (
    job_id bigint references public.jobs (id), power_id text references public.powers (id),
    primary key (job_id, power_id)
);
insert into public.jobs (name) values ('usher'), ('manager');
insert into public.powers values ('see'), ('stage'), ('hire');
insert into public.job_powers values (1, 'see'), (2, 'see'), (2, 'stage'), (2, 'hire');
create table public.crew (
    id bigint generated always as identity primary key,
    hall_id uuid not null references public.halls (id),
    user_id uuid not null references auth.users (id),
    job_id bigint not null references public.jobs (id), unique (hall_id, user_id)
);
{_PLAYS}
alter table public.jobs enable row level security;
alter table public.powers enable row level security;
alter table public.job_powers enable row level security;
{_MAY.format(or_="", asked="and p.power_id = what")}
create policy h on public.halls for select to authenticated using (app.may('see', id));
create policy c on public.crew for select to authenticated using (app.may('see', hall_id));
create policy u on public.crew for update to authenticated using (app.may('hire', hall_id));
create policy r on public.plays for select to authenticated using (app.may('see', hall_id));
create policy w on public.plays for insert to authenticated with check (app.may('stage', hall_id));
"""

# The token lists the tenants, and a seat must still be there.
_TOKEN = f"""{_OPEN}
create table public.crew (
    hall_id uuid not null references public.halls (id),
    user_id uuid not null references auth.users (id), left_at timestamptz,
    primary key (hall_id, user_id)
);
{_PLAYS}
create function app.halls() returns uuid[]
language sql stable security definer set search_path = '' as $$
    select coalesce(array_agg(c.hall_id), '{{}}') from public.crew c
    where c.user_id = auth.uid() and c.left_at is null and c.hall_id::text in (
        select jsonb_array_elements_text(
            case jsonb_typeof(auth.jwt() -> 'app_metadata' -> 'halls')
                when 'array' then auth.jwt() -> 'app_metadata' -> 'halls' else '[]' end))
$$;
create policy h on public.halls for select to authenticated using (id = any (app.halls()));
create policy c on public.crew for select to authenticated using (hall_id = any (app.halls()));
create policy p on public.plays to authenticated using (hall_id = any (app.halls()));
"""

# What hangs on a row is open while a flag of the row is set.
_FLAG = f"""{_OPEN}
create table public.crew (
    hall_id uuid not null references public.halls (id),
    user_id uuid not null references auth.users (id), primary key (hall_id, user_id)
);
{_PLAYS}
alter table public.plays add column announced boolean not null default false;
create table public.wishes (
    id uuid primary key default gen_random_uuid(), said text not null,
    play_id uuid not null references public.plays (id)
);
alter table public.wishes enable row level security;
create function app.in_hall(h uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select from public.crew c where c.hall_id = h and c.user_id = auth.uid())
$$;
create policy h on public.halls for select to authenticated using (app.in_hall(id));
create policy c on public.crew for select to authenticated using (app.in_hall(hall_id));
create policy p on public.plays for select to authenticated using (app.in_hall(hall_id));
create policy w on public.wishes to authenticated using (exists (
    select from public.plays p where p.id = play_id and p.announced and app.in_hall(p.hall_id)
));
"""

# A seat lists what its holder may do.
_MAY_DO = """create {or_} function app.does(h uuid, what text) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select from public.crew c where c.hall_id = h and c.user_id = auth.uid() {asked}
    )
$$;"""
_DUTIES = f"""{_OPEN}
create table public.crew (
    hall_id uuid not null references public.halls (id),
    user_id uuid not null references auth.users (id), duties text[] not null default '{{}}',
    primary key (hall_id, user_id)
);
{_PLAYS}
{_MAY_DO.format(or_="", asked="and what = any (c.duties)")}
create function app.in_hall(h uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select from public.crew c where c.hall_id = h and c.user_id = auth.uid())
$$;
create policy h on public.halls for select to authenticated using (app.in_hall(id));
create policy c on public.crew for select to authenticated using (app.in_hall(hall_id));
create policy u on public.crew for update to authenticated using (app.does(hall_id, 'hire'));
create policy p on public.plays for select to authenticated using (app.in_hall(hall_id));
create policy w on public.plays for insert to authenticated
with check (app.does(hall_id, 'stage'));
"""

PROJECTS = {
    "a seat lists duties": _DUTIES,
    "who leaves later is still there": _LEAVING,
    "a level out of three": _RANGE,
    "a level without a range": _LEVELS.format(check=""),
    "jobs are rows": _JOBS,
    "a token that lists tenants": _TOKEN,
    "a flag of what it belongs to": _FLAG,
}


@pytest.mark.parametrize("name", PROJECTS)
def test_what_is_sound_is_silent_and_all_of_it_judged(judge: Judge, name: str) -> None:
    report = judge("empty", PROJECTS[name], proven=True)
    assert [(f.rule, f.title) for f in report.findings] == []
    assert [n for n in report.not_judged if "temporary" not in n.object] == []
    controls = {c.table: set(c.controls) for c in report.coverage}
    assert "select" in controls["public.plays"]


LEAKS = {
    "everybody lists their own duties": (
        f"{_DUTIES} alter policy u on public.crew using (user_id = auth.uid());",
        "escalation.self",
        "public.crew",
    ),
    "no duty is asked for": (
        _DUTIES + _MAY_DO.format(or_="or replace", asked=""),
        "helper.inert",
        "app.does(uuid, text)",
    ),
    "who left stays": (
        _LEAVING + _LEAVING_IN.format(or_="or replace", still=""),
        "lifecycle.ignored",
        "public.crew.left_on",
    ),
    "the highest level anywhere": (
        f"{_RANGE} alter policy d on public.plays using (exists (select from public.crew c"
        " where c.user_id = auth.uid() and c.level = 3));",
        "cross_tenant",
        "public.plays",
    ),
    "everybody sets a level": (
        f"{_RANGE} alter policy g on public.crew using (app.level_in(hall_id) >= 1);",
        "escalation.self",
        "public.crew",
    ),
    "any job is enough": (
        _JOBS + _MAY.format(or_="or replace", asked=""),
        "helper.inert",
        "app.may(text, uuid)",
    ),
    "those who may see may hire": (
        f"{_JOBS} alter policy u on public.crew using (app.may('see', hall_id));",
        "escalation.self",
        "public.crew",
    ),
    "a token outlives the seat": (
        _TOKEN.replace("and c.left_at is null", ""),
        "lifecycle.ignored",
        "public.crew.left_at",
    ),
    "an announced play is everybody's": (
        f"{_FLAG} alter policy p on public.plays using (announced or app.in_hall(hall_id));"
        "alter policy w on public.wishes using (exists (select from public.plays p"
        " where p.id = play_id and p.announced));",
        "cross_tenant",
        "public.wishes",
    ),
    "a word users write themselves": (
        _FLAG.replace(
            "c.user_id = auth.uid())",
            "c.user_id = auth.uid()) or auth.jwt() -> 'user_metadata' ->> 'house' = 'true'",
        ),
        "claims.forged",
        "public.plays",
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_the_slip_beside_it_is_found(judge: Judge, name: str) -> None:
    change, rule, named = LEAKS[name]
    report = judge("empty", change, proven=True)
    found = [f for f in report.findings if f.rule == rule]
    assert found, [(f.rule, f.object) for f in report.findings]
    assert any(named in f"{f.object} {f.members} {f.why} {f.evidence}" for f in found), found


@pytest.mark.parametrize(("column", "breach"), [("hall_id", True), ("shown_at", False)])
def test_what_is_never_null_publishes_nothing(
    judge: Judge,
    column: str,
    breach: bool,
) -> None:
    """A time that says since when a row is public is somebody's choice; a key is nobody's."""
    change = f"""{_FLAG} alter table public.plays add column shown_at timestamptz;
    create policy o on public.plays for select to authenticated using ({column} is not null);"""
    report = judge("empty", change)
    assert ("public.plays" in {f.object for f in report.findings if f.kind == "breach"}) == breach
