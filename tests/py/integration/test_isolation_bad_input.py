"""Whatever is given to ``harmonia verify``: it ends, says why, and leaves nothing behind."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harmonia_cli.main import app
from psycopg import sql
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from harmonia_py.engines import Database, Engine
from harmonia_py.isolation import runner
from harmonia_py.isolation.introspect import introspect

PROJECT = """
create table public.orgs (id uuid primary key default gen_random_uuid(), name text not null);
create table public.seats (
    org_id uuid not null references public.orgs (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    primary key (org_id, user_id)
);
create table public.things (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.orgs (id) on delete cascade,
    said text not null
);
alter table public.orgs enable row level security;
alter table public.seats enable row level security;
alter table public.things enable row level security;
create policy s on public.seats for select to authenticated using (user_id = auth.uid());
create policy o on public.orgs for select to authenticated
using (id in (select s.org_id from public.seats as s where s.user_id = auth.uid()));
create policy t on public.things for all to authenticated
using (org_id in (select s.org_id from public.seats as s where s.user_id = auth.uid()));
"""

Fill = Callable[[str], Database]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder without a harmonia.toml: this repository's own is no model of these."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def fill(plain_database: Database) -> Fill:
    """Run SQL as the project's role in a fresh database with the Supabase environment."""

    def run(text: str) -> Database:
        with plain_database.connect() as conn:
            conn.execute(text.encode())
        return plain_database

    return run


def state(database: Database) -> dict[str, int]:
    """Count the rows of every table, and the objects in the catalog."""
    with database.connect_admin() as conn:
        names = conn.execute(
            "select schemaname, tablename from pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        found = {"pg_class": 0, "pg_proc": 0, "pg_policy": 0} | {f"{s}.{t}": 0 for s, t in names}
        for name in found:
            query = sql.SQL("select count(*) from {}").format(sql.Identifier(*name.split(".")))
            found[name] = conn.execute(query).fetchall()[0][0]
        return found


def verify(*arguments: str) -> tuple[int, str]:
    """Run the command as a person does; return its exit code and all it said."""
    done = CliRunner().invoke(app, ["verify", *arguments, "--output", "json"])
    return done.exit_code, done.output


def test_the_plain_project_is_fine_and_its_rows_stay(fill: Fill) -> None:
    database = fill(PROJECT + "insert into public.orgs (name) values ('Real');")
    before = state(database)
    code, said = verify("--db-url", database.owner_dsn)
    assert (code, json.loads(said)["data"]["safe"]) == (0, True)
    assert state(database) == before


def test_a_database_that_is_no_supabase_project(engine: Engine) -> None:
    with engine.database() as database:
        with database.connect_admin(autocommit=True) as conn:
            for name in ("authenticated", "authenticator"):
                conn.execute(sql.SQL("alter role {} rename to {}").format(
                    sql.Identifier(name), sql.Identifier(f"hz_{name}")))  # fmt: skip
            try:
                code, said = verify("--db-url", database.owner_dsn)
            finally:
                for name in ("authenticated", "authenticator"):
                    conn.execute(sql.SQL("alter role {} rename to {}").format(
                        sql.Identifier(f"hz_{name}"), sql.Identifier(name)))  # fmt: skip
    assert code == 1
    assert "not a Supabase database" in said


@pytest.mark.parametrize("files", [[], ["-- nothing yet\n"]])
def test_migrations_that_make_nothing(tmp_path: Path, files: list[str]) -> None:
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    for number, text in enumerate(files):
        (folder / f"2026010100000{number}_empty.sql").write_text(text)
    code, said = verify("--supabase-dir", str(tmp_path / "supabase"))
    assert code == 1
    assert ("there is no migration" if not files else "there is no table to judge") in said


def test_files_that_are_no_migrations_by_name_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    for name in ("init.sql", "0001.sql", "notes.md"):
        (folder / name).write_text("create table public.t (id int);\n")
    code, said = verify("--supabase-dir", str(tmp_path / "supabase"))
    assert code == 1
    assert "no file in" in said and "0001.sql, init.sql" in said and "notes.md" not in said
    assert "<version>_<name>.sql" in said and "0001_init.sql" in said
    (folder / "0001.sql").write_text(PROJECT)
    (folder / "0001.sql").rename(folder / "0001_init.sql")
    code, said = verify("--supabase-dir", str(tmp_path / "supabase"))
    assert code == 0
    assert '"remedied": ["init.sql: left out, for it is not <version>_<name>.sql"]' in said


def test_no_column_names_a_tenant(fill: Fill) -> None:
    database = fill(
        """
        create table public.parcels (id uuid primary key, weight int, depot text not null);
        create function public.my_depot() returns text language sql stable
        set search_path = '' as $$ select auth.jwt() ->> 'email' $$;
        alter table public.parcels enable row level security;
        create policy p on public.parcels for select to authenticated
        using (depot = (select public.my_depot()));
        """
    )
    code, said = verify("--db-url", database.owner_dsn)
    assert code == 1
    assert "No table is known to hold rows of a tenant" in said


def test_a_host_that_may_be_production() -> None:
    code, said = verify("--db-url", "postgresql://u@db.example.test/x")
    assert code == 2
    assert "not this machine" in said
    assert "--yes-this-is-not-production" in said


def test_nobody_listens_there() -> None:
    code, said = verify("--db-url", "postgresql://u:secret@127.0.0.1:1/x?sslmode=disable")
    assert code == 1
    assert "secret" not in said


def test_a_role_without_rights(fill: Fill) -> None:
    database = fill(PROJECT)
    with database.connect_admin(autocommit=True) as conn:
        conn.execute("drop role if exists hz_nobody")
        conn.execute("create role hz_nobody login password 'hz-word'")
        try:
            dsn = make_conninfo(database.owner_dsn, user="hz_nobody", password="hz-word")
            code, said = verify("--db-url", dsn)
        finally:
            conn.execute("drop role hz_nobody")
    assert code == 1
    assert "not enough rights" in said
    assert "hz-word" not in said


def test_a_database_that_is_dropped_midway(engine: Engine) -> None:
    gone: list[str] = []
    with engine.database() as database:
        with database.connect() as conn:
            conn.execute(PROJECT.encode())

        def drop(_: str) -> None:
            if not gone:
                gone.append(database.name)
                engine.drop_database(database.name)

        with pytest.raises(Exception, match=r"went away|lost") as caught:
            runner.verify(database.owner_dsn, progress=drop)
    assert gone
    assert type(caught.value).__name__ == "CouldNotVerify"


NETWORK = """
create extension if not exists pg_net;
create function public.call_out() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    perform net.http_post('https://example.test/hook', jsonb_build_object('row', new.said));
    return new;
end $$;
create trigger call_out after insert or update on public.things
for each row execute function public.call_out();
"""


def test_a_trigger_that_calls_the_network(tmp_path: Path) -> None:
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    (folder / "20260101000000_project.sql").write_text(PROJECT + NETWORK)
    code, said = verify("--supabase-dir", str(tmp_path / "supabase"))
    assert code == 0
    # What stands in for the network is named, and calls nobody.
    assert any("net" in name for name in json.loads(said)["data"]["stand_ins"])


AWKWARD = {
    "sleeps": "create function public.f(p_org uuid) returns int language sql as"
    " 'select 1 from pg_sleep(600)'",
    "loops": "create function public.f(p_org uuid) returns int language plpgsql as"
    " 'begin loop null; end loop; end'",
    "raises": "create function public.f(p_org uuid) returns int language plpgsql as"
    " $$ begin raise exception 'no'; end $$",
    "catches": "create function public.f(p_org uuid) returns int language plpgsql as"
    " $$ begin perform pg_sleep(600); return 1; exception when others then return 2; end $$",
    "commits": "create procedure public.f(p_org uuid) language plpgsql security definer as"
    " $$ begin insert into public.orgs (name) values ('left behind'); commit; end $$",
    "rolls back": "create procedure public.f(p_org uuid) language plpgsql as 'begin rollback; end'",
    "ends the session": "create function public.f(p_org uuid) returns bool language sql as"
    " 'select pg_terminate_backend(pg_backend_pid())'",
    "sets the role": "create function public.f(p_org uuid) returns void language plpgsql as"
    " $$ begin perform set_config('role', 'anon', false); end $$",
    "sleeps in a policy": "create function public.f() returns bool language plpgsql as"
    " $$ begin perform pg_sleep(600); return true; end $$;"
    " create policy z on public.things as restrictive to authenticated using (public.f())",
}


@pytest.mark.parametrize("name", AWKWARD)
def test_a_function_that_misbehaves(fill: Fill, name: str) -> None:
    database = fill(f"{PROJECT}; {AWKWARD[name]}")
    before = state(database)
    began = time.monotonic()
    code, said = verify("--db-url", database.owner_dsn, "--timeout", "0.3")
    assert time.monotonic() - began < 120
    assert code in (0, 1, 3), said
    if code == 1:
        assert json.loads(said)["error"]["message"]
    assert state(database) == before


QUOTED = """
create table public."it's a ""table"" %s %(x)s {y}" (
    "id;--" uuid primary key default gen_random_uuid(),
    "org'id" uuid not null references public.orgs (id) on delete cascade,
    "select" text not null default $$a 'b' "c" \\ %$$,
    "a.b c" int
);
alter table public."it's a ""table"" %s %(x)s {y}" enable row level security;
create policy "p'""q" on public."it's a ""table"" %s %(x)s {y}" to authenticated
using ("org'id" in (select s.org_id from public.seats as s where s.user_id = auth.uid()));
create function public."f'""(x)"("p""o'rg" uuid) returns bigint language sql as
$$ select count(*) from public.orgs $$;
"""


def test_names_with_quotes(fill: Fill) -> None:
    name = 'public.it\'s a "table" %s %(x)s {y}'
    database = fill(PROJECT + QUOTED)
    before = state_of_quoted(database)
    code, said = verify("--db-url", database.owner_dsn)
    data = json.loads(said)["data"]
    assert (code, data["findings"], data["errors"]) == (0, [], [])
    assert data["model"]["kinds"][name] == "tenant"
    assert {c["status"] for c in data["coverage"] if c["table"] == name} <= {"proven", "tested"}
    assert state_of_quoted(database) == before
    leak = 'create policy open on public."it\'s a ""table"" %s %(x)s {y}" using (true)'
    with database.connect() as conn:
        conn.execute(leak.encode())
    code, said = verify("--db-url", database.owner_dsn)
    assert code == 5
    assert {f["object"] for f in json.loads(said)["data"]["findings"]} == {name}


def state_of_quoted(database: Database) -> list[int]:
    """Count the rows of the tables of the project that has odd names."""
    with database.connect_admin() as conn:
        names = conn.execute("select tablename from pg_tables where schemaname = 'public'")
        return [
            conn.execute(
                sql.SQL("select count(*) from {}").format(sql.Identifier("public", name))
            ).fetchall()[0][0]
            for (name,) in names.fetchall()
        ]


MANY = """
create table public.t{n} (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.orgs (id) on delete cascade,
    said text
);
alter table public.t{n} enable row level security;
revoke all on public.t{n} from anon, authenticated;
grant select on public.t{n} to authenticated;
create policy s on public.t{n} for select to authenticated
using (org_id in (select s.org_id from public.seats as s where s.user_id = auth.uid()));
"""


def test_five_hundred_tables(fill: Fill) -> None:
    few = """
    revoke all on public.orgs, public.seats, public.things from anon, authenticated;
    grant select on public.orgs, public.seats, public.things to authenticated;
    """
    database = fill(PROJECT + few + "".join(MANY.format(n=n) for n in range(500)))
    code, said = verify("--db-url", database.owner_dsn)
    data = json.loads(said)["data"]
    assert (code, data["findings"]) == (0, [])
    judged = {c["table"] for c in data["coverage"] if c["status"] in ("proven", "tested")}
    assert {f"public.t{n}" for n in range(500)} <= judged


PROGRAM = """
import sys
from harmonia_py.isolation import runner

if __name__ == "__main__":
    print(*sorted({c.status for c in runner.verify(sys.argv[1]).coverage}))
"""
#: More than a pipe holds on Linux: whoever writes as much waits for somebody to read it.
PIPE = 65_536


@pytest.mark.parametrize(("fed", "status"), [("stdin", "tested"), ("file", "proven")])
def test_a_program_whose_prover_cannot_start(
    fill: Fill, tmp_path: Path, fed: str, status: str
) -> None:
    """A new process imports its program again, and what came through a pipe cannot be."""
    database = fill(PROJECT + "".join(MANY.format(n=n) for n in range(25)))
    with database.connect() as conn:
        assert len(pickle.dumps(introspect(conn))) > PIPE
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-" if fed == "stdin" else str(file), database.owner_dsn],
        input=PROGRAM, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, [status]), done.stderr
