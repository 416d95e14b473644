"""The verdict does not depend on the server: PostgreSQL 18 and 15 say the same of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fix_database import DEBIAN_15
from fix_npm import missing

from benchmarks.verify import project
from harmonia_py.engines.embedded import EmbeddedEngine
from harmonia_py.isolation import runner
from harmonia_py.isolation.finding import Report
from harmonia_py.isolation.model import load
from harmonia_py.platform.projects import apply_project

ROOT = Path(__file__).parents[3]
#: Leaks of several channels: a policy, a grant beside it, a function, a view, a key.
LEAKS = """
alter policy select_member on public.records_1 using (true);
alter policy update_member on public.records_2 with check (true);
alter table public.records_3 disable row level security;
create or replace function public.total_1(p_organization_id uuid) returns bigint
language sql stable security definer set search_path = '' as
$$ select sum(r.amount_cents)::bigint from public.records_1 as r
   where r.organization_id = p_organization_id $$;
alter view public.open_records_1 set (security_invoker = false);
alter table public.records_4 add constraint records_4_name_key unique (name);
"""


def judged(engine: EmbeddedEngine, supabase: Path, leaks: str, model: Path | None) -> Report:
    with engine.database() as database:
        apply_project(database, supabase / "migrations")
        with database.connect_admin() as conn:
            conn.execute(leaks.encode())
            conn.commit()
            with runner.laboratory(conn, load(model) if model else None) as lab:
                return runner.judge(lab)


def verdict(report: Report) -> dict[str, Any]:
    return {
        "findings": sorted((f.id, f.rule, f.object, f.commands, f.actors) for f in report.findings),
        "cells": sorted(
            (c.table, c.command, c.actor, c.scope, c.expected, c.actual) for c in report.cells
        ),
        "coverage": sorted((c.table, c.status) for c in report.coverage),
        "not judged": sorted((n.object, n.reason) for n in report.not_judged),
        "errors": sorted(e.id for e in report.errors),
    }


@pytest.fixture(scope="module")
def both() -> Any:
    if not (DEBIAN_15 / "postgres").exists():
        missing("needs the package postgresql-15")
    with EmbeddedEngine() as newest, EmbeddedEngine(DEBIAN_15) as oldest:
        assert newest.binaries.version != oldest.binaries.version
        yield newest, oldest


@pytest.mark.parametrize("leaks", ["", LEAKS], ids=["correct", "leaking"])
def test_a_generated_project(
    both: tuple[EmbeddedEngine, EmbeddedEngine], tmp_path: Path, leaks: str
) -> None:
    supabase = project(tmp_path, 9)
    first, second = (judged(engine, supabase, leaks, None) for engine in both)
    assert verdict(first) == verdict(second)
    objects = {f.object for f in first.findings}
    if leaks:
        assert objects >= {
            "public.records_1",
            "public.records_2",
            "public.records_3",
            "public.records_4",
            "public.open_records_1",
            "public.total_1(uuid)",
        }
    else:
        assert objects == set()


def test_harmonia_itself(both: tuple[EmbeddedEngine, EmbeddedEngine]) -> None:
    first, second = (
        judged(engine, ROOT / "supabase", "", ROOT / "harmonia.toml") for engine in both
    )
    assert verdict(first) == verdict(second)
    assert first.findings == ()
    assert len(first.cells) > 1000
