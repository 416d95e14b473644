"""Harmonia: a Supabase-native, multi-tenant CRM backend toolkit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harmonia_py.client import AsyncHarmonia as AsyncHarmonia
    from harmonia_py.client import Harmonia as Harmonia

__all__ = ["AsyncHarmonia", "Harmonia", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # Loaded when asked for: the command line does not need the client.
    if name in ("AsyncHarmonia", "Harmonia"):
        from harmonia_py import client

        return getattr(client, name)
    raise AttributeError(name)
