"""Two runs on the same project say the same, word for word: a verdict is no matter of luck.

Ids that are made up, the order of sets and of rows, and which of two connections was faster must
not show. Only the clock does.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fix_cli import harmonia
from fix_isolation import IDIOMS, differing, said
from isolation_idioms import BASE, LEAKY, build
from psycopg import sql

from harmonia_py.engines import Database, Engine
from harmonia_py.isolation import runner
from harmonia_py.isolation.lab import Lab


def told(database: Database, folder: Path, seed: str) -> list[str]:
    done = harmonia(
        *("verify", "--db-url", database.owner_dsn, "--output", "json"),
        env={"PYTHONHASHSEED": seed},
        cwd=folder,
        code=5,
    )
    data = json.loads(done.stdout)["data"]
    assert data["findings"]
    return said(data)


@pytest.mark.parametrize("name", ["a cut id", "status forgotten", "user metadata"])
def test_two_runs_say_the_same(plain_database: Database, tmp_path: Path, name: str) -> None:
    with plain_database.connect() as conn:
        conn.execute(BASE)
        build(conn, "notes", LEAKY[name])
    reports = [told(plain_database, tmp_path, seed) for seed in ("1", "2")]
    assert not (apart := differing(*reports)), apart


#: What answers in the order in which rows come, and how they come hangs on what is remarked of
#: them: a list, a text, and a list within an object.
_BY = (
    "order by pg_catalog.md5("
    "n.id || pg_catalog.obj_description('public.notes'::pg_catalog.regclass))"
)
UNORDERED = f"""
create function public.listed() returns setof text language sql stable security definer
set search_path = '' as $$select n.id::text from public.notes as n {_BY}$$;
create function public.joined() returns text language sql stable security definer
set search_path = '' as $$select string_agg(n.id::text, '; ' {_BY}) from public.notes as n$$;
create function public.packed() returns jsonb language sql stable security definer
set search_path = '' as
$$select jsonb_build_object('all', jsonb_agg(n.id {_BY})) from public.notes as n$$;
"""


def test_the_order_in_which_rows_come_does_not_show(
    plain_database: Database, tmp_path: Path
) -> None:
    with plain_database.connect() as conn:
        conn.execute(BASE)
        build(conn, "notes", LEAKY["status forgotten"])
        conn.execute(UNORDERED.encode())
    answers = []
    for remark in ("1", "2", "3"):
        with plain_database.connect() as conn:
            conn.execute(f"comment on table public.notes is '{remark}'".encode())
        answers.append(told(plain_database, tmp_path, "1"))
    for name in ("listed", "joined", "packed"):
        assert any(f"public.{name}()" in line for line in answers[0])
    for answer in answers[1:]:
        assert not (apart := differing(answers[0], answer)), apart


#: Every table open to everybody, and a function that lists it: all that can be found is found.
_OPEN = """
do $$
declare
    v_table record;
begin
    for v_table in
        select format('public.%I', c.relname) as place, c.relname as name
        from pg_class as c
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
    loop
        execute format('create policy open on %s for all to authenticated '
            'using (true) with check (true)', v_table.place);
        execute format('grant select, insert, update, delete on %s to authenticated',
            v_table.place);
        execute format('create function public.%I() returns setof %s language sql stable '
            'security definer set search_path = %L as ''select * from %s''',
            'all_' || v_table.name, v_table.place, '', v_table.place);
    end loop;
end
$$;
"""


def _moved(lab: Lab) -> None:
    """Store every row anew, the last one first."""
    lab.conn.execute("set local session_replication_role = replica")
    for table in lab.catalog.tables.values():
        if not table.is_base or not lab.fixtures.rows.get(table.key):
            continue
        name = table.sql.as_string(lab.conn)
        plain = next(c.name for c in table.columns if c.writable and c.identity != "a")
        column = sql.Identifier(plain).as_string(lab.conn)
        for (place,) in lab.conn.execute(f"select ctid from {name} order by 1 desc".encode()):
            lab.conn.execute(
                f"update {name} set {column} = {column} where ctid = %s".encode(), [place]
            )
    lab.conn.execute("set local session_replication_role = origin")


def _judged(database: Database, *, moved: bool) -> list[str]:
    with database.connect_admin() as conn:
        conn.execute(_OPEN.encode())
        with runner.laboratory(conn) as lab:
            if moved:
                _moved(lab)
            report = runner.judge(lab).as_dict()
        conn.rollback()
    return said(report)


@pytest.mark.parametrize("idiom", IDIOMS)
def test_where_rows_are_stored_does_not_show(
    engine: Engine, isolation_databases: dict[str, Database], idiom: str
) -> None:
    reports = []
    for moved in (False, True):
        # A copy each: numbers that a sequence gave are not given again.
        with engine.database(template=isolation_databases[idiom].name) as database:
            reports.append(_judged(database, moved=moved))
    assert any("all_" in line for line in reports[0])
    assert not (apart := differing(*reports)), apart
