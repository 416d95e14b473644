"""Intent that the catalog still shows elsewhere: each rule, and what it must not say."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

MEMBER = "private.is_member(organization_id)"
ADMIN = "private.has_role(organization_id, '{owner,admin}')"

TEMPLATES = f"""
create table public.templates (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid references public.organizations (id) on delete cascade,
    said text not null
);
alter table public.templates enable row level security;
create policy look on public.templates for select to authenticated
using (organization_id is null or {MEMBER});
"""
WRITER = "private.has_role(organization_id, '{owner,admin,member}')"
HELD = (
    "exists (select from public.memberships as m"
    " where m.user_id = auth.uid() and m.role <> 'viewer' and m.status = 'active'"
    " and m.deleted_at is null)"
)
ORPHANED = f"({WRITER} or (organization_id is null and {HELD}))"


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (f"create policy own on public.templates for all to authenticated using ({WRITER})", []),
        (
            "create policy own on public.templates for update to authenticated using"
            f" {ORPHANED} with check {ORPHANED}",
            ["shared.rows"],
        ),
        (
            f"create policy own on public.templates for delete to authenticated using {ORPHANED}",
            ["shared.rows"],
        ),
        (
            "create policy own on public.templates for insert to authenticated with check"
            f" {ORPHANED}",
            ["shared.rows"],
        ),
        # Nobody else sees them: then they are drafts, not what all share.
        (
            "drop policy look on public.templates;"
            f" create policy look on public.templates for select to authenticated using ({MEMBER});"
            f" create policy own on public.templates for insert to authenticated with check"
            f" {ORPHANED}",
            [],
        ),
    ],
)
def test_rows_of_nobody_are_nobodys_to_write(judge: Judge, change: str, rules: list[str]) -> None:
    assert [f.rule for f in judge("helper", TEMPLATES + change).findings] == rules


DOMAIN = """
alter table public.organizations add column domain text, add column by_domain boolean
not null default false;
create function private.join_by_domain() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    insert into public.memberships (organization_id, user_id, role)
    select o.id, new.id, 'viewer' from public.organizations as o
    where o.by_domain and o.domain = split_part(new.email, '@', 2) {confirmed};
    return new;
end $$;
create trigger join_by_domain after insert or update of email_confirmed_at on auth.users
for each row execute function private.join_by_domain();
"""


@pytest.mark.parametrize(
    ("confirmed", "rules"),
    [("and new.email_confirmed_at is not null", []), ("", ["escalation.domain"])],
)
def test_an_address_nobody_confirmed_opens_no_tenant(
    judge: Judge, confirmed: str, rules: list[str]
) -> None:
    report = judge("helper", DOMAIN.format(confirmed=confirmed))
    assert [f.rule for f in report.findings] == rules


REGIONS = """
create table public.regions (code text primary key, name text not null);
alter table public.regions enable row level security;
create policy look on public.regions for select to authenticated using (true);
create table private.staff (user_id uuid primary key references auth.users (id));
create function private.is_staff() returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select from private.staff as s where s.user_id = (select auth.uid()))
$$;
alter type public.member_role add value 'curator';
create policy change on public.regions for {command} to authenticated {clause} ({term});
"""
SEAT = (
    "exists (select from public.memberships as m where m.user_id = (select auth.uid())"
    " and m.status = 'active' and m.deleted_at is null {role})"
)


@pytest.mark.parametrize(
    ("command", "clause"), [("update", "using"), ("delete", "using"), ("insert", "with check")]
)
@pytest.mark.parametrize(
    ("term", "rules"),
    [
        ("private.is_staff()", []),
        (SEAT.format(role="and m.role::text = 'member'"), ["shared.rows"]),
        (SEAT.format(role=""), ["shared.rows"]),
        # No row of a tenant knows this role: the vendor's own people may have it.
        (SEAT.format(role="and m.role::text = 'curator'"), []),
    ],
)
def test_a_seat_in_one_tenant_does_not_write_what_all_share(
    judge: Judge, command: str, clause: str, term: str, rules: list[str]
) -> None:
    change = REGIONS.format(command=command, clause=clause, term=term)
    assert [f.rule for f in judge("helper", change).findings] == rules


ARRIVAL = """
create function private.arrive() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    insert into public.people (id, nickname, standing)
    values (new.id, new.raw_user_meta_data ->> 'nickname', {standing})
    on conflict do nothing;
    return new;
end $$;
create trigger arrive after insert on auth.users
for each row execute function private.arrive();
"""
ASKED = "coalesce(new.raw_user_meta_data ->> 'standing', 'guest')"


@pytest.mark.parametrize(("standing", "rules"), [("'guest'", []), (ASKED, ["escalation.signup"])])
def test_the_sign_up_form_gives_no_rights(judge: Judge, standing: str, rules: list[str]) -> None:
    report = judge("profiles", ARRIVAL.format(standing=standing))
    assert [f.rule for f in report.findings] == rules


JOINING = """
create function private.arrive() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    {body}
    return new;
