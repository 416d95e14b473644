"""Functions that serve one role, or rows in one state, next to their sound twins."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

ROLE = """
create function public.recent(p_org uuid) returns setof text
language plpgsql stable security definer set search_path = '' as $$
begin
    if not exists (
        select from public.memberships as m
        where m.user_id = auth.uid() and m.role = '{role}' and m.status = 'active'
            and m.deleted_at is null {here}
    ) then
        raise exception 'not yours' using errcode = '42501';
    end if;
    return query select c.full_name from public.contacts as c where c.organization_id = p_org;
end $$;
revoke execute on function public.recent(uuid) from public, anon;
grant execute on function public.recent(uuid) to authenticated;
"""


@pytest.mark.parametrize("role", ["admin", "member"])
def test_a_role_that_a_function_honours_wherever_it_is_held(judge: Judge, role: str) -> None:
    sound = judge("helper", ROLE.format(role=role, here="and m.organization_id = p_org"))
    leaking = judge("helper", ROLE.format(role=role, here=""))
    assert [f.title for f in sound.findings] == []
    assert not any("recent" in n.reason for n in sound.not_judged)
    (found,) = leaking.findings
    assert (found.object, found.actors) == ("public.recent(uuid)", (f"A.{role}",))


TASKS = """
create table public.tasks (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    title text not null,
    status text not null default 'open' check (status in ('open', 'done', 'lost', 'kept')),
    kept_at timestamptz,
    shown boolean not null default false,
    check ((status = 'kept') = (kept_at is not null))
);
alter table public.tasks enable row level security;
create policy look on public.tasks for select to authenticated
using (private.is_member(organization_id));
create policy change on public.tasks for all to authenticated
using (private.has_role(organization_id, '{owner}'));
grant select on public.tasks to authenticated;
"""
BY_STATE = (
    """
create function public.tidy() returns void
language sql security definer set search_path = '' as $$
    delete from public.tasks as t where t.status = 'lost' and not t.shown {same}
$$;
""",
    """
create function public.tidy(p_task uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
    delete from public.tasks as t where t.id = p_task and t.status in ('lost') {same};
end $$;
""",
    """
create function public.tidy(p_task uuid) returns text
language plpgsql security definer set search_path = '' as $$
begin
    if exists (select from public.tasks as t where t.id = p_task and t.status = 'kept') then
        raise exception 'it is kept' using errcode = '22023';
    end if;
    return (
        select t.title from public.tasks as t
        where t.id = p_task and t.shown and t.kept_at is null {same}
    );
end $$;
""",
)


@pytest.mark.parametrize("body", BY_STATE)
def test_a_function_that_only_looks_at_rows_in_one_state(judge: Judge, body: str) -> None:
    same = "and private.has_role(t.organization_id, '{owner}')"
    sound = judge("helper", TASKS + body.format(same=same))
    leaking = judge("helper", TASKS + body.format(same=""))
    assert [f.title for f in sound.findings] == []
    (found,) = leaking.findings
    assert (found.rule, found.kind) == ("rpc", "breach")
    assert "update" in found.script


def test_what_everybody_may_see_by_its_flag_is_open_to_functions_as_well(judge: Judge) -> None:
    body = """
    create policy listed on public.tasks for select to anon, authenticated using (is_public);
    create function public.listed(p_task uuid) returns text
    language sql stable security definer set search_path = '' as $$
        select t.title from public.tasks as t
        where t.id = p_task and t.is_public and t.status = 'kept'
    $$;
    """
    report = judge("helper", TASKS.replace("shown", "is_public") + body)
    assert [f.title for f in report.findings] == []


KNOWN = """
create function public.known(p_org uuid, p_address text) returns boolean
language sql stable security definer set search_path = '' as $$
    select private.is_member(p_org) and exists (
        select from public.contacts as c where lower(trim(c.email)) = lower(p_address) {same}
    )
$$;
revoke execute on function public.known(uuid, text) from public, anon;
grant execute on function public.known(uuid, text) to authenticated;
"""
SEATS = """
create function public.seats(p_address text) returns setof text
language sql stable security definer set search_path = '' as $$
    select o.name from auth.users as u
    join public.memberships as m on m.user_id = u.id
    join public.organizations as o on o.id = m.organization_id
    where lower(p_address) = lower(u.email) {same}
$$;
revoke execute on function public.seats(text) from public, anon;
grant execute on function public.seats(text) to authenticated;
"""


@pytest.mark.parametrize(
    ("function", "same", "kind"),
    [
        (KNOWN, "and c.organization_id = p_org", "oracle"),
        (SEATS, "and private.is_member(o.id)", "breach"),
    ],
)
def test_an_address_that_is_compared_however_it_is_spelled(
    judge: Judge, function: str, same: str, kind: str
) -> None:
    sound = judge("helper", function.format(same=same))
    leaking = judge("helper", function.format(same=""))
    assert [f.title for f in sound.findings] == []
    assert [f.kind for f in leaking.findings] == [kind]


def test_a_person_who_is_named_by_an_address_may_be_seated(judge: Judge) -> None:
    report = judge(
        "helper",
        """
        create function public.seat(p_org uuid, p_address text) returns void
        language plpgsql security definer set search_path = '' as $$
        declare
            v_user uuid;
        begin
            if not private.has_role(p_org, '{owner}') then
                raise exception 'not yours' using errcode = '42501';
            end if;
            select u.id into v_user from auth.users as u where lower(u.email) = lower(p_address);
            if v_user is not null then
                insert into public.memberships (organization_id, user_id)
                values (p_org, v_user) on conflict do nothing;
            end if;
        end $$;
        revoke execute on function public.seat(uuid, text) from public, anon;
        grant execute on function public.seat(uuid, text) to authenticated;
        """,
    )
    assert [f.title for f in report.findings] == []
