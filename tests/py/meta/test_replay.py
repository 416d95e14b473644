"""Migrations and policy sources describe the same database."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmonia_py import policies, project
from harmonia_py.engines import Engine
from harmonia_py.errors import PoliciesStale
from harmonia_py.project import Project

ROOT = Path(__file__).resolve().parents[3]


def test_migrations_replay_to_the_catalog_of_the_policy_sources(engine: Engine) -> None:
    ours = project.find(ROOT / "supabase")
    result = policies.replay(engine, ours)
    assert len(result.tables) > 10 and result.objects > 100


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """The foundation, one closed table, its policy file, compiled."""
    supabase = tmp_path / "supabase"
    (supabase / "migrations").mkdir(parents=True)
    (supabase / "policies").mkdir()
    foundation = ROOT / "supabase" / "migrations" / "20261101000100_foundation.sql"
    (supabase / "migrations" / foundation.name).write_bytes(foundation.read_bytes())
    (supabase / "migrations" / "20261101000200_notes.sql").write_text(
        "create table public.notes (id int);\ncall private.lock_down('public.notes');\n"
    )
    (supabase / "policies" / "10_notes.sql").write_text(
        "call private.lock_down('public.notes');\n"
        "grant select on table public.notes to authenticated;\n"
        "create policy select_all on public.notes for select to authenticated using (id > 0);\n"
    )
    policies.compile_(supabase / "policies", supabase / "migrations")
    return project.find(supabase)


def test_a_small_project_replays(engine: Engine, small: Project) -> None:
    assert policies.replay(engine, small).tables == ("public.notes",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("alter policy select_all on public.notes using (true);", "policy public.notes: select"),
        ("grant select on public.notes to anon;", "privileges of relation public.notes"),
        ("create table public.open_door (id int);", "does not have row level security"),
        (
            "create table public.b (id int); call private.lock_down('public.b');",
            "no policy file speaks for public.b",
        ),
    ],
)
def test_replay_names_what_differs(engine: Engine, small: Project, text: str, says: str) -> None:
    (small.migrations / "29990101000000_later.sql").write_text(text)
    with pytest.raises(PoliciesStale, match=says):
        policies.replay(engine, small)
