"""The development database of a project: ``harmonia up``, ``down`` and ``status``."""

from __future__ import annotations

from harmonia_py.development.lifecycle import COMPANIONS, Companion, down, status, up
from harmonia_py.development.state import Development

__all__ = ["COMPANIONS", "Companion", "Development", "down", "status", "up"]
