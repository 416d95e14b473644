"""Two-sided projects: public offers, strangers who buy, people who talk, a shop in the token."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

from harmonia_py.isolation.model import TableModel, TenancyModel


def test_what_is_sound_is_silent(judge: Judge) -> None:
    """The token's shop is the tenant; who is listed for a talk is no member of anything."""
    report = judge("stalls")
    assert [f.title for f in report.findings] == []
    assert report.errors == ()
    assert report.model["tenant_table"] == "public.shops"
    assert report.model["kinds"]["public.wishes"] == "user"
    controls = {c.table: set(c.controls) for c in report.coverage}
    assert {"select", "insert", "update", "delete"} <= controls["public.sales"]
    assert {"select", "insert"} <= controls["public.lines"]
    assert [n.object for n in report.not_judged] == ["public.talks"]


LEAKS = {
    "drafts are seen": (
        "drop policy offers_public on public.offers;"
        "create policy offers_public on public.offers for select using (state <> 'archived')",
        "rows.published",
        "public.offers",
    ),
    "a search finds drafts": (
        "create or replace function public.find_offers(q text) returns setof public.offers"
        " language sql stable security definer set search_path = '' as $$"
        " select * from public.offers where title ilike '%' || q || '%' $$",
        "rpc",
        "public.find_offers(text)",
    ),
    "any shop of the token's": (
        "drop policy sales_own on public.sales; create policy sales_own on public.sales"
        " for select to authenticated using ((select public.my_shop()) is not null)",
        "cross_tenant",
        "public.sales",
    ),
    "the user says which shop": (
        "create or replace function public.my_shop() returns uuid language sql stable"
        " set search_path = '' as $$ select coalesce(auth.jwt() -> 'app_metadata' ->> 'shop',"
        " auth.jwt() -> 'user_metadata' ->> 'shop')::uuid $$",
        "claims.forged",
        "public.my_shop()",
    ),
    "who left still reads": (
        "create or replace function public.talks_in(talk uuid) returns boolean language sql stable"
        " security definer set search_path = '' as $$ select exists (select 1 from public.talkers t"
        " where t.talk_id = talk and t.user_id = auth.uid()) $$",
        "lifecycle.share",
        "public.talkers",
    ),
    "a line in anybody's talk": (
        "drop policy lines_add on public.lines; create policy lines_add on public.lines"
        " for insert to authenticated with check (sender_id = (select auth.uid()))",
        "key.reference",
        "public.lines",
    ),
    "a line in somebody's name": (
        "drop policy lines_add on public.lines; create policy lines_add on public.lines"
        " for insert to authenticated with check (public.talks_in(talk_id))",
        "own_rows",
        "public.lines",
    ),
    "every receipt": (
        "drop policy receipts_read on storage.objects; create policy receipts_read on"
        " storage.objects for select to authenticated using (bucket_id = 'receipts' and"
        " storage.filename(name) is not null)",
        "storage",
        "storage.objects",
    ),
    "a bucket that asks nobody": (
        "update storage.buckets set public = true where id = 'receipts'",
        "storage.public",
        "bucket receipts",
    ),
    "a grant that no policy for all commands has": (
        "revoke all on public.sales from authenticated",
        "denied.grant",
        "public.sales",
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_each_neighbour_is_found(judge: Judge, name: str) -> None:
    change, rule, named = LEAKS[name]
    report = judge("stalls", change)
    found = {f.rule: f for f in report.findings}
    assert rule in found, list(found)
    assert named in f"{found[rule].object} {found[rule].members} {found[rule].fix}"
    assert len(report.findings) <= 2


def test_a_bucket_of_which_nobody_reads_is_not_judged(judge: Judge) -> None:
    change = (
        "drop policy receipts_read on storage.objects; create policy receipts_read on"
        " storage.objects for select to authenticated using (bucket_id = 'receipts' and false)"
    )
    said = [n.object for n in judge("stalls", change).not_judged]
    assert "storage bucket receipts" in said


def test_a_person_may_say_which_rows_are_public(judge: Judge) -> None:
    """The remedy that the finding names: ``public_when`` in harmonia.toml."""
    change = LEAKS["drafts are seen"][0]
    meant = TableModel("public.offers", "tenant", ("shop_id",), public_when="t.state <> 'archived'")
    model = TenancyModel("public.shops", tables={"public.offers": meant})
    assert "rows.published" not in {f.rule for f in judge("stalls", change, model).findings}


RISE = """create function public.set_role(org uuid, person uuid, new_role public.member_role)
returns void language plpgsql volatile security definer set search_path = '' as $$ begin
    if not private.{} then raise exception 'no' using errcode = '42501'; end if;
    update public.memberships set role = new_role
    where organization_id = org and user_id = person;
end $$"""
REJOIN = """create function public.come_back(org uuid) returns void language sql volatile
security definer set search_path = '' as $$ update public.memberships
    set status = 'active', deleted_at = null
    where organization_id = org and user_id = auth.uid() {} $$"""


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (RISE.format("is_member(org)"), "escalation.rpc"),
        (RISE.format("has_role(org, '{owner}')"), None),
        (REJOIN.format(""), "lifecycle.rejoin"),
        (REJOIN.format("and status = 'invited' and deleted_at is null"), None),
    ],
)
def test_no_function_lets_one_rise_or_return(judge: Judge, change: str, rule: str | None) -> None:
    found = {f.rule for f in judge("helper", change).findings}
    assert found & {"escalation.rpc", "lifecycle.rejoin"} == ({rule} if rule else set()), found


@pytest.mark.parametrize(("name", "leaks"), [("objects.name", False), ("s.path", True)])
def test_a_row_may_hold_the_name_of_its_object(judge: Judge, name: str, leaks: bool) -> None:
    report = judge(
        "stalls",
        # Nobody writes the name of another's object into his own row.
        "alter table public.sales add column path text not null default gen_random_uuid()::text;"
        "revoke insert, update on public.sales from anon, authenticated; grant insert (id, shop_id,"
        " code, cents), update (shop_id, code, cents) on public.sales to authenticated;"
        "drop policy receipts_read on storage.objects; create policy receipts_read on"
        " storage.objects for select to authenticated using (bucket_id = 'receipts' and exists ("
        f" select 1 from public.sales s where s.path = {name} and objects.name is not null))",
    )
    assert ("storage" in {f.rule for f in report.findings}) is leaks
    assert "storage bucket receipts" not in [n.object for n in report.not_judged]


@pytest.mark.parametrize(("asked", "inert"), [("follows", False), ("is_member", True)])
def test_a_flag_may_be_for_others_than_the_cast(judge: Judge, asked: str, inert: bool) -> None:
    report = judge(
        "helper",
        "alter table public.notes add column shared boolean not null default false;"
        "create table private.followers (organization_id uuid not null, user_id uuid not null"
        " references auth.users (id), primary key (organization_id, user_id));"
        "create function private.follows(org uuid) returns boolean language sql stable"
        " security definer set search_path = '' as $$ select exists (select 1 from"
        " private.followers f where f.organization_id = org and f.user_id = auth.uid()) $$;"
        "drop policy select_member on public.notes; create policy select_member on public.notes"
        " for select to authenticated using (private.is_member(organization_id)"
        f" or (shared and private.{asked}(organization_id)))",
    )
    assert ("policy.inert" in {f.rule for f in report.findings}) is inert
