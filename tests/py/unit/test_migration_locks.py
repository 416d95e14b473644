"""The lock that ``migrate plan`` announces is the one PostgreSQL documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmonia_py.migrations.files import Migration
from harmonia_py.migrations.locks import steps
from harmonia_py.migrations.split import split_with_offsets


@pytest.mark.parametrize(
    ("statement", "lock"),
    [
        ("alter table t add column a int", "access exclusive"),
        ("alter table t add constraint k foreign key (a) references u", "share row exclusive"),
        ("alter table t validate constraint k", "share update exclusive"),
        ("create index i on t (a)", "share"),
        ("create unique index concurrently i on t (a)", "share update exclusive"),
        ("drop index concurrently i", "share update exclusive"),
        ("create policy p on t using (true)", "access exclusive"),
        ("-- why\ncreate table t (id int)", ""),
        ("create table t (id int references u)", "share row exclusive"),
        ("update t set a = 1", "row exclusive"),
        ("truncate t", "access exclusive"),
        ("select 1", ""),
        ("grant select on t to anon", ""),
    ],
)
def test_lock(statement: str, lock: str) -> None:
    text = f"select 0;\n{statement};\n"
    migration = Migration("1", "a", Path("1_a.sql"), text, tuple(split_with_offsets(text)))
    first, second = steps(migration)
    assert (first.line, first.lock, first.blocks) == (1, "", "nothing")
    assert (second.line, second.lock) == (2, lock)
    assert "--" not in second.summary
