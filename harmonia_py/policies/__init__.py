"""Policies as source: edited in ``supabase/policies``, carried by a generated migration."""

from harmonia_py.policies.compile import Compiled, check, compile_
from harmonia_py.policies.live import Live, diff_database, diff_sources, status
from harmonia_py.policies.replay import Replayed, replay
from harmonia_py.policies.snapshot import Difference, difference, snapshot
from harmonia_py.policies.source import PolicyFile, read_sources

__all__ = [
    "Compiled",
    "Difference",
    "Live",
    "PolicyFile",
    "Replayed",
    "check",
    "compile_",
    "diff_database",
    "diff_sources",
    "difference",
    "read_sources",
    "replay",
    "snapshot",
    "status",
]
