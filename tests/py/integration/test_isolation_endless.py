"""Policies that ask each other without end: what they hide, and what they are called."""

from __future__ import annotations

from fix_isolation import Judge

PEOPLE = """
create type public.job as enum ('pupil', 'teacher');
create table public.people (
    id uuid primary key references auth.users (id), job public.job not null default 'pupil',
    nickname text
);
create table public.courses (
    id uuid primary key default gen_random_uuid(),
    led_by uuid not null references public.people (id)
);
create table public.places (
    course_id uuid references public.courses (id), person_id uuid references public.people (id),
    primary key (course_id, person_id)
);
create table public.marks (
    id uuid primary key default gen_random_uuid(), mark integer,
    person_id uuid not null references public.people (id)
);
create function public.teaches() returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select 1 from public.people p where p.id = auth.uid() and p.job = 'teacher')
$$;
alter table public.people enable row level security;
alter table public.courses enable row level security;
alter table public.places enable row level security;
alter table public.marks enable row level security;
create policy own on public.people for select using (id = auth.uid() or public.teaches());
create policy own on public.marks for select using (person_id = auth.uid() or public.teaches());
create policy look on public.courses for select using (
    public.teaches() or id in (select course_id from public.places where person_id = auth.uid()));
create policy look on public.places for select using (
    person_id = auth.uid() {back});
"""
BACK = "or course_id in (select id from public.courses where led_by = auth.uid())"
RENAME = "create policy change on public.people for update using (id = auth.uid());"


def test_policies_without_end_hide_no_escalation(judge: Judge) -> None:
    """Two tables answer nobody; that one makes oneself a teacher shows in the others."""
    report = judge("empty", PEOPLE.format(back=BACK) + RENAME)
    found = {f.rule: f for f in report.findings}
    assert found["escalation.profile"].object == "public.people"
    assert set(found["denied.recursion"].members) == {"public.courses", "public.places"}
    assert "denied.everybody" not in found


def test_who_may_not_write_his_job_raises_nobody(judge: Judge) -> None:
    safe = RENAME + "revoke update on public.people from authenticated;"
    safe += "grant update (nickname) on public.people to authenticated;"
    report = judge("empty", PEOPLE.format(back="") + safe)
    assert [f.rule for f in report.findings if f.rule != "lifecycle.own_rows"] == []


HELPER = """
create table public.flats (id uuid primary key default gen_random_uuid(), name text);
create table public.mates (
    flat_id uuid not null references public.flats (id) on delete cascade,
    person_id uuid not null references auth.users (id), primary key (flat_id, person_id)
);
create table public.chores (
    id uuid primary key default gen_random_uuid(), said text,
    flat_id uuid not null references public.flats (id) on delete cascade
);
create function public.lives_in(flat uuid) returns boolean language sql stable {rights}
set search_path = '' as $$
    select exists (select 1 from public.mates m where m.flat_id = flat and m.person_id = auth.uid())
$$;
alter table public.flats enable row level security;
alter table public.mates enable row level security;
alter table public.chores enable row level security;
create policy p on public.flats for select using (public.lives_in(id));
create policy p on public.mates for select using (public.lives_in(flat_id));
create policy p on public.chores using (public.lives_in(flat_id));
"""


def test_a_helper_that_its_own_policy_asks_never_ends(judge: Judge) -> None:
    (found,) = judge("empty", HELPER.format(rights="")).findings
    assert found.rule == "denied.recursion"
    assert set(found.members) == {"public.flats", "public.mates", "public.chores"}


def test_with_rights_of_its_own_it_ends(judge: Judge) -> None:
    assert judge("empty", HELPER.format(rights="security definer")).findings == ()


INNER = """
create table public.choirs (id uuid primary key default gen_random_uuid(), name text);
create table public.singers (
    id uuid primary key default gen_random_uuid(), voice text check (voice in ('lead', 'back')),
    choir_id uuid not null references public.choirs (id),
    user_id uuid not null references auth.users (id), unique (choir_id, user_id)
);
create function public.leads() returns boolean language sql stable security definer
set search_path = '' as $$ select exists (
    select 1 from public.singers s where s.user_id = auth.uid() and s.voice = 'lead') $$;
alter table public.choirs enable row level security;
alter table public.singers enable row level security;
create policy own on public.singers for select using (user_id = auth.uid());
create policy lead on public.singers using ({lead});
"""


def test_what_recurses_is_named_once(judge: Judge) -> None:
    """Its policy would let a leader into every choir; as long as it recurses, nobody gets there."""
    lead = "exists (select 1 from public.singers s where s.choir_id = choir_id"
    lead += " and s.user_id = auth.uid() and s.voice = 'lead')"
    report = judge("empty", INNER.format(lead=lead))
    assert [f.rule for f in report.findings] == ["denied.recursion"]
    assert report.not_judged == ()


def test_what_ends_is_judged_by_what_it_says(judge: Judge) -> None:
    report = judge("empty", INNER.format(lead="public.leads()"))
    found = {f.rule: f.severity for f in report.findings}
    assert found["cross_tenant"] == "critical"
