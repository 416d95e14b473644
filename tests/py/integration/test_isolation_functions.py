"""Functions that let in, spell out or add up what they should not, next to their sound twins."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

INVITATIONS = """
create table public.invitations (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    email text not null,
    role public.member_role not null default 'member',
    token_hash text not null unique,
    expires_at timestamptz not null,
    accepted_at timestamptz
);
alter table public.invitations enable row level security;
revoke all on public.invitations from anon, authenticated;
create function public.accept(p_token text) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
    v_hash text := encode(sha256(convert_to(p_token, 'UTF8')), 'hex');
    v_found public.invitations;
begin
    update public.invitations as i set accepted_at = now()
    where i.token_hash = v_hash
    {and_open}
    returning * into v_found;
    if v_found.id is null then
        raise exception 'no such invitation' using errcode = '42501';
    end if;
    insert into public.memberships (organization_id, user_id, role)
    values (v_found.organization_id, auth.uid(), v_found.role);
    return v_found.organization_id;
end $$;
revoke execute on function public.accept(text) from public, anon;
grant execute on function public.accept(text) to authenticated;
"""
FRESH = "and i.accepted_at is null"
TIMELY = "and i.expires_at > now()"
HERS = "and lower(i.email) = lower(auth.jwt() ->> 'email')"


def _function(signature: str, body: str, returns: str = "setof text") -> str:
    name = f"public.{signature}"
    return f"""
    create function {name} returns {returns} language plpgsql stable security definer
    set search_path = '' as $$ begin {body} end $$;
    revoke execute on function {name} from public, anon;
    grant execute on function {name} to authenticated;
    """


def test_a_careful_invitation_is_no_finding_and_is_judged(judge: Judge) -> None:
    report = judge("helper", INVITATIONS.format(and_open=f"{FRESH} {TIMELY} {HERS}"))
    assert [f.title for f in report.findings] == []
    assert not any("accept" in n.reason for n in report.not_judged)


@pytest.mark.parametrize(
    ("conditions", "evidence"),
    [
        (f"{FRESH} {HERS}", "expired"),
        (f"{TIMELY} {HERS}", "accepted_at"),
        (f"{FRESH} {TIMELY}", "somebody whose address it is not"),
        (
            f"{FRESH} {TIMELY} and i.email = auth.jwt() -> 'user_metadata' ->> 'email'",
            "an address in user_metadata",
        ),
        (
            f"{FRESH} {TIMELY} {HERS} or i.id::text = p_token",
            "its id",
        ),
    ],
)
def test_an_invitation_that_lets_the_wrong_one_in(
    judge: Judge, conditions: str, evidence: str
) -> None:
    report = judge("helper", INVITATIONS.format(and_open=conditions))
    (found,) = report.findings
    assert found.rule == "invitation"
    assert evidence in " ".join(found.evidence)


SORTED = "select d.title from public.deals d where private.is_member(d.organization_id) order by "


@pytest.mark.parametrize(
    "body",
    [
        f"return query execute '{SORTED}' || wanted;",
        f"return query execute format('{SORTED} %s', wanted);",
        "return query execute 'select t.title from public.deals as t where t.title = '''"
        " || wanted || ''' and private.is_member(t.organization_id)';",
        "return query execute 'select t::text from ' || wanted || ' as t';",
    ],
)
def test_an_argument_that_is_executed_is_found(judge: Judge, body: str) -> None:
    (found,) = judge("helper", _function("sorted(wanted text)", body)).findings
    assert found.rule == "rpc.dynamic"
    assert found.object == "public.sorted(text)"


def test_an_argument_that_is_quoted_is_no_finding(judge: Judge) -> None:
    body = f"return query execute format('{SORTED} %I', wanted);"
    assert judge("helper", _function("sorted(wanted text)", body)).findings == ()


@pytest.mark.parametrize("what", ["count(*)", "sum(amount_minor)::bigint"])
def test_a_total_over_all_tenants_is_found(judge: Judge, what: str) -> None:
    body = f"return (select {what} from public.deals);"
    (found,) = judge("helper", _function("total()", body, "bigint")).findings
    assert found.rule == "rpc.totals"
    own = f"return (select {what} from public.deals where private.is_member(organization_id));"
    assert judge("helper", _function("total()", own, "bigint")).findings == ()


@pytest.mark.parametrize("what", ["count(*)", "coalesce(sum(amount_minor), 0)::bigint"])
def test_the_total_of_another_tenant_is_found(judge: Judge, what: str) -> None:
    body = f"return (select {what} from public.deals where organization_id = org);"
    (found,) = judge("helper", _function("total(org uuid)", body, "bigint")).findings
    assert found.rule == ("rpc" if what == "count(*)" else "rpc.totals")
    own = body.replace(" = org", " = org and private.is_member(org)")
    assert judge("helper", _function("total(org uuid)", own, "bigint")).findings == ()


def test_an_answer_of_chance_is_no_total(judge: Judge) -> None:
    own = "select count(*) from public.deals where private.is_member(organization_id)"
    body = f"return ({own}) + (pg_catalog.random() * 1e15)::bigint;"
    assert judge("helper", _function("ticket()", body, "bigint")).findings == ()


def test_arguments_are_understood_by_what_they_are_compared_with(judge: Judge) -> None:
    change = "update public.deals set title = 'x' where id = visit;"
    check = "if not private.is_member(home) then return false; end if;"
    signature = "finish(home uuid, visit uuid)"
    loose = _function(signature, f"{check} {change} return found;", "boolean")
    loose = loose.replace(" stable ", " ")
    assert [f.rule for f in judge("helper", loose).findings] == ["rpc"]
    tied = loose.replace("where id = visit", "where id = visit and organization_id = home")
    assert judge("helper", tied).findings == ()


def test_an_object_is_composed_of_the_keys_that_are_read_from_it(judge: Judge) -> None:
    body = """insert into public.contacts (id, organization_id, email, full_name)
    values ((c ->> 'id')::uuid, (c ->> 'organization_id')::uuid, c ->> 'email', c ->> 'full_name')
    on conflict (organization_id, id) do update set full_name = excluded.full_name; return true;"""
    loose = _function("save(c jsonb)", body, "boolean").replace(" stable ", " ")
    assert [f.rule for f in judge("helper", loose).findings] == ["rpc"]
    check = "if private.is_member((c ->> 'organization_id')::uuid) is not true then return false;"
    tied = loose.replace("begin insert", f"begin {check} end if; insert")
    assert judge("helper", tied).findings == ()


CLOSING = """
alter table public.organizations add column status text not null default 'active'
    check (status in ('active', 'closed'));
