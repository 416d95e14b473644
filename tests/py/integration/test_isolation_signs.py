"""What only a sign gives away: records, credentials, names of roles, tokens that went stale."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

AUDIT = """
create table public.audit_log (
    id bigint generated always as identity primary key,
    organization_id uuid not null references public.organizations (id) on delete cascade,
    actor_id uuid,
    action text not null
);
create function private.record() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    insert into public.audit_log (organization_id, actor_id, action)
    values (new.organization_id, auth.uid(), tg_op);
    return new;
end $$;
create trigger record after insert or update on public.deals
for each row execute function private.record();
alter table public.audit_log enable row level security;
revoke all on public.audit_log from anon, authenticated;
grant select on public.audit_log to authenticated;
create policy read on public.audit_log for select to authenticated
using (private.is_member(organization_id));
"""
TRIVIAL = "(private.is_member(organization_id))"


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ("", []),
        (
            "grant insert on public.audit_log to authenticated; create policy add on"
            f" public.audit_log for insert to authenticated with check {TRIVIAL}",
            ["record"],
        ),
        (
            "grant insert on public.audit_log to authenticated; create policy add on"
            f" public.audit_log for insert to authenticated with check ({TRIVIAL}"
            " and actor_id = auth.uid())",
            [],
        ),
        (
            "grant delete on public.audit_log to authenticated; create policy tidy on"
            " public.audit_log for delete to authenticated using"
            " (private.has_role(organization_id, '{owner}'))",
            ["record"],
        ),
    ],
)
def test_a_record_must_not_be_written_by_hand(judge: Judge, change: str, rules: list[str]) -> None:
    assert [f.rule for f in judge("helper", AUDIT + change).findings] == rules


KEYS = """
create table public.api_keys (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    label text not null,
    token_hash text not null unique
);
alter table public.api_keys enable row level security;
revoke all on public.api_keys from anon, authenticated;
grant select (id, organization_id, label), insert on public.api_keys to authenticated;
create policy read on public.api_keys for select to authenticated
using (private.is_member(organization_id));
create policy add on public.api_keys for insert to authenticated
with check (private.has_role(organization_id, '{owner,admin}'));
"""


def test_a_credential_must_not_be_readable(judge: Judge) -> None:
    # The unique key over all hashes is no oracle: whoever knows a hash holds the token.
    assert judge("helper", KEYS).findings == ()
    (found,) = judge("helper", KEYS + "grant select on public.api_keys to authenticated").findings
    assert (found.rule, found.object) == ("column.credential", "public.api_keys")


def test_a_bearer_token_is_for_those_who_issue_it(judge: Judge) -> None:
    redeem = """
    create function public.redeem(p_token text) returns boolean
    language sql security definer set search_path = '' as $$
        select exists (select from public.api_keys k where k.token = p_token)
    $$;
    """
    tokens = KEYS.replace("token_hash text", "token text") + redeem
    every = tokens + "grant select on public.api_keys to authenticated;"
    assert "column.credential" in {f.rule for f in judge("helper", every).findings}
    issuers = every + (
        "alter policy read on public.api_keys using"
        " (private.has_role(organization_id, '{owner,admin}'))"
    )
    assert judge("helper", issuers).findings == ()


def test_a_role_named_after_reading_must_not_write(judge: Judge) -> None:
    open_update = f"alter policy update_member on public.deals using {TRIVIAL} with check {TRIVIAL}"
    (found,) = judge("helper", open_update).findings
    assert (found.rule, found.object) == ("role.reader", "public.deals")
    assert found.actors == ("A.viewer",)


def test_a_role_read_from_user_metadata_is_found_inside_the_tenant(judge: Judge) -> None:
    change = """
    create or replace function private.has_role(org uuid, wanted public.member_role[])
    returns boolean language sql stable security definer set search_path = '' as $$
        select exists (
            select 1 from public.memberships m
            where m.organization_id = org and m.user_id = (select auth.uid())
              and m.status = 'active' and m.deleted_at is null
              and coalesce(auth.jwt() -> 'user_metadata' ->> 'role', m.role::text)
                  = any (wanted::text[]))
    $$"""
    assert {f.rule for f in judge("helper", change).findings} == {"claims.forged"}


TOKEN = """
create table public.clinics (id uuid primary key, name text not null);
create table public.staff (
    clinic_id uuid not null references public.clinics (id),
    user_id uuid not null references auth.users (id),
    job text not null check (job in ('director', 'nurse')),
    left_at timestamptz,
    primary key (clinic_id, user_id)
);
create type public.reading as (systolic int, diastolic int);
create table public.patients (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid not null references public.clinics (id),
    name text not null,
    pressure public.reading
);
create table public.visits (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid not null references public.clinics (id),
    reason text not null
);
create schema if not exists private;
grant usage on schema private to authenticated;
create or replace function private.clinic() returns uuid
language sql stable security definer set search_path = '' as $$
    select s.clinic_id from public.staff s
    where s.user_id = (select auth.uid()) and s.left_at is null
      and s.clinic_id = (auth.jwt() -> 'app_metadata' ->> 'clinic_id')::uuid
