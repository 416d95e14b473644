"""Projects as people write them: rights in profiles, blanket policies, callers by other names."""

from __future__ import annotations

from typing import Any

import pytest
from fix_isolation import Judge

from harmonia_py.engines import Database
from harmonia_py.isolation import runner
from harmonia_py.isolation.finding import Report
from harmonia_py.isolation.model import TableModel, TenancyModel


def rules(report: Report) -> list[str]:
    return [f.rule for f in report.findings]


def test_ordinary_people_hold_no_special_rights(judge: Judge) -> None:
    report = judge("profiles")
    assert report.findings == ()
    assert report.errors == ()
    assert {c.status for c in report.coverage} == {"tested"}
    assert report.exit_code() == 0


RIGHTS = {
    "the word may be written": (
        "grant update (standing) on public.people to authenticated",
        "escalation.profile",
    ),
    "the word may be chosen at sign-up": (
        "create policy arrive on public.people for insert with check (id = auth.uid())",
        "escalation.profile",
    ),
    "sign-up gives it to everybody": (
        "create function private.arrive() returns trigger language plpgsql security definer set"
        " search_path = '' as $$ begin insert into public.people (id, standing) values (new.id,"
        " 'board'); return new; end $$; create trigger arrive after insert on auth.users for each"
        " row execute function private.arrive()",
        "cross_tenant",
    ),
    "everybody is let in": (
        "alter policy look on public.diaries using (private.on_board() or auth.uid() <> person_id)",
        "cross_tenant",
    ),
}


@pytest.mark.parametrize("name", RIGHTS)
def test_whoever_can_take_special_rights_is_found(judge: Judge, name: str) -> None:
    change, rule = RIGHTS[name]
    report = judge("profiles", change)
    assert rule in rules(report), rules(report)
    assert report.exit_code() == 5


def test_sign_up_may_say_what_is_usual(judge: Judge) -> None:
    change = RIGHTS["sign-up gives it to everybody"][0].replace("'board'", "'trainer'")
    assert judge("profiles", change).findings == ()


def test_policies_that_compare_nothing_are_one_finding(judge: Judge) -> None:
    report = judge(
        "profiles",
        "create policy open on public.diaries for all using (true);"
        "create policy open on public.links for all to authenticated"
        " using (auth.role() = 'authenticated') with check ((select auth.uid()) is not null)",
    )
    found = {f.rule: f for f in report.findings}
    assert set(found) == {"cross_tenant", "user_rows.public"}
    assert set(found["cross_tenant"].members) == {"public.diaries", "public.links"}
    assert set(found["user_rows.public"].members) == {"public.diaries", "public.links"}


def test_a_function_may_say_who_calls(judge: Judge) -> None:
    report = judge(
        "profiles",
        "create function public.me() returns uuid language sql stable set search_path = '' as"
        " $$ select nullif(current_setting('request.jwt.claims', true)::json ->> 'sub', '')::uuid"
        " $$; alter policy own on public.links using (person_id = public.me());"
        "alter policy own on public.diaries using ((auth.jwt() ->> 'sub')::uuid = person_id)",
    )
    assert report.findings == ()
    assert report.model["kinds"]["public.links"] == "user"


SHOWN = "create policy shown on public.diaries for select using ({})"


@pytest.mark.parametrize(
    ("condition", "rule"),
    [
        ("page is not null", "rows.published"),
        ("page is not null or person_id <> auth.uid()", "cross_tenant"),
    ],
)
def test_rows_that_say_so_themselves_are_published(judge: Judge, condition: str, rule: str) -> None:
    report = judge("profiles", SHOWN.format(condition))
    assert [f.rule for f in report.findings if f.object == "public.diaries"] == [rule]


COUNTED = "create view public.{name} as select {what} from public.diaries"


@pytest.mark.parametrize(
    ("what", "kind"), [("count(*) as rows", "oracle"), ("person_id, said", "breach")]
)
def test_a_count_is_less_than_rows(judge: Judge, what: str, kind: str) -> None:
    report = judge("profiles", COUNTED.format(name="seen", what=what))
    assert [f.kind for f in report.findings if f.object == "public.seen"] == [kind]


FUNCTION = (
    "create function public.told(p uuid) returns integer language sql stable security definer"
    " set search_path = '' as $$ {body} $$"
)


def test_an_answer_made_of_the_arguments_tells_nothing(judge: Judge) -> None:
    assert judge("profiles", FUNCTION.format(body="select length(p::text) * ascii(p::text)")).safe
    body = "select count(*)::integer from public.diaries as d where d.person_id = p"
    assert "rpc" in rules(judge("profiles", FUNCTION.format(body=body)))


# A whole project at a time: the tenant is named in the profile -------------------------------

