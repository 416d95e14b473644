"""Codes that are keys, lists of who may do what, and triggers that only some may set off."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

_CLUB = """
create schema app;
grant usage on schema app to authenticated;
create type public.part as enum ('captain', 'player');
create table public.clubs (id uuid primary key default gen_random_uuid(), said text not null);
create table public.players (
    club_id uuid not null references public.clubs (id),
    user_id uuid not null references auth.users (id),
    part public.part not null default 'player', primary key (club_id, user_id)
);
create table public.codes (
    code text primary key, club_id uuid not null references public.clubs (id),
    part public.part not null default 'player',
    expires_at timestamptz not null, uses_left integer not null default 1
);
create table public.reports (
    id bigint generated always as identity primary key,
    club_id uuid not null references public.clubs (id),
    user_id uuid not null references auth.users (id), said text not null,
    unique (club_id, user_id)
);
create table public.acts (id text primary key);
create table public.kinds (id text primary key);
create table public.goes_with (
    kind text references public.kinds (id), act text references public.acts (id),
    primary key (kind, act)
);
insert into public.acts values ('see'), ('score');
insert into public.kinds values ('match'), ('drill');
insert into public.goes_with values ('match', 'see'), ('match', 'score'), ('drill', 'see');
create function app.is_in(c uuid, p public.part default null) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select from public.players m where m.club_id = c and m.user_id = auth.uid()
                   and (p is null or m.part = p))
$$;
alter table public.clubs enable row level security;
alter table public.players enable row level security;
alter table public.codes enable row level security;
alter table public.reports enable row level security;
alter table public.acts enable row level security;
alter table public.kinds enable row level security;
alter table public.goes_with enable row level security;
create policy c on public.clubs for select to authenticated using (app.is_in(id));
create policy p on public.players for select to authenticated using (app.is_in(club_id));
create policy k on public.codes to authenticated using (app.is_in(club_id, 'captain'));
create policy r on public.reports for select to authenticated using (app.is_in(club_id));
create policy w on public.reports for insert to authenticated
with check (user_id = auth.uid() and app.is_in(club_id, 'player'));
create policy g on public.goes_with for select to authenticated using (true);
"""
_JOIN = """
create function public.join_club(p_code text{more}) returns uuid
language plpgsql security definer set search_path = '' as $$
declare v public.codes; begin
    update public.codes set uses_left = uses_left - 1
    where code = p_code {asked} returning * into v;
    if v.code is null then raise exception 'no such code'; end if;
    insert into public.players (club_id, user_id, part) values (v.club_id, auth.uid(), {part})
    on conflict do nothing;
    return v.club_id;
end $$;
revoke execute on function public.join_club from public, anon;
grant execute on function public.join_club to authenticated;
"""
_ASKED = "and uses_left > 0 and expires_at > now()"
_SOUND = _CLUB + _JOIN.format(more="", asked=_ASKED, part="v.part")
_TELLS = """
create table public.board (id bigint generated always as identity primary key, {columns});
alter table public.board enable row level security;
create policy b on public.board for select to authenticated using ({seen});
create function app.tell() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    insert into public.board ({names}) values ({values});
    return new;
end $$;
create trigger t after insert on public.reports for each row execute function app.tell();
"""
_TOLD = _TELLS.format(
    columns="club_id uuid not null references public.clubs (id), said text",
    seen="app.is_in(club_id)",
    names="club_id, said",
    values="new.club_id, new.said",
)


@pytest.mark.parametrize("more", ["", _TOLD], ids=["as it is", "a board of each club"])
def test_what_is_sound_is_silent(judge: Judge, more: str) -> None:
    report = judge("empty", _SOUND + more, proven=True)
    assert [(f.rule, f.title) for f in report.findings] == []
    controls = {c.table: set(c.controls) for c in report.coverage}
    assert {"select", "insert"} <= controls["public.reports"]


LEAKS = {
    "a code that is over": (
        _CLUB + _JOIN.format(more="", asked="and uses_left > 0", part="v.part"),
        "invitation",
        "public.join_club(text)",
        "expired",
    ),
    "a code that is used up": (
        _CLUB + _JOIN.format(more="", asked="and expires_at > now()", part="v.part"),
        "invitation",
        "public.join_club(text)",
        "used up",
    ),
    "whoever has a code says what for": (
        _CLUB + _JOIN.format(more=", p_part public.part", asked=_ASKED, part="p_part"),
        "invitation",
        "public.join_club(text, public.part)",
        "captain instead of what it says",
    ),
    "one board for all": (
        _SOUND + _TELLS.format(columns="said text", seen="true", names="said", values="new.said"),
        "trigger.writes",
        "public.reports",
        "public.board",
    ),
    "everybody pairs what is not paired yet": (
        f"{_SOUND} create policy n on public.goes_with for insert to authenticated"
        " with check (true);",
        "shared.write",
        "public.goes_with",
        "insert",
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_the_slip_beside_it_is_found(judge: Judge, name: str) -> None:
    change, rule, named, told = LEAKS[name]
    report = judge("empty", change, proven=True)
    found = [f for f in report.findings if f.rule == rule]
    assert found, [(f.rule, f.object) for f in report.findings]
    assert any(
        named in f"{f.object} {f.members}" and told in f"{f.title} {f.evidence}" for f in found
    ), found


_KEYS = f"""{_SOUND}
create table public.machines (
    id uuid primary key default gen_random_uuid(),
    club_id uuid not null references public.clubs (id), digest bytea not null unique,
    revoked boolean not null default false, valid_until timestamptz not null
);
alter table public.machines enable row level security;
create policy m on public.machines for select to authenticated
using (app.is_in(club_id, 'captain'));
revoke all on public.machines from anon, authenticated;
grant select (id, club_id, revoked, valid_until) on public.machines to authenticated;
"""
_BY_KEY = """
create function public.reports_for(p_key text) returns table (id bigint, said text)
language sql stable security definer set search_path = '' as $$
    select r.id, r.said from public.reports r where exists (
        select from public.machines m
        where m.digest = sha256(p_key::bytea) {whose} {holds}
    )
