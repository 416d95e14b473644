"""`verify --emit-pgtap`: the files agree with a good database and catch one that went bad."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fix_database import DEBIAN_15
from fix_pgtap import run_psql
from harmonia_cli.main import app
from typer.testing import CliRunner

from harmonia_py.engines import Database, Engine
from harmonia_py.engines.embedded import EmbeddedEngine
from harmonia_py.isolation import pgtap, runner

SCHEMA = """
create schema private;
grant usage on schema private to authenticated;
create type public.mood as enum ('calm', 'it''s fine');
create table public.clubs (id uuid primary key default gen_random_uuid(), name text not null);
create table public.members (
    club_id uuid not null references public.clubs (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    role text not null check (role in ('owner', 'guest')),
    status text not null default 'active' check (status in ('active', 'suspended')),
    primary key (club_id, user_id)
);
create table public.countries (code text primary key, name text not null);
insert into public.countries values ('nl', 'Netherlands');
create table public."odd ""Notes'" (
    id bigint generated always as identity primary key,
    club_id uuid not null references public.clubs (id) on delete cascade,
    author_id uuid not null default auth.uid(),
    body text not null check (body <> ''),
    mood public.mood not null default 'calm',
    words text[] not null default '{}',
    size int generated always as (length(body)) stored,
    country text references public.countries (code)
);
create function private.clubs(p_role text default null) returns setof uuid
language sql stable security definer set search_path = '' as $$
    select m.club_id from public.members as m
    where m.user_id = auth.uid() and m.status = 'active' and (p_role is null or m.role = p_role)
$$;
alter table public.clubs enable row level security;
alter table public.members enable row level security;
alter table public.countries enable row level security;
alter table public."odd ""Notes'" enable row level security;
create policy clubs_read on public.clubs for select to authenticated
using (id in (select private.clubs()));
create policy members_read on public.members for select to authenticated
using (club_id in (select private.clubs()));
create policy countries_read on public.countries for select using (true);
create policy read on public."odd ""Notes'" for select to authenticated
using (club_id in (select private.clubs()));
create policy add on public."odd ""Notes'" for insert to authenticated
with check (club_id in (select private.clubs()) and author_id = auth.uid());
create policy edit on public."odd ""Notes'" for update to authenticated
using (club_id in (select private.clubs())) with check (club_id in (select private.clubs()));
create policy remove on public."odd ""Notes'" for delete to authenticated
using (club_id in (select private.clubs('owner')));
revoke truncate on all tables in schema public from anon, authenticated;
"""
NOTES = "isolation_odd_Notes_.test.sql"

# What goes wrong later, the file that says so, and the words it says it with.
CHANGES = {
    "a policy lets everybody read": (
        """alter policy read on public."odd ""Notes'" using (true)""",
        NOTES,
        "A.guest reads none of rows of another tenant",
    ),
    "guests may remove": (
        """alter policy remove on public."odd ""Notes'"
        using (club_id in (select private.clubs()))""",
        NOTES,
        "A.guest cannot delete rows of tenant A",
    ),
    "rows can be moved away": (
        """alter policy edit on public."odd ""Notes'" with check (true)""",
        NOTES,
        "A.owner does not update rows of another tenant",
    ),
    "the suspended stay": (
        """create or replace function private.clubs(p_role text default null) returns setof uuid
        language sql stable security definer set search_path = '' as
        'select m.club_id from public.members as m where m.user_id = auth.uid()'""",
        NOTES,
        "A.suspended reads none of rows of the tenant they left",
    ),
    "nobody may add": (
        """drop policy add on public."odd ""Notes'" """,
        NOTES,
        "A.owner can insert rows of tenant A",
    ),
    "outsiders write shared rows": (
        "create policy oops on public.countries for update using (true)",
        "isolation_countries.test.sql",
        "anon does not update the shared rows",
    ),
    "a privilege comes back": (
        """grant truncate on public."odd ""Notes'" to authenticated""",
        NOTES,
        "authenticated holds no privilege to truncate odd \"Notes'",
    ),
}


@pytest.fixture(scope="module")
def debian() -> Iterator[Engine]:
    """PostgreSQL 15 as Debian packages it, where pgTAP is installed."""
    with EmbeddedEngine(DEBIAN_15) as engine:
        yield engine


@pytest.fixture(scope="module")
def template(debian: Engine) -> str:
    database = debian.create_database()
    with database.connect() as conn:
        conn.execute(SCHEMA.encode())
    with database.connect_admin() as conn:
        conn.execute("create extension if not exists pgtap with schema extensions")
    return database.name


@pytest.fixture(scope="module")
def files(
    debian: Engine, template: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The files emitted for the good schema, by name."""
    folder = tmp_path_factory.mktemp("emitted")
    with debian.database(template=template) as database:
        emit(database, folder)
    return {path.name: path for path in folder.iterdir()}


def emit(database: Database, folder: Path) -> None:
    report = runner.verify(
        database.admin_dsn or database.owner_dsn,
        afterwards=lambda lab, report: pgtap.write(folder, pgtap.emit(lab, report)),
    )
    assert not report.errors


def failures(output: str) -> list[str]:
    plan = re.search(r"^1\.\.(\d+)$", output, re.M)
    lines = re.findall(r"^(?:not )?ok \d+ - .*$", output, re.M)
    assert plan and int(plan[1]) == len(lines) > 0, output
    return [line.split(" - ", 1)[1] for line in lines if line.startswith("not ok")]


@pytest.mark.pgtap
def test_a_good_database_is_all_ok(debian: Engine, template: str, files: dict[str, Path]) -> None:
    assert sorted(files) == [
        "isolation_clubs.test.sql", "isolation_countries.test.sql", "isolation_members.test.sql",
        NOTES,
    ]  # fmt: skip
    with debian.database(template=template) as database:
        for path in files.values():
            output = run_psql(database, path)
            assert failures(output) == [], output
        with database.connect() as conn:
            left = conn.execute("select count(*) from auth.users").fetchone()
    assert left == (0,)
    told = files[NOTES].read_text()
    for line in (
        "A.guest reads rows of their own",
        "A.owner can delete rows of tenant A",
        "A.guest cannot delete rows of tenant A",
        "stranger reads none of rows of any tenant",
    ):
        assert line in told


@pytest.mark.pgtap
@pytest.mark.parametrize("change", CHANGES)
def test_a_database_that_went_bad_is_not_ok(
    debian: Engine, template: str, files: dict[str, Path], change: str
) -> None:
    statement, name, expected = CHANGES[change]
    with debian.database(template=template) as database:
        with database.connect() as conn:
            conn.execute(statement.encode())
        assert expected in failures(run_psql(database, files[name]))


@pytest.mark.pgtap
def test_what_leaks_already_is_not_written_down_as_right(
    debian: Engine, template: str, tmp_path: Path
) -> None:
    with debian.database(template=template) as database:
        with database.connect() as conn:
            conn.execute(CHANGES["a policy lets everybody read"][0].encode())
        model = tmp_path / "harmonia.toml"
        model.write_text("[isolation]\n")
        url = database.admin_dsn or database.owner_dsn
        done = CliRunner().invoke(
            app, ["verify", "--db-url", url, "--model", str(model), "--emit-pgtap", str(tmp_path)]
        )
        assert done.exit_code == 5, done.output
        assert "not judged; " in done.stdout
        assert "A.guest reads none of rows of another tenant" in failures(
            run_psql(database, tmp_path / NOTES)
        )


def test_files_of_an_earlier_run_go_and_others_stay(tmp_path: Path, files: dict[str, Path]) -> None:
    old, other = tmp_path / "isolation_gone.test.sql", tmp_path / "isolation_mine.test.sql"
    shutil.copy(files[NOTES], old)
    other.write_text("-- my own\n")
    pgtap.write(tmp_path, {"isolation_new.test.sql": "x"})
    assert sorted(p.name for p in tmp_path.iterdir()) == [other.name, "isolation_new.test.sql"]
