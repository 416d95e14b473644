"""Functions in the right state: wrappers, rows that are over, roles of one's own, namesakes."""

from __future__ import annotations

import pytest
from fix_isolation import Judge
from psycopg import sql

from harmonia_py.engines import Database
from harmonia_py.isolation import runner
from harmonia_py.isolation.model import TableModel, TenancyModel
from harmonia_py.isolation.mutation import scoring

#: A thin wrapper; the secret is in a table of its own, and its parent says whether it still holds.
TOKENS = """
create table public.keys (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    last_used_at timestamptz,
    check (expires_at > created_at and expires_at <= created_at + interval '366 days')
);
create table private.key_hashes (
    key_id uuid primary key references public.keys (id),
    sha bytea not null unique
);
alter table public.keys enable row level security;
revoke all on public.keys from anon, authenticated;
create function private.exchange(p_key text) returns text
language plpgsql security definer set search_path = '' as $$
declare
    v_id uuid;
begin
    select k.id into v_id
    from private.key_hashes as h
    inner join public.keys as k on h.key_id = k.id
    where h.sha = sha256(convert_to(p_key, 'UTF8'))
        and k.revoked_at is null
        and k.expires_at > now();
    if v_id is null then
        raise exception 'no such key' using errcode = '42501';
    end if;
    update public.keys set last_used_at = now() where id = v_id;
    return 'token';
end $$;
create function public.exchange(key text) returns text
language sql set search_path = '' as $$ select private.exchange(key) $$;
revoke execute on function public.exchange(text), private.exchange(text) from public, anon;
grant execute on function public.exchange(text), private.exchange(text) to authenticated;
"""

#: Offers to an address, withdrawn when the person of that address is removed.
OFFERS = """
create table public.offers (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id),
    email text not null,
    withdrawn boolean not null default false
);
alter table public.offers enable row level security;
revoke all on public.offers from anon, authenticated;
create function public.remove_member(organization_id uuid, user_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
begin
    if not private.has_role(remove_member.organization_id, '{owner}') then
        raise exception 'no' using errcode = '42501';
    end if;
    update public.offers as o set withdrawn = true
    from auth.users as u
    where u.id = remove_member.user_id and o.email = lower(u.email)
        and o.organization_id = remove_member.organization_id;
    delete from public.memberships as m
    where m.organization_id = remove_member.organization_id
        and m.user_id = remove_member.user_id;
end $$;
revoke execute on function public.remove_member(uuid, uuid) from public, anon;
grant execute on function public.remove_member(uuid, uuid) to authenticated;
"""


def _without(text: str, part: str) -> str:
    assert part in text
    return text.replace(part, "")


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        (TOKENS, None),
        (_without(TOKENS, "        and k.revoked_at is null\n"), "revoked_at"),
        (_without(TOKENS, "\n        and k.expires_at > now()"), "expired"),
    ],
)
def test_a_secret_behind_a_wrapper_ends_with_its_parent(
    judge: Judge, change: str, evidence: str | None
) -> None:
    report = judge("helper", change)
    assert not any("exchange" in n.reason for n in report.not_judged)
    if evidence is None:
        assert report.findings == ()
    else:
        (found,) = report.findings
        assert (found.rule, found.object) == ("invitation", "public.exchange(text)")
        assert evidence in " ".join(found.evidence)


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (OFFERS, []),
        (
            _without(OFFERS, "\n        and o.organization_id = remove_member.organization_id"),
            ["rpc"],
        ),
    ],
)
def test_rows_of_another_tenant_with_the_same_address_are_let_alone(
    judge: Judge, change: str, rules: list[str]
) -> None:
    assert [f.rule for f in judge("helper", change).findings] == rules


#: Lists the deals of one's own organization, and takes one off by its number.
LISTING = """
create function public.listed(organization_id uuid) returns setof public.deals
language plpgsql stable security definer set search_path = '' as $$
begin
    if not private.is_member(listed.organization_id) then
        raise exception 'no' using errcode = '42501';
    end if;
    return query select d.* from public.deals as d
    where d.organization_id = listed.organization_id;
end $$;
create function public.take_off(organization_id uuid, deal_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
    if not private.is_member(take_off.organization_id) or not exists (
        select from public.deals as d
        where d.organization_id = take_off.organization_id and d.id = take_off.deal_id
    ) then
        raise exception 'no' using errcode = '42501';
    end if;
    delete from public.deals as d
    where d.id = take_off.deal_id
        and d.organization_id = take_off.organization_id;
end $$;
revoke execute on function public.listed(uuid), public.take_off(uuid, uuid) from public, anon;
grant execute on function public.listed(uuid), public.take_off(uuid, uuid) to authenticated;
"""


