"""Files and channels that a role held anywhere opens, that a move reaches, that a row names."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

#: A member with the second weakest role, of any organization.
HELD = (
    "exists (select from public.memberships as m where m.user_id = auth.uid()"
    " and m.role = 'member' and m.status = 'active' and m.deleted_at is null)"
)
FOLDER = "private.is_member(((storage.foldername(name))[1])::uuid)"
BUCKET = """
insert into storage.buckets (id, name) values ('hz', 'hz');
create policy hz_read on storage.objects for select to authenticated
using (bucket_id = 'hz' and {read});
"""


@pytest.mark.parametrize(
    ("command", "clause"),
    [("select", "using"), ("insert", "with check"), ("update", "using"), ("delete", "using")],
)
@pytest.mark.parametrize(("of", "rules"), [(f"{FOLDER} and {HELD}", []), (HELD, ["storage"])])
def test_no_role_counts_for_files_of_another_tenant(
    judge: Judge, command: str, clause: str, of: str, rules: list[str]
) -> None:
    change = (
        f"create policy hz on storage.objects for {command} to authenticated {clause}"
        f" (bucket_id = 'hz' and {of})"
    )
    report = judge("helper", BUCKET.format(read=FOLDER) + change)
    assert [f.rule for f in report.findings] == rules


OWN = f"{FOLDER} and (storage.foldername(name))[2] = (select auth.uid())::text"


@pytest.mark.parametrize(("check", "rules"), [(OWN, []), ("true", ["storage"])])
def test_a_file_stays_where_its_owner_may_write(judge: Judge, check: str, rules: list[str]) -> None:
    change = (
        "create policy hz on storage.objects for update to authenticated"
        f" using (bucket_id = 'hz' and {OWN}) with check (bucket_id = 'hz' and {check})"
    )
    report = judge("helper", BUCKET.format(read=OWN) + change)
    assert [f.rule for f in report.findings] == rules
    assert "storage bucket hz" not in [n.object for n in report.not_judged]


PAPERS = """
create table public.papers (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    path text not null {held}
);
alter table public.papers enable row level security;
create policy look on public.papers for select to authenticated
using (private.is_member(organization_id));
create policy add on public.papers for insert to authenticated
with check (private.has_role(organization_id, '{{owner,admin,member}}'));
""" + BUCKET.format(
    read="exists (select from public.papers as p where p.path = objects.name"
    " and private.is_member(p.organization_id))"
)

OPENED = """
create function private.opened(p_name text) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select from public.papers as p
        where p.path = p_name and private.is_member(p.organization_id)
    )
$$;
alter policy hz_read on storage.objects using (bucket_id = 'hz' and private.opened(name));
"""


@pytest.mark.parametrize("helper", ["", OPENED])
@pytest.mark.parametrize(
    ("held", "rules"),
    [
        ("check (path like organization_id::text || '/%')", []),
        ("", ["storage"]),
    ],
)
def test_a_row_that_names_a_file_does_not_open_it(
    judge: Judge, held: str, rules: list[str], helper: str
) -> None:
    report = judge("helper", PAPERS.format(held=held) + helper)
    assert [f.rule for f in report.findings] == rules


IN_TOPIC = (
    "(select realtime.topic()) like 'room:%' and private.is_member("
    "split_part((select realtime.topic()), ':', 2)::uuid)"
)


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (f"for select to authenticated using ({IN_TOPIC} and {HELD})", []),
        (
            f"for select to authenticated using (realtime.topic() like 'room:%' and {HELD})",
            ["realtime"],
        ),
        (f"for insert to authenticated with check ({IN_TOPIC} and extension = 'presence')", []),
        (
            f"for insert to authenticated with check (extension = 'presence' or {IN_TOPIC})",
            ["realtime"],
        ),
        (
            "for insert to authenticated with check (extension <> 'broadcast' or (extension ="
            f" 'broadcast' and {IN_TOPIC}))",
            ["realtime"],
        ),
        (f"for select to authenticated using (extension = 'presence' or {IN_TOPIC})", ["realtime"]),
    ],
)
def test_no_role_and_no_extension_opens_a_channel_of_another_tenant(
    judge: Judge, change: str, rules: list[str]
) -> None:
    report = judge("helper", f"create policy hz on realtime.messages {change}")
    assert [f.rule for f in report.findings] == rules
