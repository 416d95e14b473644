"""Every channel can fail: a planted leak is found, and the plain project is clean."""

from __future__ import annotations

import pytest
from fix_isolation import IDIOMS, Judge

MEMBER = "private.is_member(organization_id)"

LEAKS = {
    "rls off": ("helper", "alter table public.deals disable row level security", "rls_off"),
    "using true": (
        "helper",
        "alter policy select_member on public.contacts using (true)",
        "cross_tenant",
    ),
    "anon is let in": (
        "helper",
        "alter policy select_member on public.deals to public using (auth.uid() is null)",
        "cross_tenant",
    ),
    "insert anywhere": (
        "helper",
        "alter policy insert_member on public.deals with check (true)",
        "cross_tenant",
    ),
    "blind delete only": (
        "helper",
        "alter policy delete_admin on public.contacts using (true)",
        "cross_tenant",
    ),
    "blind update only": (
        "helper",
        "alter policy update_member on public.deals using (true) with check (true)",
        "cross_tenant",
    ),
    "move out": (
        "helper",
        "alter policy update_member on public.deals with check (true)",
        "cross_tenant",
    ),
    "steal in": (
        "helper",
        "alter policy update_member on public.deals using (true)",
        "cross_tenant",
    ),
    "steal in under one's name": (
        "helper",
        "alter policy update_author on public.notes using (true)",
        "cross_tenant",
    ),
    "helper forgets the tenant": (
        "helper",
        """create or replace function private.is_member(org uuid) returns boolean
        language sql stable security definer set search_path = '' as $$ select exists (
        select 1 from public.memberships m where m.user_id = auth.uid()
        and m.status = 'active' and m.deleted_at is null) $$""",
        "helper",
    ),
    "role of any tenant": (
        "helper",
        """create or replace function private.has_role(org uuid, wanted public.member_role[])
        returns boolean language sql stable security definer set search_path = '' as $$
        select private.is_member(org) and exists (select 1 from public.memberships m
        where m.user_id = auth.uid() and m.status = 'active' and m.role = any (wanted)) $$""",
        "role.other_tenant",
    ),
    "suspended members": (
        "helper",
        """create or replace function private.is_member(org uuid) returns boolean
        language sql stable security definer set search_path = '' as $$ select exists (
        select 1 from public.memberships m where m.organization_id = org
        and m.user_id = auth.uid() and m.deleted_at is null) $$""",
        "lifecycle.access",
    ),
    "deleted memberships": (
        "helper",
        """create or replace function private.is_member(org uuid) returns boolean
        language sql stable security definer set search_path = '' as $$ select exists (
        select 1 from public.memberships m where m.organization_id = org
        and m.user_id = auth.uid() and m.status = 'active') $$""",
        "lifecycle.access",
    ),
    "authors stay": (
        "helper",
        "create policy stay on public.notes for select to authenticated"
        " using (author_id = auth.uid())",
        "lifecycle.own_rows",
    ),
    "owner's-rights view": (
        "helper",
        "alter view public.open_deals set (security_invoker = false)",
        "view",
    ),
    "aggregate view": (
        "helper",
        "create view public.totals as select count(*) as deals from public.deals",
        "view",
    ),
    "materialized view": (
        "helper",
        "create materialized view public.mat as select title from public.deals;"
        " grant select on public.mat to authenticated",
        "view",
    ),
    "function without a check": (
        "helper",
        """create or replace function public.org_stats(p_organization_id uuid)
        returns table (contacts bigint, deals bigint) language sql stable security definer
        set search_path = '' as $$ select
        (select count(*) from public.contacts c where c.organization_id = p_organization_id),
        (select count(*) from public.deals d where d.organization_id = p_organization_id) $$""",
        "rpc",
    ),
    "function returns rows": (
        "helper",
        """create function public.find_contact(p_email text) returns setof public.contacts
        language sql stable security definer set search_path = '' as $$
        select * from public.contacts where email like '%' || p_email || '%' $$;
        grant execute on function public.find_contact(text) to authenticated""",
        "rpc",
    ),
    "function writes": (
        "helper",
        """create function public.rename(p_contact_id uuid, p_name text) returns void
        language sql security definer set search_path = '' as $$
        update public.contacts set full_name = p_name where id = p_contact_id $$;
        grant execute on function public.rename(uuid, text) to authenticated""",
        "rpc",
    ),
    "function tells in a notice": (
        "helper",
        """create function public.peek() returns int language plpgsql security definer
        set search_path = '' as $$ declare v text; begin
        select string_agg(title, ',') into v from public.deals;
        raise exception 'not for you: %', v; end $$;
        grant execute on function public.peek() to authenticated""",
        "rpc",
    ),
    "foreign key oracle": (
        "helper",
        "alter table public.contacts add unique (id);"
        " alter table public.deals drop constraint deals_organization_id_contact_id_fkey,"
        " add foreign key (contact_id) references public.contacts (id)",
        "key.reference",
    ),
    "unique oracle": (
        "helper",
        "alter table public.contacts add unique (email)",
        "key.unique",
    ),
    "truncate": (
        "helper",
        "revoke truncate, trigger, references on all tables in schema public from authenticated,"
        " anon; alter default privileges for role postgres in schema public revoke truncate on"
        " tables from authenticated; grant truncate on public.deals to authenticated",
        "grant.beyond_rls",
    ),
    "published without policies": (
        "helper",
        "alter table public.deals disable row level security;"
        " alter publication supabase_realtime add table public.deals",
        "rls_off",
    ),
    "everybody's files": (
        "helper",
        "alter policy files_member on storage.objects using (bucket_id = 'files')",
        "storage",
    ),
    "self-made membership": (
        "helper",
        "alter policy insert_owner on public.memberships with check (user_id = auth.uid())",
        "cross_tenant",
    ),
    "self-promotion": (
        "helper",
        "create policy self on public.memberships for update to authenticated"
        " using (user_id = auth.uid() and private.is_member(organization_id))"
        " with check (user_id = auth.uid() and private.is_member(organization_id))",
        "escalation.self",
    ),
    "profile flag": (
        "helper",
        """alter table public.profiles add column is_staff boolean not null default false;
        create policy staff on public.deals for select to authenticated using (exists (
        select 1 from public.profiles p where p.id = auth.uid() and p.is_staff))""",
        "escalation.profile",
    ),
    "user metadata": (
        "helper",
        """create policy meta on public.deals for select to authenticated
        using (organization_id::text
        = (select auth.jwt()) -> 'user_metadata' ->> 'organization_id')""",
        "claims.forged",
    ),
    "request header": (
        "helper",
        """create policy head on public.deals for select to authenticated
        using (organization_id::text
        = current_setting('request.headers', true)::json ->> 'x-org')""",
        "claims.forged",
    ),
    "temporary table": (
        "helper",
        """create or replace function private.is_member(org uuid) returns boolean
        language plpgsql stable security definer set search_path = public as $$ begin
        return exists (select 1 from memberships m where m.organization_id = org
        and m.user_id = auth.uid() and m.status = 'active' and m.deleted_at is null); end $$""",
        "shadow",
    ),
    "plans can be written": (
        "helper",
        "create policy w on public.plans for update to authenticated using (true)",
        "shared.write",
    ),
    "realtime topic": (
        "helper",
        """create policy listen on realtime.messages for select to authenticated
        using (realtime.topic() like 'org:%')""",
        "realtime",
    ),
    "membership subquery without a user": (
        "memberships_in",
        """create or replace function public.current_accounts() returns setof bigint
        language sql stable security definer set search_path = '' as $$
        select m.account_id from public.account_users m where m.removed_at is null $$""",
        "helper",
    ),
    "child through the wrong column": (
        "memberships_in",
        "alter policy t on public.tasks using (project_id is not null)",
        "cross_tenant",
    ),
    "claim not compared": (
        "claims",
        "alter policy i on public.invoices using (((select auth.jwt()) -> 'app_metadata' ->>"
        " 'workspace_id') is not null)",
        "cross_tenant",
    ),
    "claim of the user": (
        "claims",
        "alter policy i on public.invoices using (workspace_id = coalesce((select auth.jwt()) ->"
        " 'user_metadata' ->> 'workspace_id', (select auth.jwt()) -> 'app_metadata' ->>"
        " 'workspace_id')::uuid)",
        "claims.forged",
    ),
    "owner or nobody": (
        "owners",
        "alter policy own on public.lists using (auth.uid() = user_id or auth.uid() is null)",
        "cross_tenant",
    ),
    "items of every list": (
        "owners",
        "alter policy own on public.items using (exists (select 1 from public.lists l"
        " where l.id = list_id)) ; alter policy own on public.lists using (true)",
        "cross_tenant",
    ),
    "team recursion runs wild": (
        "teams",
        """create or replace function public.my_teams() returns setof uuid language sql stable
        security definer set search_path = '' as $$ select id from public.teams $$""",
        "cross_tenant",
    ),
    "one's own organization": (
        "teams",
        "grant update (org_id) on public.people to authenticated",
        "cross_tenant",
    ),
}

