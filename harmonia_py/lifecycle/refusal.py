"""Turn what ``private.fail()`` raises into an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from harmonia_py.errors import Refused

__all__ = ["translate"]


@contextmanager
def translate() -> Iterator[None]:
    """Raise :class:`Refused` for an error with SQLSTATE ``PTnnn``; let others pass."""
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if not state.startswith("PT"):
            raise
        code = error.diag.message_detail or "refused"
        raise Refused(
            f"{error.diag.message_primary} ({code})",
            code=code,
            status=int(state[2:]),
            hint=error.diag.message_hint or None,
        ) from None
