"""The vendor's people sit among the tenants' own: one decision is one finding, others apart."""

from __future__ import annotations

from fix_isolation import Judge

SHOPS = """
create table public.plans (id uuid primary key default gen_random_uuid(), name text);
create table public.shops (id uuid primary key default gen_random_uuid(), name text);
create table public.staff (
    id uuid primary key default gen_random_uuid(),
    shop_id uuid references public.shops (id) on delete cascade,
    person_id uuid not null references auth.users (id) on delete cascade,
    job text not null check (job in ('vendor', 'owner', 'clerk')), unique (shop_id, person_id)
);
create table public.goods (
    id uuid primary key default gen_random_uuid(), name text,
    shop_id uuid not null references public.shops (id) on delete cascade
);
create table public.orders (
    id uuid primary key default gen_random_uuid(), said text,
    shop_id uuid not null references public.shops (id) on delete cascade
);
create table public.lines (
    id uuid primary key default gen_random_uuid(),
    order_id uuid not null references public.orders (id) on delete cascade,
    good_id uuid not null references public.goods (id), amount integer not null default 1
);
create table public.notes (
    id uuid primary key default gen_random_uuid(), said text,
    shop_id uuid references public.shops (id) on delete cascade,
    person_id uuid not null references auth.users (id)
);
create function public.shop() returns uuid language sql stable security definer
set search_path = '' as $$ select shop_id from public.staff where person_id = auth.uid() limit 1 $$;
create function public.vends() returns boolean language sql stable security definer
set search_path = '' as $$ select exists (
    select 1 from public.staff where person_id = auth.uid() and job = 'vendor') $$;
alter table public.plans enable row level security;
alter table public.shops enable row level security;
alter table public.staff enable row level security;
alter table public.goods enable row level security;
alter table public.orders enable row level security;
alter table public.lines enable row level security;
alter table public.notes enable row level security;
create policy look on public.plans for select to authenticated using (true);
create policy look on public.shops for select using (id = public.shop());
create policy look on public.staff for select using (shop_id = public.shop());
create policy own on public.goods using (shop_id = public.shop());
create policy own on public.orders using (shop_id = public.shop());
create policy own on public.lines using (exists (
    select 1 from public.orders o where o.id = order_id and o.shop_id = public.shop()));
create policy look on public.notes for select using (shop_id = public.shop());
create policy note on public.notes for insert
with check (person_id = auth.uid() and shop_id = public.shop());
"""
VENDOR = """
create policy all_of_them on public.plans using (public.vends());
create policy all_of_them on public.shops using (public.vends());
create policy all_of_them on public.staff using (public.vends());
create policy all_of_them on public.notes using (public.vends());
"""
ANYBODY = "alter policy note on public.notes with check (person_id = auth.uid());"


def test_a_line_is_of_its_order_and_not_of_what_it_lists(judge: Judge) -> None:
    """The goods that a line lists lead to a tenant too, and its policies go by the order."""
    report = judge("empty", SHOPS)
    assert {f.rule for f in report.findings} <= {"key.reference"}
    assert "'public.lines': ['order_id', 'shop_id']" in str(report.model["paths"])


def test_lines_of_any_order_are_found(judge: Judge) -> None:
    change = "alter policy own on public.lines using (exists (select 1 from public.orders))"
    found = {(f.rule, f.object) for f in judge("empty", SHOPS + change).findings}
    assert ("cross_tenant", "public.lines") in found


def test_one_role_that_counts_everywhere_is_one_finding(judge: Judge) -> None:
    """What it does to tenants, to people and to the rows that all share has one cause."""
    found = [f for f in judge("empty", SHOPS + VENDOR).findings if f.rule != "key.reference"]
    assert [f.object for f in found] == ["public.vends()"]
    assert {"public.plans", "public.shops", "public.staff"} <= set(found[0].members)
    assert {a.partition(".")[2] for a in found[0].actors} == {"vendor"}


def test_what_anybody_reaches_is_not_laid_at_its_door(judge: Judge) -> None:
    report = judge("empty", SHOPS + VENDOR + ANYBODY)
    found = {f.object: f for f in report.findings if f.rule != "key.reference"}
    assert set(found) == {"public.vends()", "public.notes"}
    assert "stranger" in found["public.notes"].actors
    assert "stranger" not in found["public.vends()"].actors
