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
