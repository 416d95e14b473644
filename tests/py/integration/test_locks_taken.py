"""The lock that ``migrate plan`` announces is the one the server takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmonia_py.engines import Database
from harmonia_py.migrations.files import Migration
from harmonia_py.migrations.locks import steps
from harmonia_py.migrations.split import split_with_offsets

STRENGTH = [
    "", "row exclusive", "share update exclusive", "share", "share row exclusive", "exclusive",
    "access exclusive",
]  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "alter table public.t add column extra int",
        "alter table public.t add constraint k foreign key (u) references public.u (id)",
        "alter table public.t validate constraint c",
        "alter table public.t alter column u set statistics 10",
        "alter table public.t disable row level security",
        "create index on public.t (u)",
        "create policy p on public.t using (true)",
        "drop policy q on public.t",
        "create trigger g before update on public.t for each row "
        "execute function suppress_redundant_updates_trigger()",
        "create table public.w (t int references public.t (id))",
        "create table public.w (t int)",
        "comment on table public.t is 'x'",
        "comment on policy q on public.t is 'x'",
        "update public.t set u = 1",
        "truncate public.t",
        "drop table public.t",
        "grant select on public.t to anon",
        "select count(*) from public.t",
    ],
)
def test_the_announced_lock_is_the_one_taken(plain_database: Database, statement: str) -> None:
    (step,) = steps(
        Migration("1", "a", Path("1_a.sql"), statement, tuple(split_with_offsets(statement)))
    )
    with plain_database.connect() as connection:
        connection.execute(
            "create table public.u (id int primary key);"
            "create table public.t (id int primary key, u int);"
            "alter table public.t add constraint c check (u > 0) not valid;"
            "create policy q on public.t using (true)"
        )
        row = connection.execute("select 'public.t'::regclass::oid").fetchone()
        connection.commit()
        connection.execute(statement.encode())
        taken = connection.execute(
            "select distinct mode from pg_locks where relation = %s and pid = pg_backend_pid()",
            row,
        ).fetchall()
        connection.rollback()
    names = {_words(str(mode)) for (mode,) in taken} - {"access share", "row share"}
    assert step.lock == max(names, key=STRENGTH.index, default="")


def _words(mode: str) -> str:
    """``AccessExclusiveLock`` as PostgreSQL writes it in SQL."""
    text = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in mode)
    return text.removesuffix(" lock").strip()
