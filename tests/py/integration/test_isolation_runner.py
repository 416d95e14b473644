"""The run as a whole: nothing stays behind, and what cannot be judged is never called safe."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from fix_isolation import IDIOMS, Judge
from psycopg import sql

from harmonia_py.engines import Database, Engine
from harmonia_py.errors import CouldNotVerify, UsageError
from harmonia_py.isolation import runner, source
from harmonia_py.isolation.model import TableModel, TenancyModel, dump, loads
from harmonia_py.isolation.mutation import scoring
from harmonia_py.isolation.probes.tables import TableResult
from harmonia_py.project import Project


def _rows(database: Database) -> dict[str, int]:
    with database.connect_admin() as conn:
        names = conn.execute(
            "select schemaname, tablename from pg_tables where schemaname in ('public', 'auth')"
        ).fetchall()
        return {
            f"{s}.{t}": conn.execute(
                sql.SQL("select count(*) from {}").format(sql.Identifier(s, t))
            ).fetchall()[0][0]
            for s, t in names
        }


def test_a_run_leaves_nothing_behind(isolation_databases: dict[str, Database]) -> None:
    database = isolation_databases["helper"]
    before = _rows(database)
    with database.connect_admin() as conn, runner.laboratory(conn) as lab:
        runner.judge(lab)
    assert _rows(database) == before


def test_broken_seeding_is_an_error_and_never_safe(judge: Judge) -> None:
    report = judge(
        "helper", "alter table public.deals add constraint impossible check (title <> title)"
    )
    assert not report.safe
    assert report.exit_code() == 1
    assert [e.object for e in report.errors] == ["public.deals"]
    (row,) = [c for c in report.coverage if c.table == "public.deals"]
    assert row.status == "not judged"


def test_the_role_of_the_project_is_enough(isolation_databases: dict[str, Database]) -> None:
    with isolation_databases["owners"].connect() as conn, runner.laboratory(conn) as lab:
        report = runner.judge(lab)
    assert report.findings == ()


@pytest.mark.parametrize("idiom", IDIOMS)
def test_the_inferred_model_survives_its_file(
    isolation_databases: dict[str, Database], idiom: str
) -> None:
    with isolation_databases[idiom].connect_admin() as conn, runner.laboratory(conn) as lab:
        text = dump(lab.model)
        again = loads(text)
    assert again.tables == lab.model.tables
    assert again.memberships == lab.model.memberships
    assert dump(again) == text


@pytest.mark.parametrize(
    "change",
    [
        "create function public.sleepy() returns int language sql as 'select 1 from pg_sleep(60)'",
        "create function public.loops() returns int language plpgsql as"
        " 'begin loop null; end loop; end'",
        "create procedure public.commits() language plpgsql as 'begin commit; end'",
        "create function public.raises() returns int language plpgsql as"
        " $$ begin raise exception 'no'; end $$",
        'create table public."Odd ""Name" ("a b" int primary key, "%s" text);'
        ' alter table public."Odd ""Name" enable row level security',
    ],
)
def test_awkward_objects_neither_hang_nor_hurt(judge: Judge, change: str) -> None:
    report = judge("helper", change)
    assert report.findings == ()


def test_a_thousand_columns(judge: Judge) -> None:
    columns = ", ".join(f"c{n} int" for n in range(990))
    report = judge(
        "helper",
        f"create table public.wide (id uuid primary key, organization_id uuid not null"
        f" references public.organizations (id), {columns});"
        " alter table public.wide enable row level security;"
        " create policy s on public.wide for select using (private.is_member(organization_id))",
    )
    assert report.findings == ()
    assert report.errors == ()


def test_not_a_supabase_database(isolation_databases: dict[str, Database]) -> None:
    with isolation_databases["owners"].connect_admin() as conn:
        conn.execute("alter role authenticated rename to somebody")
        with pytest.raises(CouldNotVerify, match="not a Supabase"), runner.laboratory(conn):
            raise AssertionError
        conn.rollback()


def test_an_empty_database(plain_database: Database) -> None:
    with plain_database.connect_admin() as conn:
        with pytest.raises(CouldNotVerify, match="no table"), runner.laboratory(conn):
            raise AssertionError


def test_a_remote_host_needs_a_word() -> None:
    with pytest.raises(UsageError, match="not this machine"):
        source.from_url("postgresql://u@db.example.test/x")
    assert source.from_url("postgresql://u@db.example.test/x", not_production=True)


def test_a_dropped_connection_is_said(isolation_databases: dict[str, Database]) -> None:
    database = isolation_databases["owners"]
    with pytest.raises(CouldNotVerify, match=r"went away|lost"), database.connect_admin() as conn:
        with runner.laboratory(conn) as lab:
            with database.connect_admin(autocommit=True) as other:
                other.execute("select pg_terminate_backend(%s)", [conn.info.backend_pid])
            runner.judge(lab)


def test_the_model_names_the_roles_of_a_command(judge: Judge) -> None:
    entry = {
        "public.deals": TableModel(
            "public.deals",
            "tenant",
            ("organization_id",),
            roles={"delete": ("owner",), "insert": ("owner", "admin", "member", "viewer")},
        )
    }
    report = judge("helper", model=TenancyModel(None, tables=entry))
    assert {f.rule for f in report.findings} == {"permission.excess", "permission.denied"}


def test_mutants_are_noticed(isolation_databases: dict[str, Database]) -> None:
    with isolation_databases["claims"].connect_admin() as conn:
        with runner.laboratory(conn) as lab:
            score = scoring.score(lab)
    assert score.counted > 5
    assert [f"{r.kind} {r.object} {r.description}" for r in score.survivors] == []


def test_what_no_probe_notices_is_counted_as_a_survivor(
    isolation_databases: dict[str, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = frozenset({"rls off", "true"})
    with isolation_databases["claims"].connect_admin() as conn:
        with runner.laboratory(conn) as lab:
            sharp = scoring.score(lab, kinds=kinds)
        with runner.laboratory(conn) as lab:
            found = TableResult()
            monkeypatch.setattr(
                "harmonia_py.isolation.mutation.bench.tables.probe", lambda _: found
            )
            blunt = scoring.score(lab, kinds=kinds)
    assert (sharp.killed, sharp.exit_code) == (sharp.counted, 0)
    assert blunt.counted == sharp.counted
    assert blunt.exit_code == 3
    assert {(r.kind, r.object) for r in blunt.survivors} == {
        (r.kind, r.object) for r in sharp.results if r.by == "cross_tenant"
    }


MINE = """
create function public.mine(org uuid) returns bigint language sql {rights} set search_path = ''
as $$ select count(*) from public.deals as d where d.organization_id = org $$;
"""
PASSED_ON = """
create function public.passed_on(org uuid) returns bigint language sql stable security definer
set search_path = '' as $$ select public.mine(org) where private.is_member(org) $$;
"""
THEIRS, HERS = "d.organization_id = org", "private.is_member(d.organization_id)"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (MINE.format(rights="stable"), "equivalent"),
        (MINE.format(rights="volatile"), "survived"),  # who knows what it writes
        (MINE.format(rights="stable") + PASSED_ON, "survived"),
        (MINE.format(rights="stable security definer").replace(THEIRS, HERS), "killed"),
    ],
)
def test_what_policies_decide_anyway_is_no_mutant(
    isolation_databases: dict[str, Database], change: str, status: str
) -> None:
    with isolation_databases["helper"].connect_admin() as conn:
        with conn.transaction(force_rollback=True):
            conn.execute(change.encode())
            with runner.laboratory(conn) as lab:
                score = scoring.score(lab, kinds=frozenset({"function body"}))
    assert {r.status for r in score.results if r.object == "public.mine(uuid)"} == {status}


def test_two_processes_count_every_mutant_once(
    engine: Engine, isolation_databases: dict[str, Database]
) -> None:
    one = isolation_databases["claims"]
    alone = scoring.run([one.admin_dsn or one.owner_dsn])
    with engine.database(template=one.name) as two:
        shared = scoring.run([d.admin_dsn or d.owner_dsn for d in (one, two)])
        with pytest.raises(CouldNotVerify, match="did not give the same mutants"):
            with two.connect_admin() as conn:
                table = next(r.object for r in alone.results if r.kind == "rls off")
                conn.execute(f"alter table {table} disable row level security".encode())
            scoring.run([d.admin_dsn or d.owner_dsn for d in (one, two)])
    assert [(r.kind, r.description, r.status) for r in shared.results] == [
        (r.kind, r.description, r.status) for r in alone.results
    ]


def test_nothing_that_applied_names_what_failed(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    (folder / "001_first.sql").write_text("create table elsewhere.t (id integer);")
    with pytest.raises(CouldNotVerify, match="no table to judge") as caught:
        with source.from_project(
            Project(tmp_path / "supabase"), nullcontext(engine), keep_going=True
        ) as made:
            runner.verify(made.dsn)
    assert '001_first.sql:1: schema "elsewhere" does not exist' in (caught.value.hint or "")
