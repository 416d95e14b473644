"""Policies as source: edited in ``supabase/policies``, carried by a generated migration."""

from harmonia_py.policies.compile import Compiled, check, compile_
from harmonia_py.policies.source import PolicyFile, read_sources

__all__ = ["Compiled", "PolicyFile", "check", "compile_", "read_sources"]