create function private.is_open(org uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select from public.organizations o where o.id = org and o.status = 'active')
$$;
revoke execute on function private.is_open(uuid) from public;
grant execute on function private.is_open(uuid) to authenticated;
create policy open_only on public.contacts as restrictive for all to authenticated
using (private.is_open(organization_id));
create policy open_only on public.deals as restrictive for all to authenticated
using (private.is_open(organization_id));
create policy open_only on public.notes as restrictive for all to authenticated
using (private.is_open(organization_id));
"""


def test_what_stays_open_in_a_closed_tenant_is_found(judge: Judge) -> None:
    assert judge("helper", CLOSING).findings == ()
    (found,) = judge("helper", CLOSING + "drop policy open_only on public.notes").findings
    assert (found.rule, found.object) == ("lifecycle.closed", "public.notes")


def test_a_helper_that_forgot_the_mark_is_found(judge: Judge) -> None:
    forgot = CLOSING.replace("o.id = org and o.status = 'active'", "o.id = org")
    assert judge("helper", forgot).findings == ()  # nothing asks: no verdict, and it says so
    assert any("organizations.status" in n.object for n in judge("helper", forgot).not_judged)
    asked = forgot + _function(
        "is_closed(org uuid)",
        "return (select status = 'closed' from public.organizations where id = org"
        " and private.is_member(id));",
        "boolean",
    )
    (found,) = judge("helper", asked).findings
    assert "private.is_open(uuid) forgets that a tenant is closed" in found.title
