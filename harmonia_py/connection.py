"""Borrow a connection or open one, for work that decides its own transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg

from harmonia_py import dsn

__all__ = ["Connection", "ConnectionOrDsn", "session"]

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
ConnectionOrDsn: TypeAlias = Connection | str


@contextmanager
def session(target: ConnectionOrDsn) -> Iterator[Connection]:
    """Yield a connection in autocommit: a new one for a DSN, the caller's own otherwise.

    Raises ``PoolerRefused`` for the transaction pooler and ``DatabaseUnreachable``.
    """
    if isinstance(target, str):
        dsn.require_session(target)
        with dsn.connect(target, autocommit=True) as connection:
            connection.prepare_threshold = None
            yield connection
        return
    before = target.autocommit
    target.autocommit = True
    try:
        yield target
    finally:
        if not target.closed:
            target.autocommit = before