DENIED = {
    "status is misspelt": (
        "helper",
        """create or replace function private.is_member(org uuid) returns boolean
        language sql stable security definer set search_path = '' as $$ select exists (
        select 1 from public.memberships m where m.organization_id = org
        and m.user_id = auth.uid() and m.status = 'Active') $$""",
    ),
    "helper may not be called": (
        "helper",
        "revoke execute on function private.is_member(uuid) from public, authenticated",
    ),
    "restrictive and never true": (
        "helper",
        "create policy never on public.deals as restrictive for select to authenticated"
        " using (organization_id is null)",
    ),
    "recursion": (
        "memberships_in",
        "alter policy m on public.account_users using (account_id in"
        " (select u.account_id from public.account_users u where u.member_id = auth.uid()))",
    ),
    "one role left out": (
        "helper",
        "alter policy insert_member on public.contacts with check"
        " (private.has_role(organization_id, '{owner,member,viewer}'))",
    ),
}

HARMLESS = {
    "wrapped in a sub-select": (
        "helper",
        f"alter policy select_member on public.deals using ((select {MEMBER}))",
    ),
    "as an array": (
        "helper",
        "alter policy select_member on public.deals using (organization_id = any (array("
        "select m.organization_id from public.memberships m where m.user_id = auth.uid()"
        " and m.status = 'active' and m.deleted_at is null)))",
    ),
    "a restrictive policy more": (
        "helper",
        f"create policy again on public.deals as restrictive for all to authenticated"
        f" using ({MEMBER}) with check ({MEMBER})",
    ),
    "an index and a comment": (
        "helper",
        "create index on public.deals (organization_id, stage);"
        " comment on table public.deals is 'x'",
    ),
    "another helper name": ("helper", "alter function private.is_member(uuid) rename to belongs"),
    "published under policies": (
        "helper",
        "alter publication supabase_realtime add table public.contacts",
    ),
}


