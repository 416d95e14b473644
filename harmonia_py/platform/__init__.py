"""The Supabase environment on a plain PostgreSQL: roles, schemas, auth, storage and the rest.

Harmonia's own SQL (``sql/*.sql``), idempotent. On a real Supabase database it is recognised and
left alone. See ``docs/explanation/environment.md`` for what is copied and what is not.
"""

from __future__ import annotations

from harmonia_py.platform.environment import Outcome, Prepared, PrepareRefused, is_supabase, prepare
from harmonia_py.platform.extensions import stand_ins

__all__ = ["Outcome", "PrepareRefused", "Prepared", "is_supabase", "prepare", "stand_ins"]