$$;
"""
_WHOSE, _HOLDS = "and m.club_id = r.club_id", "and not m.revoked and m.valid_until > now()"
_ABOUT = """
create function public.about_key(p_key text) returns text
language sql stable security definer set search_path = '' as $$
    select c.said || case when m.revoked then ' (revoked)' else '' end
    from public.machines m join public.clubs c on c.id = m.club_id
    where m.digest = sha256(p_key::bytea)
$$;
"""


def _by_key(whose: str = _WHOSE, holds: str = _HOLDS) -> str:
    return _KEYS + _BY_KEY.format(whose=whose, holds=holds)


def test_a_key_that_holds_and_one_that_says_it_does_not_are_silent(judge: Judge) -> None:
    report = judge("empty", _by_key() + _ABOUT, proven=True)
    assert [(f.rule, f.title) for f in report.findings] == []


KEYS = {
    "of every club": (_by_key(whose=""), "a key of one tenant opens another"),
    "revoked": (_by_key(holds="and m.valid_until > now()"), "marked revoked still opens"),
    "run out": (_by_key(holds="and not m.revoked"), "expired still opens"),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_opens_too_much_is_found(judge: Judge, name: str) -> None:
    change, told = KEYS[name]
    (found,) = judge("empty", change, proven=True).findings
    assert (found.rule, found.object) == ("bearer", "public.reports_for(text)")
    assert told in found.title


_LETTER = """
create table public.letters (
    id uuid primary key default gen_random_uuid(),
    club_id uuid not null references public.clubs (id), email text not null,
    address text generated always as (lower(email)) stored,
    token uuid not null unique default gen_random_uuid(),
    expires_at timestamptz not null, accepted_at timestamptz
);
alter table public.letters enable row level security;
create policy l on public.letters for select to authenticated
using (app.is_in(club_id, 'captain'));
create function public.answer(p_token uuid) returns uuid
language plpgsql security definer set search_path = '' as $$
declare v public.letters; begin
    select l.* into v from public.letters l
    join auth.users u on u.id = auth.uid() and lower(u.email) = l.address
    where l.token = p_token and l.accepted_at is null {holds} for update of l;
    if v.id is null then raise exception 'no such letter'; end if;
    update public.letters set accepted_at = now() where id = v.id;
    insert into public.players (club_id, user_id) values (v.club_id, auth.uid())
    on conflict do nothing;
    return v.club_id;
end $$;
"""
_HOOK = """
create function public.claims_hook(event jsonb) returns jsonb
language plpgsql stable security {whose} set search_path = '' as $$
declare mine jsonb; begin
    select coalesce(jsonb_object_agg(p.club_id, p.part), '{{}}') into mine
    from public.players p where p.user_id = (event ->> 'user_id')::uuid;
    return jsonb_set(event, '{{claims}}', jsonb_set(event -> 'claims', '{{clubs}}', mine));
end $$;
"""


def test_a_letter_is_presented_where_its_address_is_made_of_another(judge: Judge) -> None:
    holds = "and l.expires_at > now()"
    sound = judge("empty", _SOUND + _LETTER.format(holds=holds))
    assert ([f.title for f in sound.findings], sound.not_judged) == ([], ())
    (found,) = judge("empty", _SOUND + _LETTER.format(holds="")).findings
    assert (found.rule, found.object) == ("invitation", "public.answer(uuid)")


def test_a_hook_that_anybody_may_call_is_told_of_somebody_else(judge: Judge) -> None:
    """It is handed a document that holds another one."""
    assert judge("empty", _SOUND + _HOOK.format(whose="invoker")).findings == ()
    (found,) = judge("empty", _SOUND + _HOOK.format(whose="definer")).findings
    assert (found.rule, found.object) == ("rpc", "public.claims_hook(jsonb)")
