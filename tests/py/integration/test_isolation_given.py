"""What one tenant gives to another, and tenants whose owner has no seat: meant, and its twins."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

GIVEN = """
create schema app;
grant usage on schema app to anon, authenticated;
create table public.teams (
    id uuid primary key default gen_random_uuid(), name text,
    owner_id uuid not null references auth.users (id)
);
create table public.seats (
    team_id uuid not null references public.teams (id) on delete cascade,
    person_id uuid not null references auth.users (id), primary key (team_id, person_id)
);
create table public.plans (
    id uuid primary key default gen_random_uuid(), said text,
    team_id uuid not null references public.teams (id) on delete cascade
);
create table public.given (
    id uuid primary key default gen_random_uuid(),
    plan_id uuid not null references public.plans (id) on delete cascade,
    team_id uuid not null references public.teams (id) on delete cascade,
    unique (plan_id, team_id)
);
create function public.of_team(team uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select 1 from public.seats s where s.team_id = team and s.person_id = auth.uid())
        or exists (select 1 from public.teams t where t.id = team and t.owner_id = auth.uid())
$$;
create function public.has_plan(plan uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select 1 from public.given g where {this} public.of_team(g.team_id))
$$;
create function app.team_of(plan uuid) returns uuid
language sql stable security definer set search_path = '' as $$
    select p.team_id from public.plans p where p.id = plan
$$;
alter table public.teams enable row level security;
alter table public.seats enable row level security;
alter table public.plans enable row level security;
alter table public.given enable row level security;
create policy look on public.teams for select using (public.of_team(id));
create policy look on public.seats for select using (public.of_team(team_id));
create policy own on public.plans using (public.of_team(team_id));
create policy look_at_given on public.plans for select using (public.has_plan(id));
create policy look on public.given for select
using (public.of_team(team_id) or public.of_team(app.team_of(plan_id)));
create policy give on public.given for insert with check ({giver});
"""
THIS, GIVER = "g.plan_id = plan and", "public.of_team(app.team_of(plan_id))"


def test_what_is_given_and_who_owns_is_meant(judge: Judge) -> None:
    report = judge("empty", GIVEN.format(this=THIS, giver=GIVER), proven=True)
    assert [f.title for f in report.findings if f.rule != "key.reference"] == []
    assert [n.object for n in report.not_judged] == []


@pytest.mark.parametrize(
    ("this", "giver", "found"),
    [("", GIVER, "public.plans"), (THIS, "auth.uid() is not null", "public.given")],
)
def test_what_nobody_gave_is_found(judge: Judge, this: str, giver: str, found: str) -> None:
    """A gift of anything opens everything; or anybody gives himself what is others'."""
    report = judge("empty", GIVEN.format(this=this, giver=giver), proven=True)
    assert found in {f.object for f in report.findings if f.is_breach}