@pytest.mark.parametrize(
    ("change", "objects"),
    [
        (LISTING, []),
        # With one's own arguments, rows of everybody.
        (
            _without(LISTING, "\n    where d.organization_id = listed.organization_id"),
            ["public.listed(uuid)"],
        ),
        # The row is looked for as one's own, and removed by a part of its key.
        (
            _without(LISTING, "\n        and d.organization_id = take_off.organization_id"),
            ["public.take_off(uuid, uuid)"],
        ),
    ],
)
def test_ones_own_arguments_reach_ones_own_rows(
    judge: Judge, change: str, objects: list[str]
) -> None:
    found = judge("helper", change).findings
    assert [(f.rule, f.object) for f in found] == [("rpc", name) for name in objects]


CANCEL = """
create table public.orders (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id),
    archived_at timestamptz
);
alter table public.orders enable row level security;
revoke all on public.orders from anon, authenticated;
create function public.cancel(organization_id uuid, order_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
    if not private.has_role(cancel.organization_id, '{owner}') then
        raise exception 'no' using errcode = '42501';
    end if;
    update public.orders as o set archived_at = now()
    where o.organization_id = cancel.organization_id and o.id = cancel.order_id
        and o.archived_at is null;
    if not found then
        raise exception 'no open order' using errcode = 'P0002';
    end if;
end $$;
revoke execute on function public.cancel(uuid, uuid) from public, anon;
grant execute on function public.cancel(uuid, uuid) to authenticated;
"""
KEY = "public.cancel(uuid, uuid)"
LISTED = ("owner", "changes public.orders")


@pytest.mark.parametrize(
    ("change", "listed", "rules"),
    [
        (CANCEL, LISTED, set()),
        # What the list does not say is too much, also when it is only a circumstance or an effect.
        (_without(CANCEL, "\n        and o.archived_at is null"), LISTED, {"function.excess"}),
        (CANCEL, ("owner",), {"function.excess"}),
        # What it says and no call does is too little.
        (CANCEL, (*LISTED, "removes public.orders"), {"function.denied"}),
        (CANCEL, (*LISTED, "owner when public.orders.archived_at is past"), {"function.denied"}),
    ],
)
def test_what_a_function_does_and_when_is_held_to_the_list(
    judge: Judge, change: str, listed: tuple[str, ...], rules: set[str]
) -> None:
    report = judge("helper", change, model=TenancyModel(None, functions={KEY: listed}))
    assert {f.rule for f in report.findings if f.object == KEY} == rules


SELF = "alter policy add on public.settings with check (user_id = (select auth.uid()){more})"
SETTINGS = """
create table public.settings (
    user_id uuid primary key references auth.users (id),
    theme text
);
alter table public.settings enable row level security;
revoke all on public.settings from anon, authenticated;
grant select, insert on public.settings to authenticated;
create policy see on public.settings for select to authenticated
using (user_id = (select auth.uid()));
create policy add on public.settings for insert to authenticated
with check (user_id = (select auth.uid())
    and coalesce((select auth.jwt()) ->> 'is_anonymous', 'false') = 'false');
"""


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (SETTINGS, []),
        (SETTINGS + SELF.format(more=""), ["escalation"]),
        (SETTINGS + SELF.format(more=" and false"), ["denied"]),
    ],
)
def test_the_model_says_who_may_make_a_row_of_their_own(
    judge: Judge, change: str, kinds: list[str]
) -> None:
    entry = TableModel("public.settings", "user", ("user_id",), roles={"insert": ("user",)})
    model = TenancyModel(None, tables={"public.settings": entry})
    found = judge("helper", change, model=model).findings
    assert [(f.kind, f.object) for f in found] == [(kind, "public.settings") for kind in kinds]


#: The first check is doubled by the foreign key, the second by what the update finds.
DOUBLED = """
create table public.boxes (
    organization_id uuid not null references public.organizations (id),
    id uuid not null default gen_random_uuid(),
    name text,
    primary key (organization_id, id)
);
create table public.parcels (
    organization_id uuid not null references public.organizations (id),
    id uuid not null default gen_random_uuid(),
    box_id uuid not null,
    primary key (organization_id, id),
    foreign key (organization_id, box_id) references public.boxes (organization_id, id)
);
alter table public.boxes enable row level security;
alter table public.parcels enable row level security;
revoke all on public.boxes, public.parcels from anon, authenticated;
create function private.check_box(p_org uuid, p_box uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
    if not exists (
        select from public.boxes as b where b.organization_id = p_org and b.id = p_box
    ) then
        raise exception 'no such box' using errcode = 'P0002';
    end if;
end $$;
create function public.pack(organization_id uuid, box_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
    if not private.is_member(pack.organization_id) then
        raise exception 'no' using errcode = '42501';
    end if;
    perform private.check_box(pack.organization_id, pack.box_id);
    insert into public.parcels (organization_id, box_id)
    values (pack.organization_id, pack.box_id);
end $$;
revoke execute on function public.pack(uuid, uuid) from public, anon;
grant execute on function public.pack(uuid, uuid) to authenticated;
"""


