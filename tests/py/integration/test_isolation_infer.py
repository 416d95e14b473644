"""What is a seat in a tenant, and what only looks like one."""

from __future__ import annotations

import pytest

from harmonia_py.engines import Database
from harmonia_py.isolation.infer import infer
from harmonia_py.isolation.introspect import introspect
from harmonia_py.isolation.model import TenancyModel

SHOPS = """
create table public.shops (
    id uuid primary key, owner_id uuid not null references auth.users (id), name text not null
);
create table public.goods (
    id uuid primary key, shop_id uuid not null references public.shops (id), title text not null
);
create table public.bills (id uuid primary key, shop_id uuid not null references public.shops (id));
create table public.deals (
    id uuid primary key,
    shop_id uuid not null references public.shops (id),
    user_id uuid not null references auth.users (id),
    state text not null check (state in ('new', 'paid', 'shipped'))
);
create table public.parts (
    deal_id uuid not null references public.deals (id), good_id uuid not null
);
create schema private;
grant usage on schema private to authenticated;
create function private.owns(p_shop uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select from public.shops s where s.id = p_shop and s.owner_id = auth.uid())
$$;
create function private.deals_in(p_deal uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select from public.deals d
        where d.id = p_deal and (d.user_id = auth.uid() or private.owns(d.shop_id))
    )
$$;
create policy s on public.shops for select to authenticated using (owner_id = auth.uid());
create policy g on public.goods for all to authenticated using (private.owns(shop_id));
create policy d on public.deals for select to authenticated
using (user_id = auth.uid() or private.owns(shop_id));
create policy p on public.parts for select to authenticated using (private.deals_in(deal_id));
"""
OPENS = """
create policy b on public.bills for select to authenticated using (exists (
    select from public.deals d where d.shop_id = bills.shop_id and d.user_id = auth.uid()
));
"""


def inferred(database: Database, *texts: str) -> TenancyModel:
    with database.connect() as conn:
        for text in texts:
            conn.execute(text.encode())
        return infer(introspect(conn))


def test_an_order_is_no_seat_in_the_shop(plain_database: Database) -> None:
    model = inferred(plain_database, SHOPS)
    assert (model.tenant_table, model.memberships) == (None, ())
    assert model.of("public.goods").kind == model.of("public.deals").kind == "user"


@pytest.mark.parametrize(
    "more", [OPENS, "create unique index u on public.deals (shop_id, user_id);"], ids=["it opens"
    " the shop", "one has but one"],
)  # fmt: skip
def test_what_opens_the_shop_is_one(plain_database: Database, more: str) -> None:
    model = inferred(plain_database, SHOPS, more)
    assert model.tenant_table == "public.shops"
    assert [m.table for m in model.memberships] == ["public.deals"]


@pytest.mark.parametrize(
    ("condition", "own"),
    [
        ("exists (select 1 from public.seats s where s.club_id = bets.club_id"
         " and s.person_id = auth.uid())", {}),
        ("person_id = auth.uid()", {"insert": "person_id"}),
    ],
)  # fmt: skip
def test_a_seat_s_user_is_no_column_of_the_row(
    plain_database: Database, condition: str, own: dict[str, str]
) -> None:
    """Both tables name a person alike; only the bare name is the row's own."""
    with plain_database.connect_admin() as conn:
        conn.execute(
            f"""create table public.clubs (id uuid primary key);
            create table public.seats (club_id uuid references public.clubs,
                person_id uuid references auth.users, primary key (club_id, person_id));
            create table public.bets (id uuid primary key, club_id uuid not null
                references public.clubs, person_id uuid not null references auth.users);
            alter table public.seats enable row level security;
            alter table public.bets enable row level security;
            create policy p on public.seats for select using (person_id = auth.uid());
            create policy p on public.bets for insert with check ({condition})""".encode()
        )
        assert infer(introspect(conn)).of("public.bets").own_rows == own
        conn.rollback()


CLUBS = """
create table public.clubs (id uuid primary key, name text not null, {club} boolean not null);
create table public.players (
    club_id uuid not null references public.clubs (id),
    user_id uuid not null references auth.users (id),
    {player} boolean not null default true, primary key (club_id, user_id)
);
create function public.plays_in(club uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select from public.players p where p.club_id = club and p.user_id = auth.uid()
        {asked})
$$;
alter table public.clubs enable row level security;
create policy look on public.clubs for select using (public.plays_in(id));
"""


@pytest.mark.parametrize(
    ("club", "player", "asked", "marks"),
    [
        ("chat_enabled", "email_enabled", "", (None, None)),
        ("chat_enabled", "portal_enabled", "and p.portal_enabled", (None, "portal_enabled")),
        ("is_active", "player_active", "", ("is_active", "player_active")),
        ('"isOpen"', "active", "", ("isOpen", "active")),
    ],
)
def test_a_feature_that_is_on_is_no_seat_that_counts(
    plain_database: Database,
    club: str,
    player: str,
    asked: str,
    marks: tuple[str | None, str | None],
) -> None:
    """Whether chats are on says nothing of who is in, unless the project asks for it."""
    model = inferred(plain_database, CLUBS.format(club=club, player=player, asked=asked))
    (seat,) = model.memberships
    assert (model.tenant_status, seat.status) == marks
