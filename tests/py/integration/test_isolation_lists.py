"""Functions that take several rows at once and check the first of them, next to their twins."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

NAMES = """
create function public.names(p_ids uuid[]) returns setof text
language plpgsql stable security definer set search_path = '' as $$
begin
    if not exists (
        select from public.contacts as c
        where c.id = any (p_ids) and private.is_member(c.organization_id)
    ) then
        raise exception 'not found' using errcode = 'P0002';
    end if;
    return query select c.full_name from public.contacts as c where c.id = any (p_ids) {same};
end $$;
revoke execute on function public.names(uuid[]) from public, anon;
grant execute on function public.names(uuid[]) to authenticated;
"""
SCORE = """
create function public.rate(p_contacts uuid[], p_score int) returns void
language plpgsql security definer set search_path = '' as $$
begin
    if not exists (
        select from public.contacts as c
        where c.id = p_contacts[1] and private.has_role(c.organization_id, '{{owner}}')
    ) then
        raise exception 'not found' using errcode = 'P0002';
    end if;
    update public.contacts as c set score = least(p_score, 100)
    where c.id = any (p_contacts) {same};
end $$;
revoke execute on function public.rate(uuid[], int) from public, anon;
grant execute on function public.rate(uuid[], int) to authenticated;
"""
IMPORT = """
create function public.import(p_rows jsonb) returns void
language plpgsql security definer set search_path = '' as $$
begin
    if not private.has_role((p_rows -> 0 ->> 'organization_id')::uuid, '{{owner}}') then
        raise exception 'not yours' using errcode = '42501';
    end if;
    insert into public.contacts (organization_id, email, full_name)
    select (r ->> 'organization_id')::uuid, lower(r ->> 'email'), r ->> 'full_name'
    from jsonb_array_elements(p_rows) as r where true {same};
end $$;
revoke execute on function public.import(jsonb) from public, anon;
grant execute on function public.import(jsonb) to authenticated;
"""
UNASKED = """
create function public.import(p_batch jsonb) returns void
language plpgsql security definer set search_path = '' as $$
begin
    insert into public.contacts (organization_id, email, full_name)
    select (r ->> 'organization_id')::uuid, lower(r ->> 'email'), r ->> 'full_name'
    from jsonb_array_elements(p_batch -> 'rows') as r where true {same};
end $$;
revoke execute on function public.import(jsonb) from public, anon;
grant execute on function public.import(jsonb) to authenticated;
"""
EACH = "and private.has_role((r ->> 'organization_id')::uuid, '{owner}')"


@pytest.mark.parametrize(
    ("function", "same"),
    [
        (NAMES, "and private.is_member(c.organization_id)"),
        (SCORE, "and private.has_role(c.organization_id, '{owner}')"),
        (IMPORT, EACH),
        (UNASKED, EACH),
    ],
)
def test_a_check_of_the_first_row_is_no_check_of_all(
    judge: Judge, function: str, same: str
) -> None:
    sound = judge("helper", function.format(same=same))
    leaking = judge("helper", function.format(same=""))
    assert [f.title for f in sound.findings] == []
    assert not any("no call" in n.reason for n in sound.not_judged)
    (found,) = leaking.findings
    assert (found.rule, found.kind) == ("rpc", "breach")