# Whose rows are for people a second table lists: it says so, and judges the rows below them.
NOT_JUDGED = {"stalls": {"public.talks"}}


@pytest.mark.parametrize("idiom", IDIOMS)
def test_a_correct_project_has_no_finding(judge: Judge, idiom: str) -> None:
    report = judge(idiom)
    assert [f.title for f in report.findings] == []
    assert [e.title for e in report.errors] == []
    assert report.exit_code() == 0
    left = {c.table for c in report.coverage if c.status not in ("tested", "locked")}
    assert left == NOT_JUDGED.get(idiom, set())


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found(judge: Judge, name: str) -> None:
    idiom, change, rule = LEAKS[name]
    report = judge(idiom, change)
    assert rule in {f.rule for f in report.findings}
    assert len(report.findings) <= 8
    assert report.exit_code() == 5


@pytest.mark.parametrize("name", DENIED)
def test_denied_legitimate_access_is_found(judge: Judge, name: str) -> None:
    idiom, change = DENIED[name]
    report = judge(idiom, change)
    assert any(f.kind == "denied" for f in report.findings)
    assert not any(f.is_breach for f in report.findings)
    assert report.exit_code() == 3


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_change_is_no_finding(judge: Judge, name: str) -> None:
    idiom, change = HARMLESS[name]
    report = judge(idiom, change)
    assert [f.title for f in report.findings] == []


def test_unique_keys_that_span_tenants_are_read_at_once(judge: Judge) -> None:
    """One cause, one finding: its members say which tables."""
    keys = "alter table public.contacts add unique (email); alter table public.deals add unique"
    report = judge("helper", f"{keys} (title);")
    assert [(f.rule, set(f.members)) for f in report.findings] == [
        ("key.unique", {"public.contacts", "public.deals"})
    ]