PROFILE_TENANCY = """
create table public.shops (id uuid primary key default gen_random_uuid(), name text not null);
create table public.staff (
    id uuid primary key references auth.users, shop_id uuid references public.shops,
    job text not null default 'clerk' check (job in ('clerk', 'chief')), is_active boolean
);
create table public.sales (
    id uuid primary key default gen_random_uuid(), shop_id uuid not null references public.shops,
    said text
);
create table public.prices (
    id uuid primary key default gen_random_uuid(), shop_id uuid not null references public.shops,
    said text
);
alter table public.shops enable row level security;
alter table public.staff enable row level security;
alter table public.sales enable row level security;
alter table public.prices enable row level security;
create policy p on public.shops for select using (exists (
    select 1 from public.staff where staff.id = auth.uid() and staff.shop_id = shops.id));
create policy p on public.staff for select using (id = auth.uid());
create policy p on public.sales for select using (exists (
    select 1 from public.staff where staff.id = auth.uid() and staff.shop_id = sales.shop_id));
create policy p on public.prices for select using (exists (
    select 1 from public.staff where staff.id = auth.uid() and staff.shop_id = prices.shop_id));
revoke truncate, references, trigger on all tables in schema public from anon, authenticated;
"""


def of(database: Database, text: str, **options: Any) -> Report:
    with database.connect_admin() as conn, conn.transaction(force_rollback=True):
        conn.execute(text.encode())
        with runner.laboratory(conn, **options) as lab:
            return runner.judge(lab)


def test_a_state_that_nothing_asks_for_is_one_finding(plain_database: Database) -> None:
    report = of(plain_database, PROFILE_TENANCY)
    assert report.model["tenant_table"] == "public.shops"
    assert report.model["membership"] == "public.staff"
    (finding,) = report.findings
    assert (finding.rule, finding.severity) == ("lifecycle.ignored", "medium")
    assert "public.staff.is_active" in finding.title

    asked = PROFILE_TENANCY.replace("staff.id = auth.uid()", "staff.id = auth.uid() and is_active")
    assert of(plain_database, asked).findings == ()


def test_a_role_of_every_tenant_is_one_finding(plain_database: Database) -> None:
    text = PROFILE_TENANCY.replace(", is_active boolean", "").replace(
        "and staff.shop_id =", "and (staff.job = 'chief' or staff.shop_id ="
    )
    text = text.replace(".id));", ".id)));").replace(".shop_id));", ".shop_id)));")
    report = of(plain_database, text)
    (finding,) = report.findings
    assert finding.rule == "role.everywhere"
    assert "chief" in finding.title
    assert set(finding.members) == {"public.shops", "public.sales", "public.prices"}


def test_rows_told_apart_by_nobody_knows_whom_are_no_verdict(plain_database: Database) -> None:
    report = of(
        plain_database,
        "create function public.whose() returns text language plpgsql stable as"
        " $$ begin return pg_catalog.inet_client_addr()::text; end $$;"
        "create table public.notes (id integer primary key, of_whom text);"
        "alter table public.notes enable row level security;"
        "create policy p on public.notes using (of_whom = public.whose());",
    )
    assert [e.rule for e in report.errors] == ["tenancy"]
    assert report.exit_code() == 1


def test_a_project_that_is_closed_says_that_nothing_was_tried(plain_database: Database) -> None:
    closed = (
        "create table public.notes (id integer primary key, user_id uuid references auth.users);"
    )
    closed += "alter table public.notes enable row level security;"
    report = of(plain_database, closed)
    assert [c.status for c in report.coverage] == ["locked"]
    assert [n.object for n in report.not_judged] == ["every relation"]
    opened = closed + "create policy p on public.notes using (user_id = auth.uid());"
    assert of(plain_database, opened).not_judged == ()


SHARED = """
create table public.posts (id uuid primary key, {0} title text not null);
create table public.pages (id uuid primary key, {0} title text not null);
alter table public.posts enable row level security;
alter table public.pages enable row level security;
create policy p on public.posts for select to anon, authenticated using (true);
create policy p on public.pages for select to anon, authenticated using (true);
"""


def test_what_is_taken_as_shared_is_said_to_be(plain_database: Database) -> None:
    report = of(plain_database, SHARED.format(""))
    assert (report.findings, report.errors) == ((), ())
    assert [n.object for n in report.not_judged] == ["every relation"]
    assert (report.exit_code(), report.exit_code(strict=True)) == (0, 3)
    said = TenancyModel(None, tables={"public.posts": TableModel("public.posts", "public")})
    assert of(plain_database, SHARED.format(""), model=said).not_judged == ()


def test_an_id_that_many_tables_have_and_nothing_explains_is_no_verdict(
    plain_database: Database,
) -> None:
    unclear = SHARED.format("cell uuid not null,")
    report = of(plain_database, unclear)
    assert [e.rule for e in report.errors] == ["tenancy"]
    assert "cell may say whose its rows are" in report.errors[0].evidence[0]
    assert report.exit_code() == 1
    # Once a policy says what it is, it is known.
    told = (
        "drop policy p on public.pages; create policy p on public.pages for select"
        " to authenticated using (cell = (auth.jwt() -> 'app_metadata' ->> 'cell')::uuid);"
    )
    report = of(plain_database, unclear + told)
    assert report.errors == ()
    assert "public.posts" in {f.object for f in report.findings}
