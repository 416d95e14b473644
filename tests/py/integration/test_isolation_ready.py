"""Rights that triggers keep ready: the seats come about, change and end before it is tried."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

from harmonia_py.engines import Database
from harmonia_py.isolation import runner
from harmonia_py.isolation.infer import infer
from harmonia_py.isolation.introspect import introspect

_KEEP = """create or replace function private.keep_rights() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op <> 'INSERT' then
        delete from private.rights r
        where r.organization_id = old.organization_id and r.user_id = old.user_id;
    end if;
    if tg_op <> 'DELETE' {unless} then
        insert into private.rights
        values (new.organization_id, new.user_id, new.role in ('owner', 'member'))
        on conflict (user_id, organization_id) do nothing;
    end if;
    return null;
end $$;
"""
_TRIGGER = """drop trigger keep_rights on public.memberships;
create trigger keep_rights after {events} on public.memberships
for each row execute function private.keep_rights();
"""
LEAKS = {
    "it forgets the status": (_KEEP.format(unless=""), "lifecycle.ignored", "A.suspended"),
    "it never hears of a change": (
        _TRIGGER.format(events="insert or delete"),
        "lifecycle.access",
        "A.suspended",
    ),
    "it never hears of an end": (
        _TRIGGER.format(events="insert or update"),
        "lifecycle.access",
        "A.removed",
    ),
    "it never hears of a lesser role": (
        _TRIGGER.format(events="insert or delete or update of status"),
        "role.reader",
        "A.viewer",
    ),
}
HARMLESS = {
    "one owner each": "create unique index on public.memberships (organization_id)"
    " where role = 'owner'",
    "in loads as well": "alter table public.memberships enable always trigger keep_rights",
}


@pytest.mark.parametrize("name", LEAKS)
def test_what_is_stale_is_found(judge: Judge, name: str) -> None:
    change, rule, actor = LEAKS[name]
    found = {f.rule: f for f in judge("ready", change).findings}
    assert rule in found, list(found)
    assert actor in found[rule].actors


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_kept_up_is_silent(judge: Judge, name: str) -> None:
    report = judge("ready", HARMLESS[name])
    assert (report.findings, report.errors) == ((), ())
    controls = {c.table: set(c.controls) for c in report.coverage}
    assert controls["public.contacts"] == {"select", "insert", "update", "delete"}


def test_the_seats_are_what_the_trigger_is_on(isolation_databases: dict[str, Database]) -> None:
    with isolation_databases["ready"].connect_admin() as conn:
        model = infer(introspect(conn))
        assert [m.table for m in model.memberships] == ["public.memberships"]
        assert model.memberships[0].status == "status"


def test_rights_are_made_up_where_a_project_lets_no_seat_come_about(
    isolation_databases: dict[str, Database],
) -> None:
    refuse = """
    create function private.refuse() returns trigger language plpgsql as $$
    begin raise exception 'not today'; end $$;
    create trigger refuse before insert on public.memberships
    for each row execute function private.refuse();
    """
    with isolation_databases["ready"].connect_admin() as conn:
        conn.execute(refuse)
        with runner.laboratory(conn) as lab:
            assert lab.fixtures.errors == {}
            assert {r.owner for r in lab.fixtures.rows["private.rights"]} == {"A", "B"}
            assert {r.owner for r in lab.fixtures.rows["public.memberships"]} == {"A", "B"}
        conn.rollback()