$$;
alter table public.clinics enable row level security;
alter table public.staff enable row level security;
alter table public.patients enable row level security;
alter table public.visits enable row level security;
create policy read on public.clinics for select to authenticated
using (id = (select private.clinic()));
create policy read on public.staff for select to authenticated
using (clinic_id = (select private.clinic()));
create policy read on public.patients for select to authenticated
using (clinic_id = (select private.clinic()));
create policy read on public.visits for select to authenticated
using (clinic_id = (select private.clinic()));
"""


def test_a_token_that_still_names_the_tenant_opens_nothing(judge: Judge) -> None:
    assert judge("empty", TOKEN).findings == ()
    forgot = TOKEN.replace(" and s.left_at is null", "")
    (found,) = judge("empty", forgot).findings
    assert found.rule.startswith("lifecycle.")
    assert set(found.members) >= {"public.patients", "public.visits"}


def test_the_name_of_a_file_is_not_its_folder(judge: Judge) -> None:
    change = """
    insert into storage.buckets (id, name) values ('hz', 'hz');
    create policy hz on storage.objects for select to authenticated using (bucket_id = 'hz'
    and {term});
    """
    folder = (
        "(storage.foldername(name))[1] in (select organization_id::text from"
        " public.memberships where user_id = auth.uid() and status = 'active'"
        " and deleted_at is null)"
    )
    assert judge("helper", change.format(term=folder)).findings == ()
    anywhere = (
        "exists (select from public.memberships m where m.user_id = auth.uid()"
        " and m.status = 'active' and m.deleted_at is null"
        " and objects.name like '%' || m.organization_id || '%')"
    )
    assert [f.rule for f in judge("helper", change.format(term=anywhere)).findings] == ["storage"]
    public = change.format(term=folder) + "update storage.buckets set public = true where id = 'hz'"
    assert [f.rule for f in judge("helper", public).findings] == ["storage.public"]


GROUPS = """
create schema authz;
grant usage on schema authz to authenticated;
create table public.account (
    id bigint generated always as identity primary key, name text not null
);
create table public."group" (
    id bigint generated always as identity primary key,
    "accountId" bigint not null references public.account (id),
    permissions text[] not null default '{task.read}'
);
create table public.users_to_groups (
    "userId" uuid not null references auth.users (id),
    "groupId" bigint not null references public."group" (id),
    primary key ("userId", "groupId")
);
create table public.task (
    id bigint generated always as identity primary key,
    "accountId" bigint not null references public.account (id),
    title text not null
);
create table public.file (
    id bigint generated always as identity primary key,
    "accountId" bigint not null references public.account (id),
    title text not null
);
create function authz.may(account_id bigint, permission text) returns boolean
language plpgsql stable security definer set search_path = '' as $$
begin
    return exists (
        select from public."group" g join public.users_to_groups ug on ug."groupId" = g.id
        where g."accountId" = account_id and ug."userId" = auth.uid()
          and permission = any (g.permissions));
end $$;
alter table public.account enable row level security;
alter table public."group" enable row level security;
alter table public.users_to_groups enable row level security;
alter table public.task enable row level security;
alter table public.file enable row level security;
create policy read on public.account for select to authenticated
using (authz.may(id, 'task.read'));
create policy read on public."group" for select to authenticated
using (authz.may("accountId", 'task.read'));
create policy read on public.users_to_groups for select to authenticated
using (exists (select from public."group" g where g.id = users_to_groups."groupId"));
create policy read on public.task for select to authenticated
using (authz.may("accountId", 'task.read'));
create policy change on public.file for all to authenticated
using (authz.may("accountId", 'file.write'));
"""


def test_people_may_belong_to_groups_of_a_tenant(judge: Judge) -> None:
    report = judge("empty", GROUPS)
    assert report.findings == ()
    assert report.model["tenant_table"] == "public.account"
    assert report.model["paths"]["public.users_to_groups"] == ["groupId", "accountId"]
    anywhere = GROUPS.replace('g."accountId" = account_id and ', "")
    (found,) = judge("empty", anywhere).findings
    assert found.is_breach
    assert found.object == "authz.may(bigint, text)"
