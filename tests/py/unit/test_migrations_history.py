"""The history table is made beside another session that makes it too."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import psycopg
import pytest

from harmonia_py.connection import Connection
from harmonia_py.migrations import history


class Beaten:
    """A connection that comes too late a number of times, and says so with one error."""

    def __init__(self, sqlstate: str, times: int) -> None:
        self.error, self.times, self.made = psycopg.errors.lookup(sqlstate), times, 0

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()

    def execute(self, query: str | bytes, *_: Any) -> None:
        if b"create schema" in (query if isinstance(query, bytes) else query.encode()):
            if self.times:
                self.times -= 1
                raise self.error("too late")
            self.made += 1


def create(connection: Beaten) -> None:
    history.create(cast(Connection, connection), "prepare.sql")


@pytest.mark.parametrize("sqlstate", ["23505", "42P06", "42P07", "42701", "42710", "55P03"])
def test_who_comes_too_late_tries_again(sqlstate: str) -> None:
    for times in range(5):
        connection = Beaten(sqlstate, times)
        create(connection)
        assert connection.made == 1


@pytest.mark.parametrize(
    ("sqlstate", "times"), [("42710", 5), ("42501", 1)], ids=["always", "not a race"]
)
def test_it_does_not_try_for_ever(sqlstate: str, times: int) -> None:
    connection = Beaten(sqlstate, times)
    with pytest.raises(psycopg.errors.lookup(sqlstate)):
        create(connection)
    assert connection.made == 0
