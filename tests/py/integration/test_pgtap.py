"""Every file of tests/sql, on a fresh copy with pgTAP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fix_pgtap import TapFailure, judge, run_psql

from harmonia_py.engines import Database


@pytest.mark.pgtap
def test_sql(
    sql_test: Path, database: Database, record_property: Callable[[str, object], None]
) -> None:
    with database.connect_admin() as conn:
        conn.execute("create extension if not exists pgtap with schema extensions")
    record_property("assertions", judge(run_psql(database, sql_test)))


@pytest.mark.parametrize(
    "output",
    [
        "",
        "1..2\nok 1 - a\n",
        "1..2\nok 1 - a\nnot ok 2 - b\n",
        "1..0\n",
        "ok 1 - a\n",
        "1..1\nok 1 - a\nok 2 - b\n",
    ],
)
def test_a_file_that_does_not_do_what_it_planned_fails(output: str) -> None:
    with pytest.raises(TapFailure):
        judge(output)


def test_a_file_that_does_what_it_planned_passes() -> None:
    assert judge("1..2\nok 1 - a\nok 2 - b\n") == 2
