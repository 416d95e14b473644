"""A tree of tenants: a parent's people reach down, and nobody reaches a sibling."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

_TREE = """
create schema app;
grant usage on schema app to authenticated;
create table public.branches (
    id uuid primary key default gen_random_uuid(), said text not null,
    above uuid references public.branches (id)
);
create table public.staff (
    branch_id uuid not null references public.branches (id),
    user_id uuid not null references auth.users (id), primary key (branch_id, user_id)
);
create table public.files (
    id uuid primary key default gen_random_uuid(), title text not null,
    branch_id uuid not null references public.branches (id)
);
create function app.line(b uuid) returns setof uuid
language sql stable security definer set search_path = '' as $$
    with recursive up as (
        select w.id, w.above from public.branches w where w.id = b
        union select p.id, p.above from public.branches p join up on {turn}
    )
    select id from up
$$;
create function app.reaches(b uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select from public.staff s where s.user_id = auth.uid()
                   and s.branch_id in (select app.line(b)))
$$;
alter table public.branches enable row level security;
alter table public.staff enable row level security;
alter table public.files enable row level security;
create policy b on public.branches for select to authenticated using (app.reaches(id));
create policy s on public.staff for select to authenticated using (app.reaches(branch_id));
create policy f on public.files to authenticated using (app.reaches(branch_id));
"""


def test_whoever_reaches_down_is_silent(judge: Judge) -> None:
    report = judge("empty", _TREE.format(turn="p.id = up.above"))
    assert [(f.rule, f.title) for f in report.findings] == []


@pytest.mark.parametrize(
    "turn", ["p.id = up.above or p.above = up.id", "up.above in (p.id, p.above)"]
)
def test_a_walk_that_turns_round_is_found(judge: Judge, turn: str) -> None:
    report = judge("empty", _TREE.format(turn=turn))
    (found,) = [f for f in report.findings if f.rule == "cross_tenant.siblings"]
    assert "public.files" in found.evidence[0]
    assert "app.line(uuid)" in found.fix
