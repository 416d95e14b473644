"""What was done before a probe is not its work; what the probe did itself is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harmonia_py.engines import Database
from harmonia_py.isolation import runner
from harmonia_py.isolation.lab import Lab, Outcome, Probe

DONE = {
    "changed": "update public.contacts set score = 7 where organization_id = '{0}'",
    "removed": "delete from public.contacts where organization_id = '{0}'",
    "added": "insert into public.contacts (organization_id, email, full_name) "
    "values ('{0}', 'new@example.test', 'New')",
}
LATE = {"app.late": "yes"}
RENAMED = "update public.contacts set full_name = 'Renamed' where organization_id = '{0}'"


@pytest.fixture
def lab(isolation_databases: dict[str, Database]) -> Iterator[Lab]:
    with isolation_databases["helper"].connect_admin() as conn, runner.laboratory(conn) as opened:
        yield opened


def tried(database: Database, before: str, statement: str) -> tuple[Outcome, set[str | None]]:
    """Do ``before`` to B's contacts, then let A's owner do ``statement`` to those of A."""
    with database.connect_admin() as conn, runner.laboratory(conn) as lab:
        probe = Probe(
            lab.cast.get("A.owner"),
            statement.format(lab.cast.a.id),
            watch=("public.contacts",),
            pre=(before.format(lab.cast.b.id),) if before else (),
            replica=True,
        )
        (outcome,) = lab.run([probe])
        labels = lab.cast.labels()
    assert outcome.ok
    assert outcome.affected > 0
    return outcome, {labels[change.scope or ""] for change in outcome.changes}


@pytest.mark.parametrize("before", ["", *DONE.values()], ids=["nothing", *DONE])
def test_only_the_work_of_the_probe_is_told(
    isolation_databases: dict[str, Database], before: str
) -> None:
    # The probe writes to the same table, so that its rows are compared.
    outcome, tenants = tried(isolation_databases["helper"], before, RENAMED)
    assert tenants == {"A"}
    assert {c.data["full_name"] for c in outcome.changes if c.kind == "new"} == {"Renamed"}


@pytest.mark.parametrize("statement", DONE.values(), ids=DONE)
def test_the_same_done_by_a_probe_is_told(
    isolation_databases: dict[str, Database], statement: str
) -> None:
    assert tried(isolation_databases["helper"], "", statement)[1] == {"A"}


def test_a_forgotten_table_is_watched_again(lab: Lab) -> None:
    renamed = RENAMED.format(lab.cast.a.id)
    probe = Probe(lab.cast.get("A.owner"), renamed, watch=("*",), replica=True)
    (seen,) = lab.run([probe])
    lab.forget("public.contacts")
    (again,) = lab.run([probe])
    assert {c.table for c in seen.changes} == {"public.contacts"}
    assert len(again.changes) == len(seen.changes)


@pytest.mark.parametrize("watch", ["public.contacts", "*"])
def test_what_is_noted_of_a_table_is_rolled_back_with_its_rows(lab: Lab, watch: str) -> None:
    renamed = RENAMED.format(lab.cast.a.id)
    probe = Probe(lab.cast.get("A.owner"), renamed, watch=(watch,), replica=True)
    (first,) = lab.run([probe])
    with lab.rolled_back():
        lab.conn.execute(DONE["removed"].format(lab.cast.a.id).encode())
        lab.forget("public.contacts")
        (inside,) = lab.run([probe])
    (after,) = lab.run([probe])
    assert inside.changes == ()
    assert first.changes
    assert {str(c) for c in after.changes} == {str(c) for c in first.changes}


def test_what_is_alike_is_probed_once_where_that_is_wanted(lab: Lab) -> None:
    owner = lab.cast.get("A.owner")
    asked = "select pg_catalog.to_jsonb(pg_catalog.statement_timestamp()::text || '{}')"
    plan = [
        Probe(owner, asked.format(mark), rows=True, session=session, tag=tag)
        for tag, (mark, session) in enumerate((("a", {}), ("b", {}), ("a", {}), ("a", LATE)))
    ]
    first, other, again, elsewhere = lab.run_once(plan)
    assert lab.count == 3
    assert first is again
    assert len({id(first), id(other), id(elsewhere)}) == 3
    assert [o.result[-1] for o in (first, other, elsewhere)] == ["a", "b", "a"]
    one, two = lab.run([plan[0], plan[2]])
    assert one is not two, "who asks twice wants two answers"
    assert lab.count == 5


def test_probes_leave_no_memory_behind(lab: Lab) -> None:
    # All probes of a verification are one transaction: what one leaves, thousands add up.
    renamed = RENAMED.format(lab.cast.a.id)
    probe = Probe(lab.cast.get("A.owner"), renamed, watch=("public.contacts",), replica=True)

    def kept() -> int:
        """Run many probes and return the bytes that the session then holds in use."""
        assert all(outcome.changes for outcome in lab.run([probe] * 300))
        row = lab.conn.execute(
            "select sum(used_bytes) from pg_catalog.pg_backend_memory_contexts"
        ).fetchone()
        assert row is not None
        return int(row[0])

    kept()
    before = kept()
    for_each = (kept() - before) / 300
    assert for_each < 2000


RAISED = "do $$ begin raise exception 'mine' using errcode = 'HX000'; end $$"


def test_what_a_project_raises_is_not_taken_for_the_end_of_a_probe(lab: Lab) -> None:
    owner = lab.cast.get("A.owner")
    renamed = RENAMED.format(lab.cast.a.id)
    plan = [
        Probe(owner, renamed, watch=("public.contacts",)),
        Probe(owner, RAISED),
        Probe(owner, renamed, watch=("public.contacts",), pre=(RAISED,)),
        Probe(owner, renamed, watch=("public.contacts",), pre=("select 1",)),
    ]
    before, itself, prepared, after = lab.run(plan)
    assert before.ok
    assert before.changes
    assert (itself.code, itself.message, itself.tried) == ("HX000", "mine", True)
    assert (prepared.code, prepared.message, prepared.tried) == ("HX000", "mine", False)
    assert not prepared.changes
    assert after.ok
    assert after.changes


def test_probes_that_want_the_same_before_them_share_it(lab: Lab) -> None:
    owner, other = lab.cast.get("A.owner"), lab.cast.get("B.owner")
    lab.conn.execute("create temporary sequence hx_done")
    once = ("select pg_catalog.nextval('pg_temp.hx_done')",)
    who = "select pg_catalog.to_jsonb(pg_catalog.current_setting('request.jwt.claims') || '{}')"
    plan = [
        Probe(actor, who.format(n), rows=True, pre=before, session=LATE if n == 4 else {})
        for n, (actor, before) in enumerate(
            [(owner, once), (other, ()), (other, once), (owner, ()), (owner, once)]
        )
    ]
    outcomes = lab.run(plan)
    (times,) = lab.conn.execute("select last_value from pg_temp.hx_done").fetchone() or (0,)
    assert times == 1
    # Each answer is its own probe's, in the order in which they were asked.
    assert [o.result[-1] for o in outcomes] == list("01234")
    assert [p.actor.user in o.result for p, o in zip(plan, outcomes, strict=True)] == [True] * 5
