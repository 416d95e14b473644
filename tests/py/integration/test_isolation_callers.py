"""Who may call what inside a tenant, and updates that fail because of another tenant's rows."""

from __future__ import annotations

from fix_isolation import Judge

from harmonia_py.isolation.model import TenancyModel

_FUNCTION = """
create function public.rename_deal(organization uuid, name text) returns text
language plpgsql security definer set search_path = '' as $$
begin
    if not exists (
        select from public.memberships as m
        where m.organization_id = organization and m.user_id = auth.uid() {check}
    ) then
        raise exception 'no' using errcode = '42501';
    end if;
    return 'done';
end $$;
grant execute on function public.rename_deal(uuid, text) to authenticated;
"""
_KEY = "public.rename_deal(uuid, text)"


def test_callers_are_held_to_the_list_in_both_directions(judge: Judge) -> None:
    body = _FUNCTION.format(check="and m.role = 'owner'")
    right = judge("helper", body, model=TenancyModel(None, functions={_KEY: ("owner",)}))
    assert [f.rule for f in right.findings if f.object == _KEY] == []
    tight = judge("helper", body, model=TenancyModel(None, functions={_KEY: ()}))
    assert {f.rule for f in tight.findings if f.object == _KEY} == {"function.excess"}
    wide = TenancyModel(None, functions={_KEY: ("owner", "viewer")})
    denied = judge("helper", body, model=wide)
    assert {f.rule for f in denied.findings if f.object == _KEY} == {"function.denied"}


def test_an_update_that_fails_because_of_foreign_rows_tells(judge: Judge) -> None:
    clean = judge("helper")
    assert [f for f in clean.findings if f.rule == "refusal.tells"] == []
    told = judge("helper", "alter policy update_member on public.contacts using (true)")
    assert {(f.rule, f.object) for f in told.findings} >= {("refusal.tells", "public.contacts")}
