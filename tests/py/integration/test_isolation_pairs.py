"""People and things are paired for many reasons; only some of them let anybody in."""

from __future__ import annotations

from fix_isolation import Judge

FEED = """
create table public.posts (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    body text not null
);
create table public.hearts (
    post_id uuid not null references public.posts (id) on delete cascade,
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    primary key (user_id, post_id)
);
alter table public.posts enable row level security;
alter table public.hearts enable row level security;
create policy p on public.posts for all using (user_id = auth.uid());
create policy h on public.hearts for all using (user_id = auth.uid())
with check (user_id = auth.uid() and post_id in (select id from public.posts));
"""


def test_who_likes_a_post_is_no_member_of_it(judge: Judge) -> None:
    report = judge("empty", FEED)
    assert report.model["tenant_table"] is None
    assert report.findings == ()


def test_whoever_left_takes_his_name_off_a_list(judge: Judge) -> None:
    readers = """
    create table public.readers (
        contact_id uuid not null,
        organization_id uuid not null,
        user_id uuid not null references auth.users (id) on delete cascade,
        primary key (contact_id, user_id),
        foreign key (organization_id, contact_id)
            references public.contacts (organization_id, id) on delete cascade
    );
    alter table public.readers enable row level security;
    create policy l on public.readers for select to authenticated
    using (private.is_member(organization_id));
    create policy d on public.readers for delete to authenticated using ({condition});
    """
    mine = "user_id = (select auth.uid())"
    assert judge("helper", readers.format(condition=mine)).findings == ()
    (found,) = judge("helper", readers.format(condition="true")).findings
    assert (found.rule, found.object) == ("cross_tenant", "public.readers")


TALKS = """
create table public.talks (
    id uuid primary key default gen_random_uuid(),
    one uuid not null references auth.users (id), two uuid not null references auth.users (id),
    unique (one, two), check (one < two)
);
create table public.words (
    id uuid primary key default gen_random_uuid(), said text,
    talk_id uuid not null references public.talks (id),
    said_by uuid not null references auth.users (id)
);
alter table public.talks enable row level security;
alter table public.words enable row level security;
create policy sides on public.talks using (auth.uid() in (one, two));
create policy hear on public.words for select using (exists (
    select 1 from public.talks t where {this} auth.uid() in (t.one, t.two)));
create policy speak on public.words for insert with check ({mine} exists (
    select 1 from public.talks t where t.id = talk_id and auth.uid() in (t.one, t.two)));
"""
THIS, MINE = "t.id = talk_id and", "said_by = auth.uid() and"


def test_what_the_other_side_said_is_ours(judge: Judge) -> None:
    """A message is its sender's, and whoever is on the other side of the talk reads it."""
    report = judge("helper", TALKS.format(this=THIS, mine=MINE))
    assert [f.title for f in report.findings] == []


def test_a_talk_of_others_is_not(judge: Judge) -> None:
    (found,) = judge("helper", TALKS.format(this="", mine=MINE)).findings
    assert (found.rule, found.object, found.commands) == (
        "cross_tenant", "public.words", ("select",),
    )  # fmt: skip


def test_nobody_speaks_for_the_other_side(judge: Judge) -> None:
    (found,) = judge("helper", TALKS.format(this=THIS, mine="")).findings
    assert (found.rule, found.object, found.commands) == ("own_rows", "public.words", ("insert",))
