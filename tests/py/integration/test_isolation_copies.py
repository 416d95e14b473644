"""What ends up in rows of one's own, or of others, by way of functions, triggers and dates.

And who is nobody's guest: archived projects, clients with an account, words that a type allows.
"""

from __future__ import annotations

import pytest
from fix_isolation import Judge

DUPLICATE = """
create function public.duplicate(p_contact uuid, p_into uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
    if not private.is_member(p_into) then
        raise exception 'not a member' using errcode = '42501';
    end if;
    insert into public.contacts (organization_id, email, full_name)
    select p_into, 'copy.' || c.email, c.full_name from public.contacts as c
    where c.id = p_contact {same};
end $$;
revoke execute on function public.duplicate(uuid, uuid) from public, anon;
grant execute on function public.duplicate(uuid, uuid) to authenticated;
"""

DELIVER = """
create table public.hooks (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade
);
create table public.deliveries (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    payload jsonb not null
);
alter table public.hooks enable row level security;
alter table public.deliveries enable row level security;
create policy look on public.hooks for select to authenticated
using (private.is_member(organization_id));
create policy look on public.deliveries for select to authenticated
using (private.is_member(organization_id));
create function private.deliver() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    insert into public.deliveries (organization_id, payload)
    select h.organization_id, to_jsonb(new) from public.hooks as h {same};
    return new;
end $$;
create trigger deliver after insert on public.contacts
for each row execute function private.deliver();
"""

MIRROR = """
create function private.mirror() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    update public.contacts as c set full_name = new.full_name
    where lower(c.email) = lower(new.email) and c.full_name <> new.full_name {same};
    return new;
end $$;
create trigger mirror after update of full_name on public.contacts
for each row execute function private.mirror();
"""

NEWS = """
alter table public.contacts add column announced boolean not null default true;
create table public.news (
    id bigint generated always as identity primary key, said text not null {whose}
);
alter table public.news enable row level security;
create policy look on public.news for select to authenticated using ({open});
create function private.tell() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    {asked} insert into public.news (said {names}) values ('New: ' || new.full_name {values});
    {done}
    return new;
end $$;
create trigger tell after insert on public.contacts
for each row execute function private.tell();
"""
OF_ALL = {"whose": "", "names": "", "values": "", "open": "true", "asked": "", "done": ""}
OF_ONE = OF_ALL | {
    "whose": ", organization_id uuid references public.organizations (id)",
    "names": ", organization_id",
    "values": ", new.organization_id",
    "open": "private.is_member(organization_id)",
}
ASKED = OF_ALL | {"asked": "if new.announced then", "done": "end if;"}
UNREAD = OF_ALL | {"open": "false"}

TODAY = """
create table public.usage_counters (
    organization_id uuid not null references public.organizations (id) on delete cascade,
    day date not null,
    calls bigint not null default 0,
    primary key (organization_id, day)
);
alter table public.usage_counters enable row level security;
create policy look on public.usage_counters for select to authenticated
using (private.is_member(organization_id));
create view public.usage_today {invoker} as
select u.organization_id, u.calls from public.usage_counters as u where u.day = current_date;
"""

SLOTS = """
create table public.visits (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    who text not null,
    starts_at timestamptz not null
);
alter table public.visits enable row level security;
create policy look on public.visits for select to authenticated
using (private.is_member(organization_id));
create function public.busy(p_org uuid, p_day date) returns setof text
language sql stable security definer set search_path = '' as $$
    select v.who from public.visits as v
    where v.organization_id = p_org and v.starts_at::date = p_day {asked}
$$;
revoke execute on function public.busy(uuid, date) from public, anon;
grant execute on function public.busy(uuid, date) to authenticated;
"""

PROJECTS = """
create table public.projects (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    name text not null,
    {mark} timestamptz,
    unique (id, organization_id)
);
create table public.project_guests (
    project_id uuid not null references public.projects (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    expires_at timestamptz,
    invited text,
    primary key (project_id, user_id)
);
create table public.tasks (
    id uuid primary key default gen_random_uuid(),
    project_id uuid not null,
    organization_id uuid not null,
    title text not null,
    foreign key (project_id, organization_id)
    references public.projects (id, organization_id) on delete cascade
);
create table public.remarks (
    id uuid primary key default gen_random_uuid(),
    task_id uuid not null references public.tasks (id) on delete cascade,
    body text not null
);
create function private.is_guest(p_project uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.project_guests as g
        where g.project_id = p_project and g.user_id = (select auth.uid())
            and (g.expires_at is null or g.expires_at > now())
    )
$$;
create function private.sees_project(p_project uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select private.is_guest(p_project) or exists (
        select 1 from public.projects as p
        where p.id = p_project and private.is_member(p.organization_id) {members}
    )
$$;
create function private.task_project(p_task uuid) returns uuid
language sql stable security definer set search_path = '' as $$
    select t.project_id from public.tasks as t where t.id = p_task
$$;
alter table public.projects enable row level security;
alter table public.project_guests enable row level security;
alter table public.tasks enable row level security;
alter table public.remarks enable row level security;
create policy look on public.projects for select to authenticated using (private.sees_project(id));
create policy look on public.project_guests for select to authenticated
using (user_id = (select auth.uid()));
create policy look on public.tasks for select to authenticated
using (private.sees_project(project_id));
create policy look on public.remarks for select to authenticated
using ({remarks});
"""
OF_ITS_PROJECT = "private.sees_project(private.task_project(task_id))"