end $$;
create trigger arrive after insert on auth.users
for each row execute function private.arrive();
"""
OWN = """
    insert into public.organizations (id, slug, name) values (
        gen_random_uuid(), 'hz-' || left(new.id::text, 8),
        coalesce(new.raw_user_meta_data ->> 'company', 'My company'));
    insert into public.memberships (organization_id, user_id, role)
    select o.id, new.id, 'owner' from public.organizations as o
    where o.slug = 'hz-' || left(new.id::text, 8);
"""
ANY = """
    if new.raw_user_meta_data ->> 'company_id' is not null then
        insert into public.memberships (organization_id, user_id)
        values ((new.raw_user_meta_data ->> 'company_id')::uuid, new.id);
    end if;
"""


@pytest.mark.parametrize(("body", "rules"), [(OWN, []), (ANY, ["escalation.signup"])])
def test_signing_up_founds_a_tenant_and_joins_none(
    judge: Judge, body: str, rules: list[str]
) -> None:
    report = judge("helper", JOINING.format(body=body))
    assert [f.rule for f in report.findings] == rules


FACTOR = """
create policy sure on public.deals as restrictive for {command} to authenticated {clauses};
"""
AAL2 = "(select auth.jwt() ->> 'aal') = 'aal2'"
ENROLLED = """
create function private.needed() returns text[]
language sql stable security definer set search_path = '' as $$
    select case when count(f.id) > 0 then array['aal2'] else array['aal1', 'aal2'] end
    from auth.mfa_factors as f where f.user_id = auth.uid() and f.status = 'verified'
