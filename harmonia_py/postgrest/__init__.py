"""PostgREST beside a database: find the binary, run it, hold it to the guard.

::

    with PostgREST(db.dsn_as("authenticator"), secret=secret) as api:
        httpx.get(f"{api.url}/contacts", headers={"authorization": f"Bearer {token}"})
"""

from __future__ import annotations

from harmonia_py.postgrest.binary import find, install
from harmonia_py.postgrest.server import PostgREST

__all__ = ["PostgREST", "find", "install"]
