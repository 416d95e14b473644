"""Access without a seat: staff on a grant, keys of machines. It ends, and it is for what it says.

Nothing here is in a model file: the harness finds the tickets in the catalog.
"""

from __future__ import annotations

import pytest
from fix_isolation import Judge

#: Support staff: a grant for one organization, from a time to a time, unless revoked.
STAFF = """
create table private.support_passes (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id),
    agent_id uuid not null references auth.users (id),
    state text not null default 'pending' check (state in ('pending', 'approved', 'declined')),
    starts_at timestamptz not null default now(),
    expires_at timestamptz not null check (expires_at > now() - interval '10 years'),
    revoked_at timestamptz,
    check (expires_at > starts_at and expires_at <= starts_at + interval '8 hours')
);
create table public.visits (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id),
    support_pass_id uuid
);
alter table public.visits enable row level security;
create policy read on public.visits for select to authenticated
using (private.is_member(organization_id));
create function private.is_guest(org uuid) returns boolean
language plpgsql volatile security definer set search_path = '' as $$
declare
    v_pass uuid;
begin
    select p.id into v_pass
    from private.support_passes as p
    where p.agent_id = auth.uid()
        and p.organization_id = org
        and p.state = 'approved'
        and p.revoked_at is null
        and p.expires_at > now()
        and p.starts_at <= now()
    order by p.starts_at desc
    limit 1;
    if v_pass is not null then
        insert into public.visits (organization_id, support_pass_id) values (org, v_pass);
    end if;
    return v_pass is not null;
end $$;
create policy guests on public.contacts for select to authenticated
using (private.is_guest(organization_id));
create policy guests on public.deals for select to authenticated
using (private.is_guest(organization_id));
"""

#: A key: its token names nobody, and it is good while whoever made it has a seat.
KEYS = """
create table public.machine_keys (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id),
    created_by uuid not null references auth.users (id),
    expires_at timestamptz not null,
    revoked_at timestamptz
);
alter table public.machine_keys enable row level security;
create policy read on public.machine_keys for select to authenticated
using (private.has_role(organization_id, '{owner}'));
create function private.is_machine(org uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1
        from public.machine_keys as k
        where k.id = (auth.jwt() ->> 'machine')::uuid
            and k.organization_id = org
            and k.revoked_at is null
            and k.expires_at > now()
            and exists (
                select 1
                from public.memberships as m
                where m.organization_id = k.organization_id
                    and m.user_id = k.created_by
                    and m.status = 'active'
                    and m.deleted_at is null
            )
    )
$$;
create policy machines on public.contacts for select to authenticated
using (private.is_machine(organization_id));
"""


def _without(text: str, *parts: str) -> str:
    for part in parts:
        assert part in text
        text = text.replace(part, "")
    return text


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        (STAFF, None),
        (_without(STAFF, "        and p.revoked_at is null\n"), "revoked_at is set"),
        (_without(STAFF, "        and p.expires_at > now()\n"), "expires_at is past"),
        (_without(STAFF, "        and p.starts_at <= now()\n"), "starts_at is to come"),
        (_without(STAFF, "        and p.state = 'approved'\n"), "state is pending"),
        (_without(STAFF, "p.agent_id = auth.uid()\n        and "), "somebody else's"),
        (_without(STAFF, "        and p.organization_id = org\n"), "opens another"),
        (KEYS, None),
        (_without(KEYS, "            and k.revoked_at is null\n"), "revoked_at is set"),
        (_without(KEYS, "            and k.expires_at > now()\n"), "expires_at is past"),
        (_without(KEYS, "            and k.organization_id = org\n"), "opens another"),
        (
            _without(KEYS, "m.organization_id = k.organization_id\n                    and "),
            "whoever made it belongs elsewhere",
        ),
        (
            _without(KEYS, "                    and m.status = 'active'\n"),
            "whoever made it was invited",
        ),
    ],
)
def test_a_ticket_opens_only_what_it_says(judge: Judge, change: str, evidence: str | None) -> None:
    findings = judge("helper", change).findings
    if evidence is None:
        assert findings == ()
        return
    found = [f for f in findings if f.rule == "lifecycle.ticket"]
    assert len(found) == 1
    assert any(evidence in line for line in found[0].evidence), found[0].evidence


@pytest.mark.parametrize(
    ("old", "new", "evidence"),
    [
        ("values (org, v_pass)", "values (org, null)", "not recorded"),
        (
            "values (org, v_pass)",
            "values (org, (select p.id from private.support_passes as p"
            " where p.organization_id = org order by p.starts_at desc limit 1))",
            "names a ticket that is no good",
        ),
    ],
)
def test_the_use_of_a_ticket_is_recorded_under_it(
    judge: Judge, old: str, new: str, evidence: str
) -> None:
    assert old in STAFF
    findings = judge("helper", STAFF.replace(old, new)).findings
    assert [f.rule for f in findings] == ["record.ticket"]
    assert evidence in " ".join(findings[0].evidence)


#: Of whoever holds a pass, a statement with a cast is refused: it may fail, and unwrite the visit.
WORDED = STAFF.replace(
    "begin\n    select p.id",
    """begin
    if pg_catalog.lower(current_query()) ~ '\\mcast\\s*\\(' and exists (
        select 1 from private.support_passes as x where x.agent_id = auth.uid()
    ) then
        raise exception 'no casts here' using errcode = 'PT400';
    end if;
    select p.id""",
)
_PATTERN, _HOLDER = "'\\mcast\\s*\\('", " where x.agent_id = auth.uid()"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (WORDED, None),
        # Some other words, or what no statement says, are as good a rule.
        (WORDED.replace(_PATTERN, "'limit [0-9]{3}'"), None),
        (WORDED.replace(_PATTERN, "'^cast'"), None),
        # The holder is not refused; everybody is.
        (WORDED.replace("raise exception 'no casts here'", "raise notice '%', 'casts'"), None),
        (WORDED.replace("x.agent_id = auth.uid()", "x.agent_id = x.id"), "wording.ignored"),
        (WORDED.replace(_HOLDER, ""), "wording.denied"),
        # About more than who holds a pass: not understood, and nothing is said of it.
        (WORDED.replace(_HOLDER, "").replace(") then", ") and now() > '2000-01-01' then"), None),
    ],
)
def test_words_that_holders_may_not_say(judge: Judge, change: str, rule: str | None) -> None:
    findings = judge("helper", change).findings
    assert [f.rule for f in findings] == ([rule] if rule else [])
    for finding in findings:
        assert finding.object == "private.is_guest(uuid)"
        assert "-- cast" in finding.script