$$;
create policy sure on public.deals as restrictive for all to authenticated
using ((auth.jwt() ->> 'aal') = any (private.needed()));
"""


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (FACTOR.format(command="all", clauses=f"using ({AAL2})"), []),
        (FACTOR.format(command="all", clauses="using ((auth.jwt() ->> 'aal') is not null)"),
         ["claims.unheeded"]),
        (FACTOR.format(command="insert", clauses=f"with check ({AAL2})"), ["claims.around"]),
        (FACTOR.format(command="delete", clauses=f"using ({AAL2})"), []),  # a step-up
        (ENROLLED, []),
        (FACTOR.format(
            command="insert",
            clauses="with check ((auth.jwt() ->> 'is_anonymous')::boolean is not true)"), []),
        (FACTOR.format(
            command="insert", clauses="with check (auth.jwt() ? 'is_anonymous')"),
         ["claims.unheeded"]),
    ],
)  # fmt: skip
def test_a_claim_that_is_asked_for_decides(judge: Judge, change: str, rules: list[str]) -> None:
    assert [f.rule for f in judge("helper", change).findings] == rules


def test_a_claim_that_no_token_has_shuts_everybody_out(judge: Judge) -> None:
    other = """
    create table public.rooms (
        id uuid primary key default gen_random_uuid(),
        workspace_id uuid not null references public.workspaces (id)
    );
    alter table public.rooms enable row level security;
    create policy r on public.rooms to authenticated
    using (workspace_id = ((select auth.jwt()) -> 'app_metadata' ->> '{key}')::uuid);
    """
    assert judge("claims", other.format(key="workspace_id")).findings == ()
    (found,) = judge("claims", other.format(key="workspaceId")).findings
    assert (found.rule, found.object) == ("denied.everybody", "public.rooms")


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ("alter table public.settings add storage_quota int not null default 5",
         ["escalation.given"]),
        ("alter table public.settings add is_verified boolean not null default false",
         ["escalation.given"]),
        ("alter table public.settings add storage_quota int not null default 5;"
         " revoke update on public.settings from authenticated, anon;"
         " grant update (theme) on public.settings to authenticated", []),
        ("alter table public.settings add font_size int not null default 5", []),
    ],
)  # fmt: skip
def test_what_others_give_is_not_taken(judge: Judge, change: str, rules: list[str]) -> None:
    assert [f.rule for f in judge("owners", change).findings] == rules


VIEW = """
create view public.contact_names {options} as
select c.email, c.full_name from public.contacts as c
where private.is_member(c.organization_id){more};
revoke all on public.contact_names from anon, authenticated;
grant select on public.contact_names to authenticated;
"""


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ("", ["view.barrier"]),
        ("with (security_barrier)", []),
        ("with (security_invoker = true)", []),
    ],
)
def test_a_view_that_hides_rows_is_a_barrier(judge: Judge, options: str, rules: list[str]) -> None:
    report = judge("helper", VIEW.format(options=options, more=""))
    assert [f.rule for f in report.findings] == rules


MEMO = """
create table public.memos (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    confidential boolean not null default false,
    said text not null
);
alter table public.memos enable row level security;
create policy look on public.memos for select to authenticated
"""


@pytest.mark.parametrize(
    ("condition", "rules"),
    [
        (f"{MEMBER} and (not confidential or {ADMIN})", []),
        (f"{MEMBER} or (confidential and {ADMIN})", ["policy.inert"]),
        (MEMBER, []),
    ],
)
def test_a_flag_that_is_asked_for_decides(judge: Judge, condition: str, rules: list[str]) -> None:
    assert [f.rule for f in judge("helper", f"{MEMO} using ({condition})").findings] == rules


def test_a_helper_heeds_what_it_is_asked(judge: Judge) -> None:
    body = """
    create or replace function private.has_role(org uuid, wanted public.member_role[])
    returns boolean language sql stable security definer set search_path = '' as $$
        select exists (
            select 1 from public.memberships m
            where m.organization_id = org and m.user_id = (select auth.uid())
              and m.status = 'active' and m.deleted_at is null and (m.role = any (wanted) or {or_}))
    $$;
    """
    assert judge("helper", body.format(or_="false")).findings == ()
    found = judge("helper", body.format(or_="wanted is not null")).findings
    assert "helper.inert" in [f.rule for f in found]


def test_a_list_is_not_joined_by_who_is_not_on_it(judge: Judge) -> None:
    join = """
    grant insert on public.team_people to authenticated;
    create policy j on public.team_people for insert to authenticated with check ({condition});
    """
    mine = "person_id = (select auth.uid())"
    ours = (
        "team_id in (select t.id from public.teams as t where t.org_id = (select public.my_org()))"
    )
    assert judge("teams").findings == ()
    found = judge("teams", join.format(condition=f"{mine} and {ours}")).findings
    assert [f.rule for f in found] == ["escalation.list"]


def test_contents_are_hidden_with_what_holds_them(judge: Judge) -> None:
    boxes = """
    create table public.boxes (
        id uuid primary key default gen_random_uuid(),
        team_id uuid not null references public.teams (id) on delete cascade
    );
    create table public.papers (
        id uuid primary key default gen_random_uuid(),
        box_id uuid not null references public.boxes (id) on delete cascade,
        said text not null
    );
    create function public.box_in_my_org(box uuid) returns boolean
    language sql stable security definer set search_path = '' as $$
        select exists (
            select from public.boxes as b join public.teams as t on t.id = b.team_id
            where b.id = box and t.org_id = (select public.my_org()))
    $$;
    alter table public.boxes enable row level security;
    alter table public.papers enable row level security;
    create policy b on public.boxes for select to authenticated
    using (team_id in (select public.my_teams()));
    create policy p on public.papers for select to authenticated using ({condition});
    """
    held = "box_id in (select b.id from public.boxes as b)"
    assert judge("teams", boxes.format(condition=held)).findings == ()
    found = judge("teams", boxes.format(condition="public.box_in_my_org(box_id)")).findings
    assert [(f.rule, f.object) for f in found if f.rule == "nested.beyond"] == [
        ("nested.beyond", "public.papers")
    ]


def test_a_new_row_can_be_returned(judge: Judge) -> None:
    change = """
    drop policy own on public.lists;
    create policy s on public.lists for select using (auth.uid() = user_id {more});
    create policy i on public.lists for insert with check (auth.uid() = user_id);
    """
    assert judge("owners", change.format(more="")).findings == ()
    helper = """
    create schema private;
    grant usage on schema private to authenticated, anon;
    create function private.used(list uuid) returns boolean
    language sql stable security definer set search_path = '' as $$
        select exists (select from public.items as i where i.list_id = list)
    $$;
    """
    found = judge("owners", helper + change.format(more="and private.used(id)")).findings
    assert [(f.rule, f.object) for f in found] == [("denied.returning", "public.lists")]


COUNT = """
create function public.tally(source text, condition text) returns bigint
language plpgsql security {rights} set search_path = public as $$
declare answer bigint;
begin
    execute format('select count(*) from %I where %s', source, condition) into answer;
    return answer;
end $$;
revoke execute on function public.tally(text, text) from public, anon;
grant execute on function public.tally(text, text) to authenticated;
"""


@pytest.mark.parametrize(("rights", "rules"), [("definer", ["rpc.dynamic"]), ("invoker", [])])
def test_a_condition_given_as_text_is_tried(judge: Judge, rights: str, rules: list[str]) -> None:
    assert [f.rule for f in judge("helper", COUNT.format(rights=rights)).findings] == rules