CLIENTS = """
create table public.patients (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    user_id uuid references auth.users (id) on delete set null,
    full_name text not null
);
create table public.visits (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    patient_id uuid not null references public.patients (id) on delete cascade,
    reason text not null
);
create function private.my_patients() returns setof uuid
language sql stable security definer set search_path = '' as $$
    select p.id from public.patients as p where p.user_id = (select auth.uid())
$$;
alter table public.patients enable row level security;
alter table public.visits enable row level security;
create policy look on public.patients for select to authenticated
using (private.is_member(organization_id) or user_id = (select auth.uid()));
create policy add on public.patients for insert to authenticated
with check (private.is_member(organization_id));
create policy look on public.visits for select to authenticated
using (private.is_member(organization_id) or {theirs});
"""


def test_a_copy_of_a_row_of_one_s_own_is_no_finding(judge: Judge) -> None:
    assert not judge("helper", DUPLICATE.format(same="and c.organization_id = p_into")).findings


def test_values_of_others_copied_into_one_s_own_rows_are_found(judge: Judge) -> None:
    (found,) = judge("helper", DUPLICATE.format(same="")).findings
    assert found.object == "public.duplicate(uuid, uuid)"
    assert found.rule == "rpc.copies"


def test_a_trigger_that_stays_in_its_tenant_is_no_finding(judge: Judge) -> None:
    same = "where h.organization_id = new.organization_id"
    assert not judge("helper", DELIVER.format(same=same)).findings


def test_a_trigger_that_writes_to_every_tenant_is_found(judge: Judge) -> None:
    (found,) = judge("helper", DELIVER.format(same="")).findings
    assert (found.object, found.rule) == ("public.contacts", "trigger.writes")


def test_a_view_of_today_with_the_rights_of_its_reader_is_no_finding(judge: Judge) -> None:
    assert not judge("helper", TODAY.format(invoker="with (security_invoker = true)")).findings


def test_a_view_of_today_s_rows_is_not_empty_and_found(judge: Judge) -> None:
    found = judge("helper", TODAY.format(invoker="")).findings
    assert "public.usage_today" in {f.object for f in found}


def test_a_function_asked_for_the_right_day_is_found(judge: Judge) -> None:
    found = judge("helper", SLOTS.format(asked="")).findings
    assert {f.object for f in found} == {"public.busy(uuid, date)"}


def test_a_function_of_a_day_that_asks_who_calls_is_no_finding(judge: Judge) -> None:
    assert not judge("helper", SLOTS.format(asked="and private.is_member(p_org)")).findings


def test_what_hangs_below_a_shared_project_is_shared_and_archives_are_kept(judge: Judge) -> None:
    text = PROJECTS.format(mark="archived_at", members="", remarks=OF_ITS_PROJECT)
    assert [f.title for f in judge("helper", text, proven=True).findings] == []


def test_a_row_below_a_project_that_asks_nothing_is_found(judge: Judge) -> None:
    text = PROJECTS.format(mark="archived_at", members="", remarks="task_id is not null")
    assert "public.remarks" in {f.object for f in judge("helper", text, proven=True).findings}


def test_a_share_of_what_members_no_longer_see_is_found(judge: Judge) -> None:
    hidden = "and p.deleted_at is null"
    text = PROJECTS.format(mark="deleted_at", members=hidden, remarks=OF_ITS_PROJECT)
    found = judge("helper", text, proven=True).findings
    assert "lifecycle.shared" in {f.rule for f in found}


def test_a_client_with_an_account_keeps_it_when_a_seat_ends(judge: Judge) -> None:
    text = CLIENTS.format(theirs="patient_id in (select private.my_patients())")
    assert [f.title for f in judge("helper", text, proven=True).findings] == []


