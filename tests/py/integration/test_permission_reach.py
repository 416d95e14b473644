"""What a permission table allows is tried until it was seen, and missed when it never is."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

from harmonia_py.isolation.model import PermissionTable, TableModel, TenancyModel

# A note belongs to its folder's owner: a trigger says so, the client cannot.
SCHEMA = """
create table public.may (role text not null, permission text not null,
    primary key (role, permission));
insert into public.may values
    ('owner', 'read'), ('admin', 'read'), ('member', 'read'), ('viewer', 'read'),
    ('owner', 'write'), ('admin', 'write'), ('member', 'write_own');
create table public.folders (
    organization_id uuid not null references public.organizations (id),
    id uuid not null default gen_random_uuid(),
    owner_id uuid not null references auth.users (id),
    primary key (organization_id, id));
create table public.notes_in (
    organization_id uuid not null, id uuid not null default gen_random_uuid(),
    folder_id uuid not null, owner_id uuid, primary key (organization_id, id),
    foreign key (organization_id, folder_id) references public.folders (organization_id, id));
alter table public.folders enable row level security;
alter table public.notes_in enable row level security;
revoke all on public.folders, public.notes_in, public.may from anon, authenticated;
grant select on public.folders, public.notes_in to authenticated;
grant insert (organization_id, id, folder_id) on public.notes_in to authenticated;
create function public.tg_owner() returns trigger language plpgsql
security definer set search_path = '' as $$ begin
    select f.owner_id into new.owner_id from public.folders as f
    where f.organization_id = new.organization_id and f.id = new.folder_id;
    return new;
end $$;
revoke execute on function public.tg_owner() from public, anon, authenticated;
create trigger tg_owner before insert on public.notes_in
for each row execute function public.tg_owner();
create function private.may(org uuid, wanted text) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.memberships as m join public.may as p on p.role = m.role::text
        where m.organization_id = org and m.user_id = (select auth.uid())
        and m.status = 'active' and m.deleted_at is null and p.permission = wanted)
$$;
create policy s on public.folders for select to authenticated
using (private.may(organization_id, 'read'));
create policy s on public.notes_in for select to authenticated
using (private.may(organization_id, 'read'));
create policy i on public.notes_in for insert to authenticated with check (
    private.may(organization_id, 'write')
    or (owner_id = (select auth.uid()) and private.may(organization_id, 'write_own')));
"""
MODEL = TenancyModel(
    None,
    permission_tables=(PermissionTable("public.may", "role", "permission"),),
    tables={
        "public.notes_in": TableModel(
            "public.notes_in",
            "tenant",
            ("organization_id",),
            permissions={"select": ("read",), "insert": ("write",)},
            own={"insert": ("write_own",)},
            owner="owner_id",
        )
    },
)


def test_one_s_own_parent_is_offered(judge: Judge) -> None:
    report = judge("helper", SCHEMA, model=MODEL)
    assert [(f.rule, f.object, f.evidence) for f in report.findings] == []
    cells = {
        (c.actor, c.command): c.actual
        for c in report.cells
        if c.table == "public.notes_in" and c.scope == "own"
    }
    assert cells["A.member", "insert"] == "allow"
    assert cells["A.viewer", "insert"] == "deny"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("delete from public.may where permission = 'write_own'", None),
        (
            "alter policy i on public.notes_in with check (private.may(organization_id, 'write'))",
            "permission.denied",
        ),
        (
            "alter policy i on public.notes_in with check (private.may(organization_id, 'read'))",
            "permission.excess",
        ),
    ],
)
def test_both_directions(judge: Judge, change: str, rule: str | None) -> None:
    report = judge("helper", f"{SCHEMA}; {change}", model=MODEL)
    found = {f.rule for f in report.findings if f.object == "public.notes_in"}
    assert found == ({rule} if rule else set())


def test_no_cell_contradicts_a_clean_verdict(judge: Judge) -> None:
    report = judge("helper", SCHEMA, model=MODEL)
    assert report.safe
    assert [c for c in report.cells if not c.ok] == []
