"""Accounts: who was deleted is out, and nobody's second factor is asked of another."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

HELPER = """
create or replace function private.is_member(org uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.memberships m
        where m.organization_id = org and m.user_id = (select auth.uid())
          and m.status = 'active' and m.deleted_at is null)
        {also}
$$;
"""
LIVE = "and exists (select 1 from auth.users u where {own} u.deleted_at is null)"
FACTOR = (
    "and ((select auth.jwt()) ->> 'aal' = 'aal2' or not exists ("
    "select 1 from auth.mfa_factors f where {own} f.status = 'verified'))"
)


@pytest.mark.parametrize(
    ("also", "rules"),
    [
        (LIVE.format(own="u.id = auth.uid() and"), []),
        (LIVE.format(own=""), ["lifecycle.account"]),
        (FACTOR.format(own="f.user_id = auth.uid() and"), []),
        (FACTOR.format(own=""), ["account.factor"]),
    ],
)
def test_policies_that_look_at_accounts_look_at_the_callers(
    judge: Judge, also: str, rules: list[str]
) -> None:
    assert [f.rule for f in judge("helper", HELPER.format(also=also)).findings] == rules


def test_a_table_of_users_and_a_mark_elsewhere_are_no_look_at_accounts(judge: Judge) -> None:
    """Policies ask for a user, and a membership may be deleted: nothing asks about the account."""
    report = judge(
        "helper",
        "create table public.users (id uuid primary key references auth.users (id), nick text);"
        "alter table public.users enable row level security;"
        "create policy own on public.users for select using (id = (select auth.uid()));"
        "alter policy select_member on public.deals using (private.is_member(organization_id)"
        " and exists (select 1 from public.users u where u.id = (select auth.uid())))",
    )
    assert "lifecycle.account" not in {f.rule for f in report.findings}


@pytest.mark.parametrize(("after", "silent"), [("now()", True), ("'2200-01-01'", False)])
def test_a_token_says_when_it_ends(judge: Judge, after: str, *, silent: bool) -> None:
    """Helpers refuse a token that is over, and everybody's token here says that it is not."""
    also = f"and ((select auth.jwt()) ->> 'exp')::bigint > extract(epoch from {after}::timestamptz)"
    assert judge("helper", HELPER.format(also=also)).safe is silent
