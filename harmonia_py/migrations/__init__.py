"""Versioned, forward-only migrations that share their history with the Supabase CLI."""

from harmonia_py.migrations.apply import Event, Options, Result, apply
from harmonia_py.migrations.files import Folder, Migration, read_folder
from harmonia_py.migrations.new import new
from harmonia_py.migrations.plan import Entry, Plan, State, compare
from harmonia_py.migrations.split import split
from harmonia_py.migrations.verify import forget, record, status, verify

__all__ = [
    "Entry",
    "Event",
    "Folder",
    "Migration",
    "Options",
    "Plan",
    "Result",
    "State",
    "apply",
    "compare",
    "forget",
    "new",
    "read_folder",
    "record",
    "split",
    "status",
    "verify",
]
