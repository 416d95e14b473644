"""Seats with keys of their own: what is sound stays silent, and each neighbour of it is found."""

from __future__ import annotations

import pytest
from fix_isolation import Judge

_ANSWER = """create or replace function public.answer_call(p_code text) returns uuid
language plpgsql volatile security definer set search_path = public as $$
declare c calls; begin
    update calls set status = 'expired' where code = p_code and {} returning * into c;
    if c.id is null then raise exception 'no such call'; end if;
    insert into seats (firm_id, user_id, set_id) values (c.firm_id, auth.uid(), c.set_id);
    return c.firm_id;
end $$"""
_MINE = "email = (select u.email from auth.users u where u.id = auth.uid())"


def test_what_is_sound_is_silent(judge: Judge) -> None:
    """Rights come from a list in a set, a call from an account's address, a case from a seat."""
    report = judge("seats")
    assert [f.title for f in report.findings] == []
    assert report.errors == ()
    assert report.exit_code() == 0
    controls = {c.table: set(c.controls) for c in report.coverage}
    assert {"select", "insert", "update"} <= controls["public.filings"]
    assert [n.object for n in report.not_judged] == ["temporary tables"]


LEAKS = {
    "anybody's address": (
        _ANSWER.format("status = 'active'"),
        "invitation",
        "public.answer_call(text)",
    ),
    "a call that is over": (_ANSWER.format(_MINE), "invitation", "public.answer_call(text)"),
    "a row leaves with what it belongs to": (
        "drop policy u on public.filings; create policy u on public.filings for update"
        " to authenticated using (author_seat_id = private.seat_in(firm_id))"
        " with check (body is not null)",
        "cross_tenant",
        "public.filings",
    ),
    "one table may be emptied": (
        "revoke truncate on all tables in schema public from authenticated;"
        "grant truncate on public.cases to authenticated",
        "grant.beyond_rls",
        "public.cases",
    ),
    "a digest for those who did not make it": (
        "drop policy t on public.robots; create policy t on public.robots for select"
        " to authenticated using (firm_id in (select private.firms_where('read')))",
        "column.credential",
        "public.robots",
    ),
    "one helper out of many left its path": (
        "alter function private.firms_where(public.power) reset search_path",
        "shadow",
        "private.firms_where(public.power)",
    ),
    "rights that nobody holds": (
        "drop policy r on public.filings; create policy r on public.filings for select"
        " to authenticated using (private.works_on(case_id, firm_id))",
        "denied.everybody",
        "public.filings",
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_each_neighbour_is_found(judge: Judge, name: str) -> None:
    change, rule, named = LEAKS[name]
    report = judge("seats", change)
    found = {f.rule: f for f in report.findings}
    assert rule in found, list(found)
    assert named in f"{found[rule].object} {found[rule].members} {found[rule].why}"
    assert len(report.findings) <= 2


def test_all_that_no_policy_covers_is_one_finding(judge: Judge) -> None:
    report = judge(
        "seats",
        "revoke truncate, references, trigger on all tables in schema public from authenticated;"
        "grant all on public.cases, public.robots to authenticated",
    )
    (found,) = report.findings
    assert found.rule == "grant.beyond_rls"
    assert found.members == ("public.cases", "public.robots")
    assert {"truncate", "trigger"} <= set(found.commands)
