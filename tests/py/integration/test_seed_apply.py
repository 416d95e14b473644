"""Seeds run once, are remembered as the Supabase CLI does, and never run by surprise."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harmonia_py import project
from harmonia_py.engines import Database
from harmonia_py.errors import FolderMissing, MigrationFailed
from harmonia_py.project import Project
from harmonia_py.seed.apply import apply

SEED = "create table if not exists public.seeded (n int);\ninsert into public.seeded values (1);\n"


@pytest.fixture
def ours(tmp_path: Path) -> Project:
    supabase = tmp_path / "a project" / "supabase"
    supabase.mkdir(parents=True)
    (supabase / "seed.sql").write_text(SEED)
    return project.find(supabase)


def count(database: Database) -> int:
    with database.connect() as connection:
        row = connection.execute("select count(*)::int from public.seeded").fetchone()
    return int(row[0]) if row else -1


def test_a_seed_runs_once_and_again_only_when_told(ours: Project, plain_database: Database) -> None:
    url = plain_database.owner_dsn
    assert apply(url, ours).applied == ("supabase/seed.sql",)
    assert apply(url, ours).present == ("supabase/seed.sql",)
    (ours.supabase / "seed.sql").write_text(SEED + "-- changed\n")
    assert apply(url, ours).changed == ("supabase/seed.sql",)
    assert count(plain_database) == 1
    assert apply(url, ours, again=True).applied == ("supabase/seed.sql",)
    assert count(plain_database) == 2
    with plain_database.connect() as connection:
        rows = connection.execute("select * from supabase_migrations.seed_files").fetchall()
    digest = hashlib.sha256((SEED + "-- changed\n").encode()).hexdigest()
    assert rows == [("supabase/seed.sql", digest)]


def test_a_failing_seed_names_its_line_and_leaves_nothing(
    ours: Project, plain_database: Database
) -> None:
    (ours.supabase / "seed.sql").write_text(SEED + "insert into public.seeded values ('x');\n")
    with pytest.raises(MigrationFailed, match=r"seed\.sql:3:"):
        apply(plain_database.owner_dsn, ours)
    with plain_database.connect() as connection:
        row = connection.execute("select to_regclass('public.seeded') is null").fetchone()
    assert row == (True,)


def test_config_names_the_seeds_in_order(ours: Project, plain_database: Database) -> None:
    (ours.supabase / "seeds").mkdir()
    (ours.supabase / "config.toml").write_text(
        '[db.seed]\nsql_paths = ["seed.sql", "./seeds/*.sql"]'
    )
    for name in ("b", "a"):
        (ours.supabase / "seeds" / f"{name}.sql").write_text("insert into seeded values (2);")
    assert apply(plain_database.owner_dsn, ours).applied == (
        "supabase/seed.sql",
        "supabase/seeds/a.sql",
        "supabase/seeds/b.sql",
    )


def test_no_seed_is_said(ours: Project, plain_database: Database) -> None:
    (ours.supabase / "seed.sql").unlink()
    with pytest.raises(FolderMissing, match="no seed file"):
        apply(plain_database.owner_dsn, ours)