def test_a_client_who_sees_the_visits_of_other_clients_is_found(judge: Judge) -> None:
    others = """
    organization_id in (
        select p.organization_id from public.patients as p
        where p.id in (select private.my_patients())
    )
    """
    found = judge("helper", CLIENTS.format(theirs=others), proven=True).findings
    assert {f.object for f in found} == {"public.visits"}


def test_a_client_who_sees_all_visits_of_everybody_is_found(judge: Judge) -> None:
    text = CLIENTS.format(theirs="exists (select private.my_patients())")
    assert "public.visits" in {f.object for f in judge("helper", text, proven=True).findings}


def test_not_suspended_is_active_where_a_type_knows_nothing_else(judge: Judge) -> None:
    text = """
    create type public.seat_status as enum ('active', 'suspended');
    alter table public.memberships drop constraint memberships_status_check;
    alter table public.memberships alter column status drop default;
    drop policy select_member on public.organizations;
    create or replace function private.is_member(org uuid) returns boolean
    language sql stable security definer set search_path = '' as $$ select false $$;
    alter table public.memberships
        alter column status type public.seat_status using 'active',
        alter column status set default 'active';
    create or replace function private.is_member(org uuid) returns boolean
    language sql stable security definer set search_path = '' as $$
        select exists (
            select 1 from public.memberships as m
            where m.organization_id = org and m.user_id = (select auth.uid())
              and m.status <> 'suspended' and m.deleted_at is null)
    $$;
    create or replace function private.has_role(org uuid, wanted public.member_role[])
    returns boolean language sql stable security definer set search_path = '' as $$
        select exists (
            select 1 from public.memberships as m
            where m.organization_id = org and m.user_id = (select auth.uid())
              and m.status <> 'suspended' and m.deleted_at is null and m.role = any (wanted))
    $$;
    create policy select_member on public.organizations for select to authenticated
    using (private.is_member(id));
    """
    assert [f.title for f in judge("helper", text, proven=True).findings] == []


def test_the_least_role_that_may_change_any_role_is_found(judge: Judge) -> None:
    text = """
    alter policy update_owner on public.memberships
    using (private.is_member(organization_id)) with check (private.is_member(organization_id));
    """
    found = judge("helper", text).findings
    assert "escalation.self" in {f.rule for f in found}


def test_a_person_without_a_profile_takes_somebody_else_s_invitation(judge: Judge) -> None:
    text = """
    alter table public.memberships add constraint memberships_profile_fkey
    foreign key (user_id) references public.profiles (id) not valid;
    create table public.invitations (
        id uuid primary key default gen_random_uuid(),
        organization_id uuid not null references public.organizations (id) on delete cascade,
        email text not null,
        token text not null unique default encode(sha256('x'), 'hex'),
        accepted_at timestamptz
    );
    alter table public.invitations enable row level security;
    revoke all on public.invitations from anon, authenticated;
    create function public.accept(p_token text) returns uuid
    language plpgsql security definer set search_path = '' as $$
    declare v_found public.invitations;
    begin
        select i.* into v_found from public.invitations as i
        where i.token = p_token and i.accepted_at is null {hers};
        if v_found.id is null then
            raise exception 'no such invitation' using errcode = '42501';
        end if;
        insert into public.memberships (organization_id, user_id, role)
        values (v_found.organization_id, auth.uid(), 'member') on conflict do nothing;
        update public.invitations set accepted_at = now() where id = v_found.id;
        return v_found.organization_id;
    end $$;
    revoke execute on function public.accept(text) from public, anon;
    grant execute on function public.accept(text) to authenticated;
    """
    hers = "and lower(i.email) = lower(auth.jwt() ->> 'email')"
    assert [f.title for f in judge("helper", text.replace("{hers}", hers)).findings] == []
    (found,) = judge("helper", text.replace("{hers}", "")).findings
    assert found.object == "public.accept(text)"


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (MIRROR.format(same=""), ["trigger.writes"]),
        (MIRROR.format(same="and c.organization_id = new.organization_id"), []),
        (NEWS.format(**OF_ALL), ["trigger.writes"]),
        (NEWS.format(**OF_ONE), []),
        # A mark of the row says that it is for all; or nobody reads what was written.
        (NEWS.format(**ASKED), []),
        (NEWS.format(**UNREAD), []),
    ],
    ids=["alike", "alike in one", "told to all", "told to its own", "announced", "unread"],
)
def test_a_trigger_tells_no_other_tenant(judge: Judge, change: str, rules: list[str]) -> None:
    assert [f.rule for f in judge("helper", change).findings] == rules
