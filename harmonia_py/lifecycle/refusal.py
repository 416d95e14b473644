"""Turn what ``private.fail()`` and the tables' own rules raise into an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from harmonia_py.errors import Refused

__all__ = ["translate"]


@contextmanager
def translate() -> Iterator[None]:
    """Raise :class:`Refused` for SQLSTATE ``PTnnn`` and for values a table does not take."""
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if isinstance(error, psycopg.errors.IntegrityError | psycopg.errors.DataError):
            raise _value(error) from None
        if not state.startswith("PT"):
            raise
        code = error.diag.message_detail or "refused"
        raise Refused(
            f"{error.diag.message_primary} ({code})",
            code=code,
            status=int(state[2:]),
            hint=error.diag.message_hint or None,
        ) from None


def _value(error: psycopg.Error) -> Refused:
    """Name the rule. Not the server's own detail: it repeats the row."""
    rule = error.diag.constraint_name or error.diag.column_name
    if isinstance(error, psycopg.errors.ForeignKeyViolation):
        what = f"what is named does not exist ({rule})"
    elif rule:
        what = f"a value is not allowed: it breaks the rule {rule}"
    else:
        # Without the server's words it was refused before it was sent: by its zero byte.
        why = error.diag.message_primary or "PostgreSQL keeps no such text"
        what = f"a value is not allowed: {why}"
    return Refused(
        what,
        code="value.refused",
        status=400,
        hint="--help says what each value may be",
    )
