"""Codes that let somebody in: who may read them, and for whom they are presented."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

CODES = """
create table public.codes (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    email text not null, code text not null unique,
    is_used boolean not null default false, expires_at timestamptz not null
);
alter table public.codes enable row level security;
create policy look on public.codes for select using ({look});
create function public.enter(p_user_id uuid, p_code text) returns void
language plpgsql security definer set search_path = '' as $$
declare
    found public.codes;
begin
    select * into found from public.codes c
    where c.code = p_code and not c.is_used and c.expires_at > now() {also} for update;
    if found.id is null then
        raise exception 'no such code';
    end if;
    insert into public.memberships (organization_id, user_id, role, status)
    values (found.organization_id, p_user_id, 'member', 'active');
    update public.codes set is_used = true where id = found.id;
end $$;
revoke execute on function public.enter(uuid, text) from public, anon;
grant execute on function public.enter(uuid, text) to authenticated;
"""
OWNERS = "private.has_role(organization_id, '{owner}')"
LIVE = "not is_used and expires_at > now()"
MINE = "and p_user_id = auth.uid() and c.email = (auth.jwt() ->> 'email')"


@pytest.mark.parametrize(
    ("look", "also", "found"),
    [
        (OWNERS, MINE, []),
        (LIVE, MINE, [("cross_tenant", "public.codes")]),
        (OWNERS, "", [("invitation", "public.enter(uuid, text)")]),
    ],
)
def test_codes_are_for_whom_they_name(
    judge: Judge, look: str, also: str, found: list[tuple[str, str]]
) -> None:
    report = judge("helper", CODES.format(look=look, also=also))
    assert [(f.rule, f.object) for f in report.findings] == found
