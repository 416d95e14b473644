"""Lists of tenants that all may see, and tokens whose owner says which tenant is meant."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

SHOWN = "create policy shown on public.organizations for select to {roles} using (true);"


@pytest.mark.parametrize(
    ("roles", "kind", "severity"),
    [("anon, authenticated", "exposure", "medium"), ("authenticated", "breach", "critical")],
)
def test_what_visitors_see_as_well_is_a_directory(
    judge: Judge, roles: str, kind: str, severity: str
) -> None:
    """Whoever writes that visitors see all tenants means a list; it is said all the same."""
    (found,) = judge("helper", SHOWN.format(roles=roles)).findings
    assert (found.object, found.kind, found.severity) == ("public.organizations", kind, severity)


CHOSEN = """
create table public.shops (id uuid primary key default gen_random_uuid(), name text);
create table public.guests (
    id uuid primary key default gen_random_uuid(), said text,
    shop_id uuid not null references public.shops (id), person_id uuid not null,
    unique (shop_id, person_id)
);
create function public.chosen() returns uuid language sql stable set search_path = '' as $$
    select nullif(auth.jwt() -> 'user_metadata' ->> 'shop_id', '')::uuid
$$;
alter table public.shops enable row level security;
alter table public.guests enable row level security;
create policy own on public.shops for select using (id in (
    select g.shop_id from public.guests g where g.person_id = auth.uid()));
create policy own on public.guests for select using ({mine} shop_id = public.chosen());
"""


def test_a_choice_among_ones_own_is_no_denial(judge: Judge) -> None:
    """The people of the cast have chosen their own shop, as the sign-up form lets them."""
    assert judge("empty", CHOSEN.format(mine="person_id = auth.uid() and")).findings == ()


def test_a_choice_that_decides_alone_is_found(judge: Judge) -> None:
    found = judge("empty", CHOSEN.format(mine="")).findings
    assert ("claims.forged", "public.guests") in {(f.rule, f.object) for f in found}
