"""Fixtures live in ``fix_<concern>.py`` modules beside this file."""

from __future__ import annotations

pytest_plugins: list[str] = [
    "fix_database",
    "fix_isolation",
    "fix_migrations",
    "fix_supabase_cli",
    "fix_api",
    "fix_vault",
    "fix_pgtap",
    "fix_browser",
]
