"""Rows that name one member where policies want another: what is no finding, and what still is."""

from __future__ import annotations

from fix_isolation import Judge

DESKS = """
create table public.desks (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    keeper_id uuid not null references auth.users (id)
);
create function private.keeps(desk uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select from public.desks as d
        where d.id = desk and d.keeper_id = {keeper} {and_role}
            and private.is_member(d.organization_id)
    )
$$;
create table public.papers (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    desk_id uuid not null references public.desks (id) on delete cascade,
    writer_id uuid not null references auth.users (id),
    unique (desk_id, writer_id)
);
create table public.marks (
    paper_id uuid primary key references public.papers (id) on delete cascade,
    organization_id uuid not null references public.organizations (id) on delete cascade,
    released boolean not null default false
);
alter table public.desks enable row level security;
alter table public.papers enable row level security;
alter table public.marks enable row level security;
create policy look on public.desks for select to authenticated
using (private.is_member(organization_id));
create policy look on public.papers for select to authenticated using (
    private.is_member(organization_id)
    and (writer_id = (select auth.uid()) or private.keeps(desk_id))
);
create policy look on public.marks for select to authenticated using (
    private.is_member(organization_id) and exists (
        select from public.papers as p where p.id = marks.paper_id and {asked}
    )
);
revoke all on public.desks, public.papers, public.marks from anon, authenticated;
grant select on public.desks, public.papers, public.marks to authenticated;
"""
ROLE = "and private.has_role(d.organization_id, '{member}')"
KEPT = "private.keeps(p.desk_id)"


def test_who_may_is_found_though_no_row_names_this_member(judge: Judge) -> None:
    desks = DESKS.replace("{asked}", KEPT).replace("{and_role}", ROLE)
    sound = judge("helper", desks.replace("{keeper}", "auth.uid()"))
    broken = judge("helper", desks.replace("{keeper}", "d.id"))
    assert [f.title for f in sound.findings] == []
    assert any("names who may" in n.reason and "marks" in n.object for n in sound.not_judged)
    assert [f.title for f in broken.findings] == [
        "public.marks: nobody can select although policies say so"
    ]


def test_a_flag_is_noticed_by_whom_no_row_names(judge: Judge) -> None:
    desks = DESKS.replace("{keeper}", "auth.uid()").replace("{and_role}", "")
    sound = judge("helper", desks.replace("{asked}", f"({KEPT} or marks.released)"))
    idle = judge(
        "helper",
        desks.replace("{asked}", "(private.is_member(p.organization_id) or marks.released)"),
    )
    assert [f.title for f in sound.findings] == []
    assert [f.title for f in idle.findings] == [
        "public.marks: a policy asks for released, and it makes no difference"
    ]


CODES = """
create table public.rooms (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    title text not null,
    unique (organization_id, id)
);
create table public.codes (
    room_id uuid primary key,
    organization_id uuid not null,
    code text not null default 'x',
    foreign key (organization_id, room_id)
    references public.rooms (organization_id, id) on delete cascade
);
create function private.coded() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    insert into public.codes (room_id, organization_id) values (new.id, new.organization_id);
    return new;
end $$;
create trigger coded after insert on public.rooms
for each row execute function private.coded();
alter table public.rooms enable row level security;
alter table public.codes enable row level security;
create policy look on public.rooms for select to authenticated
using (private.is_member(organization_id));
create policy add on public.rooms for insert to authenticated
with check (private.has_role(organization_id, '{owner}'));
revoke all on public.rooms, public.codes from anon, authenticated;
grant select, insert on public.rooms to authenticated;
"""


def test_a_key_that_is_taken_is_no_word_of_a_trigger(judge: Judge) -> None:
    assert [f.title for f in judge("helper", CODES).findings] == []
