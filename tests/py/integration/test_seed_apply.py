"""Seeds run once, are remembered as the Supabase CLI does, and never run by surprise."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harmonia_py import project
from harmonia_py.engines import Database
from harmonia_py.errors import (
    FolderMissing,
    LockNotObtained,
    MigrationFailed,
    MigrationRefused,
    UsageError,
)
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


@pytest.mark.parametrize(
    "config",
    [
        "db = 3",
        "[db]\nseed = 3",
        '[db.seed]\nsql_paths = "./seed.sql"',
        "[db.seed]\nsql_paths = [3]",
        '[db.seed]\nsql_paths = [""]',
        '[db.seed]\nsql_paths = ["/etc/seed.sql"]',
        '[db.seed]\nsql_paths = ["./seeds"]',
    ],
)
def test_a_config_that_names_no_files_is_said(ours: Project, config: str) -> None:
    (ours.supabase / "seeds").mkdir()
    (ours.supabase / "config.toml").write_text(config)
    with pytest.raises(UsageError, match=r"config\.toml: ") as caught:
        ours.seeds()
    assert caught.value.hint
    (ours.supabase / "config.toml").write_text('[db.seed]\nsql_paths = ["./seed.sql"]')
    assert [path.name for path in ours.seeds()] == ["seed.sql"]


def test_a_config_that_cannot_be_read_is_said(ours: Project) -> None:
    (ours.supabase / "config.toml").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        ours.seeds()


def test_what_one_seed_sets_does_not_reach_the_next(
    ours: Project, plain_database: Database
) -> None:
    (ours.supabase / "config.toml").write_text('[db.seed]\nsql_paths = ["./*.sql"]')
    (ours.supabase / "a.sql").write_text("set search_path = extensions; set role anon;")
    assert len(apply(plain_database.owner_dsn, ours).applied) == 2
    assert count(plain_database) == 1


def test_a_seed_that_is_locked_out_may_be_tried_again(
    ours: Project, plain_database: Database
) -> None:
    apply(plain_database.owner_dsn, ours)
    with plain_database.connect() as other:
        other.execute("lock table public.seeded")
        with pytest.raises(LockNotObtained, match=r"seed\.sql: lock timeout"):
            apply(plain_database.owner_dsn, ours, again=True)
    assert apply(plain_database.owner_dsn, ours, again=True).applied
    assert count(plain_database) == 2


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("vacuum;", MigrationRefused, "cannot run in a transaction"),
        ("select 1;\n\0", MigrationRefused, ":2: a zero byte"),
        (
            "create table public.seeded (n int primary key, m int references public.seeded"
            " deferrable initially deferred);\ninsert into public.seeded values (1, 2);",
            MigrationFailed,
            r"seed\.sql:2:1: .* foreign key",
        ),
    ],
)
def test_a_seed_that_cannot_be_kept_names_its_file(
    ours: Project, plain_database: Database, text: str, error: type[Exception], says: str
) -> None:
    (ours.supabase / "seed.sql").write_text(text)
    with pytest.raises(error, match=says):
        apply(plain_database.owner_dsn, ours)
    (ours.supabase / "seed.sql").write_text(SEED)
    assert apply(plain_database.owner_dsn, ours).applied
