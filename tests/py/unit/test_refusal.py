"""What the server, or psycopg before it, refuses of a value."""

from __future__ import annotations

import psycopg
import pytest

from harmonia_py.errors import Refused
from harmonia_py.lifecycle.refusal import translate


def test_a_value_that_was_never_sent_has_a_reason_too() -> None:
    with pytest.raises(Refused, match="PostgreSQL keeps no such text") as refused, translate():
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    assert "None" not in str(refused.value)
