"""Fixtures live in ``fix_<concern>.py`` modules beside this file."""

from __future__ import annotations

import signal

# A shell that starts us in the background has us ignore the interrupt, and so would every server
# and command under test: they are to be interrupted as a person would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins: list[str] = [
    "fix_database",
    "fix_audit",
    "fix_isolation",
    "fix_migrations",
    "fix_supabase_cli",
    "fix_api",
    "fix_vault",
    "fix_pgtap",
    "fix_browser",
]
