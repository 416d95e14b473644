"""A thin client over supabase-py: sign in, choose an organization, work with typed records.

::

    with Harmonia(url, anon_key) as crm:
        crm.sign_in(email, password)
        crm.use("a0000000-...")
        for contact in crm.contacts.all(status="lead", order="created_at.desc"):
            print(contact.full_name)

:class:`AsyncHarmonia` is the same with ``await``. Every read carries the organization filter,
and every write asks for the row back, so that a write nobody may do is an error and not silence.
"""

from __future__ import annotations

from harmonia_py.client.asynchronous import AsyncHarmonia
from harmonia_py.client.page import Page
from harmonia_py.client.synchronous import Harmonia

__all__ = ["AsyncHarmonia", "Harmonia", "Page"]