def test_a_check_that_a_constraint_doubles_is_called_redundant_and_no_other(
    isolation_databases: dict[str, Database],
) -> None:
    with isolation_databases["helper"].connect_admin() as conn:
        with conn.transaction(force_rollback=True):
            conn.execute(sql.SQL(DOUBLED))
            with runner.laboratory(conn) as lab:
                score = scoring.score(lab, kinds=frozenset({"function body"}))
    packed = {r.description: r for r in score.results if "pack" in r.object}
    assert packed["check 1 never true"].status == "killed"
    call = packed["call 1 of a check left out"]
    assert (call.status, call.by) == ("redundant", "a constraint refuses the same")


WRITERS = "private.has_role(organization_id, '{owner,admin,member}')"


@pytest.mark.parametrize(
    ("check", "status"),
    [
        # The same in other words: rows that move are refused by USING then.
        (f"({WRITERS} and organization_id is not null)", "redundant"),
        # Nobody tried what this asks: that nothing was seen is no reason.
        (f"({WRITERS} and score < 200)", "survived"),
    ],
)
def test_a_check_that_using_doubles_is_redundant_where_that_was_tried(
    isolation_databases: dict[str, Database], check: str, status: str
) -> None:
    change = f"alter policy update_member on public.contacts using ({WRITERS}) with check {check}"
    with isolation_databases["helper"].connect_admin() as conn:
        with conn.transaction(force_rollback=True):
            conn.execute(change.encode())
            with runner.laboratory(conn) as lab:
                score = scoring.score(lab, kinds=frozenset({"check dropped"}))
    (found,) = [r for r in score.results if "contacts" in r.object]
    assert found.status == status


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (WRITERS, "redundant"),
        # What these ask may matter to rows that nobody has seeded.
        ("organization_id in (select o.id from public.organizations as o)", "survived"),
        ("score < 200", "survived"),
    ],
)
def test_a_condition_is_redundant_where_the_others_ask_the_same_of_the_tenant(
    isolation_databases: dict[str, Database], condition: str, status: str
) -> None:
    change = f"alter policy delete_admin on public.contacts using (({condition}) and {WRITERS})"
    with isolation_databases["helper"].connect_admin() as conn:
        with conn.transaction(force_rollback=True):
            conn.execute(change.encode())
            with runner.laboratory(conn) as lab:
                score = scoring.score(lab, kinds=frozenset({"conjunct"}))
    (found,) = [
        r
        for r in score.results
        if "contacts" in r.object and r.description == "delete_admin: using without term 1"
    ]
    assert found.status == status


#: Takes out of a store what must be there: an empty one refuses everybody.
STORE = """
create table public.stores (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id),
    pieces integer not null default 0 check (pieces >= 0)
);
alter table public.stores enable row level security;
create policy own on public.stores for select to authenticated
using (private.is_member(organization_id));
create function public.take_out(p_store uuid, p_pieces integer) returns integer
language plpgsql security definer set search_path = '' as $$
declare
    v_left integer;
begin
    update public.stores set pieces = pieces - p_pieces
    where id = p_store and pieces >= p_pieces {also}
    returning pieces into v_left;
    if v_left is null then
        raise exception 'not enough' using errcode = 'P0001';
    end if;
    return v_left;
end $$;
revoke execute on function public.take_out(uuid, integer) from public, anon;
grant execute on function public.take_out(uuid, integer) to authenticated;
"""


def test_an_empty_store_hides_nothing(judge: Judge) -> None:
    """The rows were made with the default of nothing, of which nothing can be taken."""
    found = judge("helper", STORE.format(also="")).findings
    assert [(f.rule, f.object) for f in found] == [("rpc", "public.take_out(uuid, integer)")]


def test_a_store_of_ones_own_is_no_finding(judge: Judge) -> None:
    report = judge("helper", STORE.format(also="and private.is_member(organization_id)"))
    assert [f.title for f in report.findings] == []
